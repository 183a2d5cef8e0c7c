//! Pipes: makes, grows and looks at them, and reads and writes without ever waiting, without SIGPIPE, and without a
//! cancellation point, because the thread may be the host's.
//!
//! System calls: pipe2(2), read(2), write(2), fcntl(2) with F_SETPIPE_SZ, ioctl(2) with FIONREAD, fstat(2).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::descriptor::{Result, above_stdio};
use super::retried_raw;
use super::space::{Bytes, Space};

/// The size of a pipe for a child that writes much: it has three times the throughput of the default 64 KiB.
const LARGE_PIPE: i32 = 256 * 1024;

/// Makes a pipe, read end first; both ends are close-on-exec, above 2, and blocking.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| e as i32)?;
    Ok((above_stdio(read)?, above_stdio(write)?))
}

/// Tries to grow a pipe; the kernel limits pipe memory per user, and a small pipe still works.
pub(crate) fn grow(fd: &OwnedFd) {
    let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(LARGE_PIPE));
}

/// Returns the inode that names a pipe in /proc.
pub(crate) fn inode(fd: &OwnedFd) -> Option<u64> {
    nix::sys::stat::fstat(fd).ok().map(|stat| stat.st_ino)
}

/// Returns how many bytes the pipe holds now.
pub(crate) fn holds(fd: &OwnedFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// The result of a read without waiting.
pub(crate) enum Read<'a> {
    /// These bytes. If they do not fill the space, the pipe was empty then.
    Data(Bytes<'a>),
    /// Nothing now.
    Empty,
    /// Every writer is gone.
    End,
}

/// Reads once, as much as fits, from a non-blocking descriptor.
pub(crate) fn read<'a>(fd: &OwnedFd, mut space: Space<'a, '_>) -> Read<'a> {
    let result = read_raw(fd, &mut space);
    Read::of(result, space)
}

/// Reads once into the space. Returns how many bytes came, or the errno.
pub(super) fn read_raw(fd: &OwnedFd, space: &mut Space<'_, '_>) -> Result<usize> {
    let (place, len) = (space.as_mut_ptr(), space.len());
    // SAFETY: the space is `len` bytes long.
    retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd.as_raw_fd(), place, len) })
}

impl<'a> Read<'a> {
    /// Makes the result of what [`read_raw`] has returned for this space.
    pub(super) fn of(result: Result<usize>, space: Space<'a, '_>) -> Read<'a> {
        match result {
            Ok(0) => Read::End,
            // SAFETY: the read filled n bytes.
            Ok(n) => Read::Data(unsafe { space.filled(n) }),
            Err(libc::EAGAIN) => Read::Empty,
            // No other error of a pipe would be cured by reading on.
            Err(_) => Read::End,
        }
    }
}

/// Writes once without waiting. Returns how many bytes were taken, or the errno (EAGAIN: it is full, EPIPE: it has no
/// reader).
pub(crate) fn write(fd: &OwnedFd, data: &[u8]) -> Result<usize> {
    super::signal::without_sigpipe(|| {
        // SAFETY: the slice is valid for reads of its length.
        retried_raw(|| unsafe { libc::syscall(libc::SYS_write, fd.as_raw_fd(), data.as_ptr(), data.len()) })
    })
}
