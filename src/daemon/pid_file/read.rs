//! [`read_pid`]: whether the daemon of a PID file lives.

use std::path::Path;

use super::content::{self, Content};
use super::holder::{Holder, holder};
use super::trust::{self, why_anybodys};
use crate::error::{Error, Result};
use crate::sys::file::{self, Facts, Kind, Obstacle, Open};
use crate::sys::fork;
use crate::util::path::quoted;

const READ: &str = "read PID file";

/// The state of a daemon, by its PID file.
///
/// ```
/// # fn main() -> coreproc::Result<()> {
/// let read = coreproc::read_pid("/no/such/file.pid")?;
/// assert_eq!(read.state, coreproc::PidState::Missing);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PidState {
    /// The daemon lives.
    Alive,
    /// The daemon has ended and left its file behind.
    Dead,
    /// The path names something that is no PID file: no PID is in it, it is no plain file, or any user could have put
    /// it there.
    Invalid,
    /// There is no such file.
    Missing,
}

/// The result of [`read_pid`].
///
/// ```
/// use coreproc::{PidRead, PidState};
///
/// fn describe(read: &PidRead) -> String {
///     match (read.state, read.pid) {
///         (PidState::Alive, Some(pid)) => format!("running, PID {pid}"),
///         (PidState::Alive, None) => format!("running; {}", read.reason),
///         _ => format!("not running: {}", read.reason),
///     }
/// }
/// # fn main() -> coreproc::Result<()> {
/// let read = coreproc::read_pid("/no/such/file.pid")?;
/// assert_eq!(describe(&read), "not running: there is no such file");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidRead {
    /// The state of the daemon.
    pub state: PidState,
    /// The PID in the file: of a daemon that lives, if it is certain; of a dead one, the PID that it had.
    pub pid: Option<i32>,
    /// The reason for the state, on one line, to be shown as it is. Empty if the daemon lives and its PID is known.
    pub reason: String,
}

/// Reads a PID file, of this library or of a program that takes no lock, and tells whether its daemon lives.
///
/// It lives while the file is locked. Without a lock, it lives if the PID names a process that started before the file
/// was written (by the clock, so not across a step of it). The PID of a locked file is given if the process that has it
/// here is seen to hold that lock, because the number may belong to another PID namespace.
///
/// A file that any user could have put there is [`PidState::Invalid`]: one that every user may write, that has several
/// names, or that is in a directory which [`PidFile::acquire`](super::PidFile::acquire) refuses; and one in a sticky
/// directory that every user may write, if its owner is neither root nor this process's own user. In other directories,
/// a file of such an owner counts for that user's processes alone.
///
/// # Errors
///
/// `PermissionDenied`, `System` and the like if the file cannot be read.
pub fn read_pid(path: impl AsRef<Path>) -> Result<PidRead> {
    let path = path.as_ref();
    fork::check_original(READ)?;
    let subject = |error: Error| error.on(quoted(path));
    let fail = |stage| move |errno| subject(Error::system(READ, stage, errno));
    let found = |state, pid, reason: String| Ok(PidRead { state, pid, reason });
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(subject(Error::invalid(READ, "the path has a NUL byte")));
    }
    let missing = || found(PidState::Missing, None, "there is no such file".to_owned());
    match file::look(path) {
        Ok(Facts { kind: Kind::Other(what), .. }) => {
            return found(PidState::Invalid, None, format!("is {what}, not a plain file"));
        }
        Ok(_) => {}
        Err(libc::ENOENT | libc::ENOTDIR) => return missing(),
        Err(errno) => return Err(fail("look")(errno)),
    }
    let file = match file::open(path, Open::Read) {
        Ok(file) => file,
        Err(libc::ENOENT) => return missing(),
        Err(errno) => return Err(fail("open")(errno)),
    };
    let facts = file::facts(&file).map_err(fail("look"))?;
    match why_anybodys(path, &facts) {
        Ok(None) => {}
        Ok(Some(reason)) => return found(PidState::Invalid, None, reason),
        Err(libc::ENOENT) => return missing(),
        Err(errno) => return Err(fail("look at folder")(errno)),
    }
    if file::obstacle(&file).map_err(fail("look for lock"))? == Obstacle::Writer {
        match holder(&file) {
            Holder::Known(pid) => return found(PidState::Alive, Some(pid), String::new()),
            Holder::Unknown(reason) => return found(PidState::Alive, None, reason),
            // The file without a lock is judged below, if it is still there.
            Holder::Gone | Holder::Reader if !file::is_named(&file, path).unwrap_or(true) => {
                return found(PidState::Missing, None, "was just released".to_owned());
            }
            Holder::Gone | Holder::Reader => {}
        }
    }
    match content::read(&file).map_err(fail("read"))? {
        Content::Blank => found(PidState::Invalid, None, "is empty".to_owned()),
        Content::Other(what) => found(PidState::Invalid, None, what),
        Content::Pid(pid) => match trust::wrote(pid, &file::facts(&file).map_err(fail("look"))?) {
            Ok(()) => found(PidState::Alive, Some(pid), String::new()),
            Err(reason) => found(PidState::Dead, Some(pid), reason),
        },
    }
}
