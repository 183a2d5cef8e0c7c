//! Descriptors: pipes, event loops, the standard streams.

use super::{Fd, c_path, check};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

pub fn mkfifo(path: &Path) {
    let path = c_path(path);
    // SAFETY: a valid string.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).expect("mkfifo");
}

/// Waits until `fd` is readable; false if the time is over first.
pub fn readable(fd: &impl AsFd, timeout: Duration) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one valid pollfd.
        let n = unsafe { libc::poll(&raw mut poll, 1, timeout.as_millis() as libc::c_int) };
        match check(n) {
            Ok(n) => return n > 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// A host's event loop that watches one descriptor, edge-triggered.
pub struct EdgeTriggered(OwnedFd);

impl EdgeTriggered {
    pub fn on(fd: RawFd) -> EdgeTriggered {
        // SAFETY: a new descriptor, and a valid event for one that is watched.
        unsafe {
            let epoll = check(libc::epoll_create1(libc::EPOLL_CLOEXEC)).expect("epoll");
            let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
            check(libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event)).expect("epoll_ctl");
            EdgeTriggered(OwnedFd::from_raw_fd(epoll))
        }
    }

    /// Waits for the next edge; false if the time is over first.
    pub fn wait(&self, timeout: Duration) -> bool {
        readable(&self.0, timeout) && {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            // SAFETY: room for one event.
            check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, 0) }).expect("epoll_wait") == 1
        }
    }
}

pub fn pipe() -> (File, File) {
    let mut fds = [0; 2];
    // SAFETY: room for two.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }).expect("pipe2");
    // SAFETY: new and ours.
    unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) }
}

/// Opens a file as C programs do, without O_CLOEXEC.
pub fn open_inheritable(path: &str) -> Fd {
    let path = c_path(Path::new(path));
    // SAFETY: a valid string; the result is new and ours.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
        check(fd).expect("open");
        OwnedFd::from_raw_fd(fd)
    }
}

/// Reads everything that is there from a non-blocking descriptor.
pub fn read_away(fd: &Fd) {
    let mut buffer = [0_u8; 64];
    // SAFETY: a valid buffer.
    while unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
}

/// Moves a descriptor out of the way of the lowest numbers.
fn to_high(fd: RawFd) -> Option<Fd> {
    // SAFETY: a new descriptor, or -1 when there was none.
    unsafe {
        let new = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 200);
        (new >= 0).then(|| OwnedFd::from_raw_fd(new))
    }
}

pub fn high(file: File) -> File {
    to_high(file.as_raw_fd()).expect("dup").into()
}

/// Closes descriptors 0 to 2, and returns duplicates of what they were.
pub fn put_standard_away() -> [Option<Fd>; 3] {
    [0, 1, 2].map(|fd| {
        let kept = to_high(fd);
        // SAFETY: nothing in this host uses them until they are back.
        unsafe { libc::close(fd) };
        kept
    })
}

pub fn bring_standard_back(kept: &[Option<Fd>; 3]) {
    for (fd, kept) in kept.iter().enumerate() {
        match kept {
            Some(kept) => place(kept, fd as RawFd),
            // SAFETY: it was closed before.
            None => drop(unsafe { libc::close(fd as RawFd) }),
        }
    }
}

/// Makes `fd` a copy of `file`, across exec.
pub fn place(file: &impl AsFd, fd: RawFd) {
    // SAFETY: 0 to 2 belong to no object here.
    check(unsafe { libc::dup2(file.as_fd().as_raw_fd(), fd) }).expect("dup2");
}

pub fn duplicate(fd: RawFd) -> Fd {
    // SAFETY: a new descriptor.
    unsafe {
        let new = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        check(new).expect("dup");
        OwnedFd::from_raw_fd(new)
    }
}

pub fn is_close_on_exec(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) & libc::FD_CLOEXEC != 0 }
}

/// Makes a file in memory with this content, to be read from its start.
pub fn memory_file(content: &str) -> File {
    use std::io::{Seek, Write};
    // SAFETY: a valid name; the descriptor is new and ours.
    let mut file =
        unsafe { File::from_raw_fd(check(libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC)).expect("memfd")) };
    file.write_all(content.as_bytes()).expect("write");
    file.rewind().expect("rewind");
    file
}

/// Goes back to the start of a file.
pub fn rewind(file: &impl AsFd) {
    // SAFETY: takes no pointers.
    check(unsafe { libc::lseek(file.as_fd().as_raw_fd(), 0, libc::SEEK_SET) as libc::c_int }).expect("lseek");
}

/// Closes a descriptor, whosever it is: as a host does that closes all it does not know.
pub fn close_any(fd: i32) {
    // SAFETY: no memory; the owner is to find out that it is closed.
    _ = unsafe { libc::close(fd) };
}
