//! [`Directory`]: the registry's directory, with the lock under which names in it change.
//!
//! A file is replaced whole: written under another name, synced, renamed, and the directory synced, so that a crash at
//! any point leaves the old entry or the new one. Reading needs no lock. A process that changes which names there are,
//! or reads the names, holds the lock of `.lock` for that moment: a list that has found an entry dead never removes the
//! entry that the daemon's successor has just written.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names;
use crate::daemon::lock_file::{self, Locked};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Deadline;
use crate::sys::clock;
use crate::sys::file::{self, Facts, Kind, Obstacle, Open};
use crate::util::draft::Draft;
use crate::util::path::quoted;

/// The file of the lock.
const LOCK: &str = ".lock";
/// The start of the names of files that are on their way to become entries.
const DRAFT: &str = ".entry-";

/// The directory in which entries are kept. Any number of processes may use one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory(PathBuf);

/// Whether the lock's file may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LockFile {
    Made,
    /// It may not be made: without the file, no process holds the lock, and it cannot be taken.
    Found,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Directory {
        Directory(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the path for a message.
    pub(super) fn quoted(&self) -> String {
        quoted(&self.0)
    }

    /// Returns the path of the file of this name.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the directory, with those above it, if they are missing.
    pub(super) fn make(&self) -> std::result::Result<(), i32> {
        file::make_directories(&self.0)
    }

    /// Returns what the kernel says of it, links followed.
    pub(super) fn facts(&self) -> std::result::Result<Facts, i32> {
        file::look_through(&self.0)
    }

    /// Returns the names in it, in the order of their bytes.
    pub(super) fn names(&self) -> std::result::Result<Vec<OsString>, i32> {
        file::names(&self.0)
    }

    /// Makes the names that it has now survive a crash of the system.
    pub(super) fn sync(&self) -> std::result::Result<(), i32> {
        file::sync_directory(&self.0)
    }

    /// Takes the lock, and waits for it no longer than `patience`.
    pub(super) fn lock(&self, operation: &'static str, patience: Duration, how: LockFile) -> Result<DirectoryLock> {
        let facts = self.facts().map_err(|errno| Error::system(operation, "look at folder", errno))?;
        // A process that holds the lock holds up all others, so only users that may write the directory may open the
        // lock's file.
        let mode = if facts.mode & libc::S_IWGRP == 0 { 0o600 } else { 0o660 };
        let how = if how == LockFile::Made { Open::Keep(mode) } else { Open::Write };
        let check = |file: &File| self.check_lock(operation, file, mode, &facts);
        match lock_file::lock(operation, &self.join(LOCK), how, Deadline::after(Some(patience)), check)? {
            Locked::Yes(file) => Ok(DirectoryLock(file)),
            Locked::Unsupported(error) => Err(error),
            Locked::Busy => {
                let patience = clock::exact(patience);
                let reason = format!("the lock of {} is held for longer than {patience}", self.quoted());
                Err(Error::new(ErrorKind::Busy, operation, reason))
            }
        }
    }

    /// Refuses a lock file that another user may have put there. A file of ours gets its mode, whatever the umask was.
    fn check_lock(&self, operation: &'static str, file: &File, mode: u32, directory: &Facts) -> Result<()> {
        let facts = file::facts(file).map_err(|errno| Error::system(operation, "look at lock", errno))?;
        let user = file::effective_user();
        let refused = |why: String| {
            let reason = format!("the lock {LOCK:?} of {} {why}", self.quoted());
            Err(Error::new(ErrorKind::PermissionDenied, operation, reason))
        };
        if let Kind::Other(what) = facts.kind {
            return refused(format!("is {what}, not a plain file"));
        }
        if facts.links > 1 {
            // Its mode is changed below, and so would be that of the file with the other names.
            return refused(format!("has {} names", facts.links));
        }
        let may_be_shared = directory.mode & libc::S_IWGRP != 0;
        if !may_be_shared && ![0, user, directory.owner].contains(&facts.owner) {
            return refused(format!("belongs to user {}, not to {user}", facts.owner));
        }
        // Some file systems know neither modes nor owners, so errors are ignored.
        if facts.owner == user && facts.mode & 0o777 != mode {
            let _ = file::set_mode(file, mode);
        }
        if facts.owner == user && user == 0 && directory.owner != 0 {
            // Root must not keep the directory's owner out.
            let _ = file::give_to(file, directory.owner);
        }
        Ok(())
    }

    /// Writes a file that is to become an entry. It stays locked until it is published or dropped, so that a file that
    /// a crash has left behind is told from one that is being written.
    pub(super) fn draft(&self, operation: &'static str, text: &[u8]) -> Result<Draft> {
        loop {
            let fail = |errno| Error::system(operation, "create", errno);
            let path_of = |pid, number| self.join(format!("{DRAFT}{pid}-{number}"));
            let draft = Draft::create(0o644, path_of).map_err(fail)?;
            // A list that is faster takes it for a draft that was left behind.
            if !file::lock(draft.file()).map_err(fail)? {
                continue;
            }
            draft.write(text).map_err(|(stage, errno)| Error::system(operation, stage, errno))?;
            return Ok(draft);
        }
    }
}

/// The lock of a directory, which is given back when this is dropped.
pub(super) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // A close alone does not do: a child of fork may have a copy.
        let _ = file::unlock(&self.0);
    }
}

/// Returns whether it is the name of a file that is on its way to become an entry.
pub(super) fn is_draft_name(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(DRAFT.as_bytes())
}

/// Removes a draft if its writer is gone. A read lock, which any process can take, says nothing of a writer. The caller
/// holds the directory's lock.
pub(super) fn remove_abandoned_draft(path: &Path) {
    if let Ok(file) = file::open(path, Open::Write)
        && matches!(file::obstacle(&file), Ok(Obstacle::Nothing | Obstacle::Reader))
    {
        let _ = file::unlink(path);
    }
}

/// Renames a file that is no entry to its name, cut if that would be too long, and `.bad`, `.bad2` and so on. Returns
/// its new path; None if it could not be renamed.
pub(super) fn set_aside(path: &Path) -> Option<PathBuf> {
    const MOST: u32 = 999;
    let name = path.file_name()?.as_bytes();
    let mut number = 1;
    loop {
        let end = if number == 1 { ".bad".to_owned() } else { format!(".bad{number}") };
        let kept = &name[..name.len().min(names::NAME_MAX - end.len())];
        let to = path.with_file_name(OsStr::from_bytes(&[kept, end.as_bytes()].concat()));
        match file::rename_to_new(path, &to) {
            Ok(()) => return Some(to),
            Err(libc::EEXIST) if number < MOST => number += 1,
            Err(_) => return None,
        }
    }
}
