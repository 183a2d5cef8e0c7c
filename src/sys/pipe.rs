//! Pipes, and reading and writing them without ever blocking.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use super::buffer::{READ_SIZE, ReadBuffer};
use super::{retried, retried_raw};

/// A pipe grown for a child that writes much: three times the throughput of the default 64 KiB.
pub(crate) const LARGE_PIPE: i32 = 256 * 1024;

/// Errors here are errno values; the caller knows the operation.
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// A pipe, read end first; both close-on-exec, above 2, and blocking.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| e as i32)?;
    Ok((above_stdio(read)?, above_stdio(write)?))
}

/// Moves a descriptor that landed on 0–2, because the host closed them, to 3 or higher.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    duplicate(fd.as_fd())
}

/// A close-on-exec duplicate at 3 or higher.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3)).map_err(|e| e as i32)?;
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// As [`duplicate`], of a number that may not be open.
pub(crate) fn duplicate_raw(fd: i32) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    // SAFETY: F_DUPFD_CLOEXEC on any number is safe, EBADF at worst; what it returns is ours.
    unsafe {
        let raw = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        if raw < 0 { Err(super::errno()) } else { Ok(OwnedFd::from_raw_fd(raw)) }
    }
}

/// Descriptors 0–2 kept from being given to what others open, until dropped. What closes them is the host's own
/// doing; where they are open this does nothing.
#[cfg(feature = "health")]
pub(crate) struct StdioKept(#[allow(dead_code, reason = "for its drop")] Vec<OwnedFd>);

#[cfg(feature = "health")]
impl StdioKept {
    pub(crate) fn new() -> Result<StdioKept> {
        let mut kept = Vec::new();
        loop {
            // O_PATH: whoever took it for a stream could neither read nor write it.
            let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
            let fd = retried(|| nix::fcntl::open("/", flags, Mode::empty())).map_err(|e| e as i32)?;
            if fd.as_raw_fd() > 2 {
                return Ok(StdioKept(kept));
            }
            kept.push(fd);
        }
    }
}

/// Opens a file for a child's stdio, above 2.
pub(crate) fn open(path: &Path, flags: OFlag) -> Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(0o666);
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    above_stdio(retried(|| nix::fcntl::open(path, flags, mode)).map_err(|e| e as i32)?)
}

pub(crate) fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    // Our pipe ends carry no other status flag.
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| e as i32)?;
    Ok(())
}

/// Tries to grow a pipe; the kernel limits pipe memory per user, and a small pipe still works.
pub(crate) fn grow(fd: &OwnedFd) {
    let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(LARGE_PIPE));
}

/// The inode that names a pipe in /proc.
pub(crate) fn inode(fd: &OwnedFd) -> Option<u64> {
    nix::sys::stat::fstat(fd).ok().map(|stat| stat.st_ino)
}

/// How many bytes the pipe holds now.
pub(crate) fn holds(fd: &OwnedFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// What a read without waiting brought.
pub(crate) enum Read<'a> {
    /// So many bytes; fewer than [`READ_SIZE`] means that the pipe was empty then.
    Data(&'a [u8]),
    /// Nothing now.
    Empty,
    /// Every writer is gone.
    End,
}

/// One read of up to [`READ_SIZE`] bytes from a non-blocking descriptor.
pub(crate) fn read<'a>(fd: &OwnedFd, buffer: &'a mut ReadBuffer) -> Read<'a> {
    // SAFETY: the buffer is READ_SIZE long. The raw call, because libc's is a cancellation point and this
    // may be the host's thread.
    let result =
        retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd.as_raw_fd(), buffer.as_mut_ptr(), READ_SIZE) });
    match result {
        Ok(0) => Read::End,
        // SAFETY: the read filled n bytes.
        Ok(n) => Read::Data(unsafe { buffer.filled(n) }),
        Err(libc::EAGAIN) => Read::Empty,
        // A pipe has no other error that more reading would cure.
        Err(_) => Read::End,
    }
}

/// One write without waiting, without SIGPIPE: bytes taken, or the errno (EAGAIN: full, EPIPE: no reader).
pub(crate) fn write(fd: &OwnedFd, data: &[u8]) -> Result<usize> {
    super::signal::without_sigpipe(|| {
        // SAFETY: the slice is valid for reads of its length.
        retried_raw(|| unsafe { libc::syscall(libc::SYS_write, fd.as_raw_fd(), data.as_ptr(), data.len()) })
    })
}

/// A pipe that only says "look": for event loops, some of which accept no eventfd.
pub(crate) struct Bell {
    read: OwnedFd,
    write: Option<OwnedFd>,
}

impl Bell {
    pub(crate) fn new() -> Result<Bell> {
        let (read, write) = pipe()?;
        set_nonblocking(&read)?;
        set_nonblocking(&write)?;
        Ok(Bell { read, write: Some(write) })
    }

    /// Makes the read end readable. The reader is ours, so there is no SIGPIPE; a full pipe is readable.
    pub(crate) fn ring(&self) {
        if let Some(write) = &self.write {
            // SAFETY: one byte from a live buffer.
            let _ = retried_raw(|| unsafe { libc::syscall(libc::SYS_write, write.as_raw_fd(), b"!".as_ptr(), 1usize) });
        }
    }

    /// Takes what was rung.
    pub(crate) fn hush(&self) {
        let mut sink = [0u8; 64];
        let (fd, length) = (self.read.as_raw_fd(), sink.len());
        // SAFETY: the sink is as long as said.
        while retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd, sink.as_mut_ptr(), length) }) == Ok(length) {}
    }

    /// Closes the write end: readable for ever from now on.
    pub(crate) fn end(&mut self) {
        self.write = None;
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
