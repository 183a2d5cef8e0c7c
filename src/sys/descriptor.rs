//! Descriptors of any kind: how ours are born, copied and recognised.
//!
//! Every descriptor of ours is close-on-exec and above 2: a host may run with its standard streams closed, and what it
//! or a child writes to 0–2 must not reach us. System calls: fcntl(2), open(2), fstat(2).

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use super::retried;

/// The result of calls that fail with an errno; the caller knows the operation.
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// Moves a descriptor that landed on 0–2, because the host closed them, to 3 or higher.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    duplicate(fd.as_fd())
}

/// Makes a close-on-exec duplicate at 3 or higher.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3)).map_err(|e| e as i32)?;
    // SAFETY: a new descriptor that nothing else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Like [`duplicate`], for a number that may not be open.
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

/// Opens a file for a child's standard stream. One that is made has mode 0666 less the umask; a terminal does not
/// become ours.
pub(crate) fn open(path: &Path, flags: OFlag) -> Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(0o666);
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    above_stdio(retried(|| nix::fcntl::open(path, flags, mode)).map_err(|e| e as i32)?)
}

/// Makes reads and writes return EAGAIN instead of waiting. For descriptors without other status flags.
pub(crate) fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| e as i32)?;
    Ok(())
}

/// The file behind a descriptor: its device and inode. The host may close a descriptor of ours and open another file
/// under its number; no other open file has the identity of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Returns the identity of the file behind a descriptor; None if that is not open.
    pub(super) fn of(fd: &OwnedFd) -> Option<FileIdentity> {
        nix::sys::stat::fstat(fd).ok().map(|stat| FileIdentity { device: stat.st_dev, inode: stat.st_ino })
    }

    /// Returns whether this file is still the one behind the descriptor.
    pub(super) fn is_behind(self, fd: &OwnedFd) -> bool {
        FileIdentity::of(fd) == Some(self)
    }
}

/// Returns device and inode of the file behind a descriptor; None if that is not open.
pub(crate) fn file_id(fd: &OwnedFd) -> Option<(u64, u64)> {
    FileIdentity::of(fd).map(|file| (file.device, file.inode))
}

/// A descriptor that the host may have closed, to open another file under its number. It is looked at before each use,
/// and closed only if it is still ours.
#[derive(Debug)]
pub(crate) struct Guarded {
    fd: ManuallyDrop<OwnedFd>,
    identity: FileIdentity,
}

impl Guarded {
    pub(crate) fn new(fd: OwnedFd) -> Result<Guarded> {
        let identity = FileIdentity::of(&fd).ok_or(libc::EBADF)?;
        Ok(Guarded { fd: ManuallyDrop::new(fd), identity })
    }

    /// Returns the descriptor; EBADF if the host has closed it.
    pub(crate) fn get(&self) -> Result<&OwnedFd> {
        if self.identity.is_behind(&self.fd) { Ok(&self.fd) } else { Err(libc::EBADF) }
    }
}

impl AsFd for Guarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.get().is_ok() {
            // SAFETY: once, here.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

/// Keeps descriptors 0–2 from being given to files that other code opens, until dropped. It does nothing for those that
/// are open; the host is free to close them.
#[cfg(feature = "health")]
pub(crate) struct StdioKept(#[allow(dead_code, reason = "for its drop")] Vec<OwnedFd>);

#[cfg(feature = "health")]
impl StdioKept {
    pub(crate) fn new() -> Result<StdioKept> {
        let mut kept = Vec::new();
        loop {
            // With O_PATH, code that takes it for a stream can neither read nor write it.
            let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
            let fd = retried(|| nix::fcntl::open("/", flags, Mode::empty())).map_err(|e| e as i32)?;
            if fd.as_raw_fd() > 2 {
                return Ok(StdioKept(kept));
            }
            kept.push(fd);
        }
    }
}
