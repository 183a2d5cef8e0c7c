//! [`Outlet`]: a descriptor of the host's to which a write never waits, even if its reader does not read: a pipe that
//! is full, a terminal that was stopped (Ctrl-S).
//!
//! O_NONBLOCK must not be set on it: the flag belongs to the open file, which the host and other processes share.
//!
//! System calls: open(2) of /proc/self/fd, write(2), sendto(2) with MSG_DONTWAIT, poll(2), fstat(2), fcntl(2), ioctl(2)
//! with TIOCGDEV.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, SFlag, fstat};

use super::clock::whole_ms;
use super::descriptor::{self, Result};
use super::{pipe, retried_raw};

/// A descriptor to write to.
pub(crate) struct Outlet {
    fd: OwnedFd,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A write takes what fits: the open file is ours and non-blocking, or needs no reader.
    AtOnce,
    /// The call itself says that it must not wait.
    Socket,
    /// The file could not be opened again: poll(2) comes before each write of this many bytes. A pipe with room for one
    /// byte takes PIPE_BUF, unless another writer fills it in between; terminals promise less.
    LookedAt(usize),
}

impl Outlet {
    pub(crate) fn new(fd: OwnedFd) -> Outlet {
        /// The bytes that a terminal usually takes when it takes any.
        const SMALL: usize = 64;
        let Ok(stat) = fstat(&fd) else { return Outlet { fd, way: Way::LookedAt(SMALL) } };
        let kind = SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT);
        let access = fcntl(&fd, FcntlArg::F_GETFL).map_or(libc::O_RDWR, |flags| flags & libc::O_ACCMODE);
        match kind {
            // Opened again it could be written to, and poll would wait for ever: the first write returns the error.
            _ if access == libc::O_RDONLY => Outlet { fd, way: Way::AtOnce },
            SFlag::S_IFSOCK => Outlet { fd, way: Way::Socket },
            SFlag::S_IFIFO | SFlag::S_IFCHR => match again(&fd, &stat) {
                Some(ours) => Outlet { fd: ours, way: Way::AtOnce },
                None => {
                    let most = if kind == SFlag::S_IFIFO { libc::PIPE_BUF } else { SMALL };
                    Outlet { fd, way: Way::LookedAt(most) }
                }
            },
            // A file, whose position must stay the one that the host shares.
            _ => Outlet { fd, way: Way::AtOnce },
        }
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Writes as much as is taken now, without SIGPIPE; fewer bytes than all if it would have to wait.
    pub(crate) fn write(&self, data: &[u8]) -> Result<usize> {
        let mut written = 0;
        while written < data.len() {
            let rest = &data[written..];
            let step = match self.way {
                Way::AtOnce => pipe::write(&self.fd, rest),
                Way::Socket => send(&self.fd, rest),
                Way::LookedAt(most) if self.takes_within(Duration::ZERO) => {
                    pipe::write(&self.fd, &rest[..most.min(rest.len())])
                }
                Way::LookedAt(_) => Err(libc::EAGAIN),
            };
            match step {
                Ok(0) => return Err(libc::EIO),
                Ok(count) => written += count,
                Err(libc::EAGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(written)
    }

    /// Waits until a write would take something, or fail; false when it did not in time. A signal handler may end the
    /// wait.
    pub(crate) fn takes_within(&self, patience: Duration) -> bool {
        let timeout = PollTimeout::try_from(whole_ms(patience)).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)], timeout).is_ok_and(|ready| ready > 0)
    }
}

/// Opens the same pipe or terminal again, non-blocking; None if that fails.
fn again(fd: &OwnedFd, stat: &FileStat) -> Option<OwnedFd> {
    let is_pipe = stat.st_mode & libc::S_IFMT == libc::S_IFIFO;
    let terminal = terminal_number(fd);
    // Opening /dev/ptmx again would make another terminal.
    let is_multiplexer = stat.st_rdev == libc::makedev(5, 2);
    if !is_pipe && (terminal.is_none() || is_multiplexer) {
        return None;
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let ours = descriptor::open(&path, OFlag::O_WRONLY | OFlag::O_NONBLOCK).ok()?;
    let same = fstat(&ours).is_ok_and(|ours| (ours.st_dev, ours.st_ino) == (stat.st_dev, stat.st_ino));
    (same && terminal_number(&ours) == terminal).then_some(ours)
}

/// Returns the device number of the terminal, under whichever name it was opened.
fn terminal_number(fd: &OwnedFd) -> Option<u32> {
    /// `TIOCGDEV`, which not every version of the crate libc has.
    const GET_DEVICE: libc::c_ulong = 0x8004_5432;
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGDEV writes one unsigned int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), GET_DEVICE as _, &raw mut number) };
    (result == 0).then_some(number)
}

/// Writes once to a socket, without waiting and without SIGPIPE.
fn send(fd: &OwnedFd, data: &[u8]) -> Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let no_address = std::ptr::null::<libc::sockaddr>();
    // SAFETY: the slice is valid for reads of its length; there is no address.
    retried_raw(|| unsafe {
        libc::syscall(libc::SYS_sendto, fd.as_raw_fd(), data.as_ptr(), data.len(), flags, no_address, 0usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::FromRawFd;

    fn fill(outlet: &Outlet) -> usize {
        let data = vec![b'x'; 1 << 20];
        let taken = outlet.write(&data).expect("write");
        assert!(taken > 0 && taken < data.len(), "{taken}");
        assert_eq!(outlet.write(&data), Ok(0));
        assert!(!outlet.takes_within(Duration::ZERO));
        taken
    }

    fn empty(fd: &OwnedFd, mut count: usize) {
        let mut sink = [0; 4096];
        while count > 0 {
            count -= nix::unistd::read(fd, &mut sink).expect("read");
        }
    }

    #[test]
    fn a_pipe_is_never_waited_for_whether_it_can_be_opened_again_or_not() {
        let (reader, writer) = pipe::pipe().expect("pipe");
        let again = Outlet::new(descriptor::duplicate(writer.as_fd()).expect("dup"));
        assert_eq!(again.way, Way::AtOnce);
        empty(&reader, fill(&again));
        let looked_at = Outlet { fd: writer, way: Way::LookedAt(libc::PIPE_BUF) };
        let taken = fill(&looked_at);
        empty(&reader, taken);
        assert!(looked_at.takes_within(Duration::ZERO));
        drop(reader);
        assert_eq!((again.write(b"x"), looked_at.write(b"x")), (Err(libc::EPIPE), Err(libc::EPIPE)));
    }

    #[test]
    fn the_end_that_may_not_be_written_to_stays_so() {
        let (reader, _writer) = pipe::pipe().expect("pipe");
        assert_eq!(Outlet::new(reader).write(b"x"), Err(libc::EBADF));
    }

    #[test]
    fn the_upper_end_of_a_terminal_is_written_to_and_not_another_terminals() {
        // SAFETY: a new descriptor.
        let upper =
            unsafe { OwnedFd::from_raw_fd(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)) };
        assert!(matches!(Outlet::new(upper).way, Way::LookedAt(_)));
    }

    #[test]
    fn a_file_is_written_where_it_was() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let fd = OwnedFd::from(file.reopen().expect("open"));
        let outlet = Outlet::new(descriptor::duplicate(fd.as_fd()).expect("dup"));
        assert_eq!(outlet.write(b"one "), Ok(4));
        nix::unistd::write(&fd, b"two ").expect("write");
        assert_eq!(outlet.write(b"three"), Ok(5));
        assert_eq!(std::fs::read(file.path()).expect("read"), b"one two three");
    }
}
