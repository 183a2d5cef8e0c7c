//! [`PidFile`]: the handle, which callers hold.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::acquire::{HeldFile, acquire};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::lock;
use crate::sys::fork;
use crate::util::path::quoted;

const ACQUIRE: &str = "acquire PID file";
const RELEASE: &str = "release PID file";

/// A file that holds this process's PID, locked while it is held. Thread-safe.
///
/// A file that is held when this is dropped is released. In a child of fork, which has a copy of the lock, a drop
/// changes nothing for the parent. If the parent ends without a release while such a child lives, the file still counts
/// as held.
///
/// ```
/// use coreproc::{PidFile, PidState, read_pid};
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let path = scratch.path().join("mailer.pid");
/// let pid_file = PidFile::new(&path);
/// pid_file.acquire()?;
/// assert_eq!(read_pid(&path)?.state, PidState::Alive);
/// pid_file.release()?;
/// assert_eq!(read_pid(&path)?.state, PidState::Missing);
/// # Ok(())
/// # }
/// ```
pub struct PidFile {
    path: PathBuf,
    held: Mutex<Option<HeldFile>>,
}

impl PidFile {
    /// Makes a PID file with this path, which is not held yet.
    pub fn new(path: impl Into<PathBuf>) -> PidFile {
        PidFile { path: path.into(), held: Mutex::new(None) }
    }

    /// Returns the path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether this handle holds the file.
    pub fn is_held(&self) -> bool {
        !fork::is_child() && lock(&self.held).is_some()
    }

    /// Takes the file for this process: makes it, with the directories above, or takes over a stale one, and writes the
    /// PID in decimal. Of many processes that start at once exactly one gets it. A read lock, which every process that
    /// may read the file can take, is not in the way: the file is then replaced by a new one.
    ///
    /// # Errors
    ///
    /// `Busy` if a daemon that lives has the file; the error names its PID if that is certain. `InvalidState` if this
    /// handle holds it already. `InvalidArgument` if the path names a symbolic link, a directory, or anything else that
    /// is no plain file. `PermissionDenied` if the file belongs to another user, if every user may write it, or if
    /// every user may replace what is in one of the directories above. `Malformed` if the file holds something other
    /// than a PID; it is left as it is. `System` and the like for other errors of the kernel.
    pub fn acquire(&self) -> Result<()> {
        fork::check_original(ACQUIRE)?;
        let subject = |error: Error| error.on(self.quoted());
        let mut held = lock(&self.held);
        if held.is_some() {
            return Err(subject(Error::new(ErrorKind::InvalidState, ACQUIRE, "is held already, by this handle")));
        }
        let path = absolute(&self.path).map_err(subject)?;
        *held = Some(acquire(path).map_err(subject)?);
        Ok(())
    }

    /// Removes the file, if the path still names it, and gives the lock back. If it is not held, there is nothing to
    /// do.
    ///
    /// # Errors
    ///
    /// `Forked` in a child of fork: only the process that acquired the file may release it. `PermissionDenied`,
    /// `System` and the like if the file could not be removed; the lock is given back in any case, and the file is
    /// emptied if that is possible.
    pub fn release(&self) -> Result<()> {
        fork::check_original(RELEASE)?;
        match lock(&self.held).take() {
            None => Ok(()),
            Some(held) => held.release(RELEASE).map_err(|error| error.on(self.quoted())),
        }
    }

    fn quoted(&self) -> String {
        quoted(&self.path)
    }
}

impl fmt::Debug for PidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PidFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if !fork::is_child() {
            // There is no caller to get the error.
            let _ = self.release();
        }
    }
}

/// Returns the path from the root. It must name a file in a directory.
fn absolute(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        return Err(Error::invalid(ACQUIRE, "the path is empty"));
    }
    if bytes.contains(&0) {
        return Err(Error::invalid(ACQUIRE, "the path has a NUL byte"));
    }
    if path.file_name().is_none() || bytes.ends_with(b"/") {
        return Err(Error::invalid(ACQUIRE, "the path names no file"));
    }
    std::path::absolute(path)
        .map_err(|error| Error::system(ACQUIRE, "current directory", error.raw_os_error().unwrap_or(libc::ENOENT)))
}
