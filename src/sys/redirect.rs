//! Opens files that become a child's standard streams, without waiting for another process.
//!
//! open(2) waits for the other end of a FIFO, for a modem's carrier, for the holder of a lease, all without a time
//! limit. So everything is opened with O_NONBLOCK, which is taken off again before the child has it; a file that can
//! have no other end is refused. A file system that does not answer (NFS, FUSE, autofs) still holds the call up.
//!
//! System calls: open(2), fcntl(2), fstatfs(2), tee(2); see fifo(7).

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, tee};
use nix::sys::statfs::{FsType, fstatfs};

use super::file::{self, Kind};
use super::{descriptor, pipe, retried};

/// How long the holder of a lease may take to give it up, which the open asks for (the kernel's own limit is 45 s), and
/// how long a device that is in use is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(2);

/// The reason why a file was not opened.
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    /// The reason, if the errno does not tell it.
    pub(crate) why: Option<&'static str>,
}

impl From<i32> for Refusal {
    fn from(errno: i32) -> Refusal {
        Refusal { errno, why: None }
    }
}

/// Opens a file to read from. A FIFO without a writer and without content is refused: the child would read its end at
/// once, and a shell would have waited.
pub(crate) fn to_read(path: &Path) -> Result<OwnedFd, Refusal> {
    let file = File::from(open(path, OFlag::O_RDONLY)?);
    let would_wait = file::facts(&file)?.kind == Kind::Other(file::FIFO) && has_name(&file)? && !has_source(&file)?;
    if would_wait {
        return Err(Refusal { errno: libc::ENXIO, why: Some("is a FIFO that nobody has opened for writing") });
    }
    Ok(file.into())
}

/// Opens a file to write to, made if it is missing; `how` is O_TRUNC or O_APPEND.
pub(crate) fn to_write(path: &Path, how: OFlag) -> Result<OwnedFd, Refusal> {
    open(path, OFlag::O_WRONLY | OFlag::O_CREAT | how)
}

fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, Refusal> {
    let mut left = PATIENCE;
    let fd = loop {
        match descriptor::open(path, flags | OFlag::O_NONBLOCK) {
            Ok(fd) => break fd,
            Err(libc::EAGAIN) if !left.is_zero() => {
                std::thread::sleep(STEP);
                left = left.saturating_sub(STEP);
            }
            Err(errno) => return Err(explained(path, errno)),
        }
    };
    // The other flags that can be changed are as they were.
    fcntl(&fd, FcntlArg::F_SETFL(flags & OFlag::O_APPEND)).map_err(|errno| errno as i32)?;
    Ok(fd)
}

fn explained(path: &Path, errno: i32) -> Refusal {
    let why = match errno {
        libc::EAGAIN => {
            Some("is held by somebody (a lease, or a device in use) who did not give it up within a second")
        }
        libc::ENXIO => match file::look_through(path).map(|facts| facts.kind) {
            Ok(Kind::Other(file::FIFO)) => Some("is a FIFO that nobody has opened for reading"),
            Ok(Kind::Other(file::SOCKET)) => Some("is a socket, which is no file to open"),
            _ => None,
        },
        _ => None,
    };
    Refusal { errno, why }
}

/// Returns whether it is a FIFO with a name. A pipe that was opened by way of /dev/stdin or /proc is at its end when it
/// has no writer.
fn has_name(fifo: &File) -> Result<bool, i32> {
    const PIPEFS: FsType = FsType(0x5049_5045);
    retried(|| fstatfs(fifo)).map(|system| system.filesystem_type() != PIPEFS).map_err(|errno| errno as i32)
}

/// Returns whether it has a writer or content. tee(2) looks into a FIFO without taking anything from it, and says 0 if
/// there is neither.
fn has_source(fifo: &File) -> Result<bool, i32> {
    let (_read, write) = pipe::pipe()?;
    match retried(|| tee(fifo.as_fd(), write.as_fd(), 1, SpliceFFlags::SPLICE_F_NONBLOCK)) {
        Ok(0) => Ok(false),
        Ok(_) | Err(Errno::EAGAIN) => Ok(true),
        Err(errno) => Err(errno as i32),
    }
}
