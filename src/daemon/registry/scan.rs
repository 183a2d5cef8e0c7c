//! Lists the registry: reads all files, removes the entries of dead daemons, and sets aside files that are no entries.
//!
//! Files are read without the directory's lock, so that many files, or slow ones, hold up no other process. The lock is
//! held while the names are read, because on some file systems a reader of a directory may miss a name while names
//! change; and, for a few files at a time, to look again at those that were found dead or no entries, and to remove
//! them or set them aside.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::directory::{Directory, DirectoryLock, LockFile, is_draft_name, remove_abandoned_draft, set_aside};
use super::entry_file::{self, EMPTY, EntryFile, is_entry_name};
use super::judge::{Judge, Worth};
use super::listing::{Listing, Problem};
use crate::error::{Error, Result, describe_errno};
use crate::runtime::Deadline;
use crate::sys::file::{self, Facts};

/// How often names that vanish while they are read are looked for again. Each time another process has changed
/// something.
const ROUNDS: usize = 16;
/// How many files are tidied up under one hold of the lock.
const BATCH: usize = 64;
/// The pause between two holds, in which other processes see that the lock is free.
const BREATH: Duration = Duration::from_millis(2);

/// Lists the directory, and waits for its lock no longer than `patience` each time.
pub(super) fn list(
    operation: &'static str,
    directory: &Directory,
    facts: &Facts,
    patience: Duration,
) -> Result<Listing> {
    let mut scan = Scan {
        operation,
        directory,
        patience,
        judge: Judge::new(facts),
        may_lock: true,
        begun: Vec::new(),
        chores: Vec::new(),
        listing: Listing::default(),
    };
    if facts.lets_everybody_replace() {
        let reason = "may be written by everybody and is not sticky: anybody may have removed entries from it";
        scan.problem(directory.path().to_owned(), reason.to_owned());
    }
    scan.look()?;
    scan.await_begun();
    scan.tidy_up();
    scan.listing.arrange();
    Ok(scan.listing)
}

struct Scan<'a> {
    operation: &'static str,
    directory: &'a Directory,
    patience: Duration,
    judge: Judge,
    /// Whether the lock may be taken: not in directories of other users and on file systems that cannot be written,
    /// which are read without the lock and in which nothing is changed.
    may_lock: bool,
    /// Files that a program may be about to write.
    begun: Vec<PathBuf>,
    /// Files that are to be tidied up under the lock.
    chores: Vec<PathBuf>,
    listing: Listing,
}

impl Scan<'_> {
    /// Looks at every file.
    fn look(&mut self) -> Result<()> {
        let mut looked_at = HashSet::new();
        for _ in 0..ROUNDS {
            let mut has_vanished = false;
            for name in self.names()? {
                if looked_at.contains(&name) {
                    continue;
                }
                let path = self.directory.join(&name);
                let is_there = match (is_entry_name(&name), is_draft_name(&name)) {
                    (true, _) => self.look_at(path),
                    (false, is_draft) => {
                        if is_draft && self.may_lock {
                            self.chores.push(path);
                        }
                        true
                    }
                };
                has_vanished |= !is_there;
                if is_there {
                    looked_at.insert(name);
                }
            }
            // A file that has vanished may have a new name.
            if !has_vanished {
                break;
            }
        }
        Ok(())
    }

    fn names(&mut self) -> Result<Vec<OsString>> {
        let _lock = self.lock();
        let fail = |errno| Error::system(self.operation, "read folder", errno).on(self.directory.quoted());
        self.directory.names().map_err(fail)
    }

    /// Takes the lock, if that is possible; without it, nothing more is changed.
    fn lock(&mut self) -> Option<DirectoryLock> {
        // In the directory of another user, a lock file of ours would be in that user's way.
        let how = if self.judge.is_at_home() { LockFile::Made } else { LockFile::Found };
        let lock = self.may_lock.then(|| self.directory.lock(self.operation, self.patience, how).ok()).flatten();
        self.may_lock = lock.is_some();
        lock
    }

    /// Looks at one file; false if it is gone.
    fn look_at(&mut self, path: PathBuf) -> bool {
        match entry_file::read(&path) {
            Ok(read) if read.is_begun => self.begun.push(path),
            Ok(read) => self.judge(path, read),
            Err(libc::ENOENT | libc::ENOTDIR) => return false,
            Err(errno) => self.problem(path, describe_errno(errno)),
        }
        true
    }

    /// Puts what was read where it belongs: entries, problems, or chores.
    fn judge(&mut self, path: PathBuf, read: EntryFile) {
        let may_change = self.may_lock && self.judge.may_change(&read.facts);
        match read.entry {
            Ok(entry) => match self.judge.worth(&read.facts, &entry) {
                Worth::Alive => self.listing.entries.push(entry),
                Worth::Dead if may_change => self.chores.push(path),
                Worth::Dead => {}
                Worth::Unknown(reason) | Worth::Disbelieved(reason) => self.problem(path, reason),
            },
            Err(_) if may_change => self.chores.push(path),
            Err(reason) => self.problem(path, reason),
        }
    }

    fn problem(&mut self, file: PathBuf, reason: String) {
        self.listing.problems.push(Problem { file, moved_to: None, reason });
    }

    /// Waits, once for all files that may be about to be written, until they are written or have been empty for too
    /// long.
    fn await_begun(&mut self) {
        let deadline = Deadline::after(Some(EMPTY));
        let mut begun = std::mem::take(&mut self.begun);
        while !begun.is_empty() && !deadline.is_over() {
            thread::sleep(EMPTY / 5);
            for path in std::mem::take(&mut begun) {
                self.look_at(path);
            }
            begun = std::mem::take(&mut self.begun);
        }
        for path in begun {
            if let Ok(read) = entry_file::read(&path) {
                self.judge(path, read);
            }
        }
    }

    /// Tidies up all files that need the lock.
    fn tidy_up(&mut self) {
        let chores = std::mem::take(&mut self.chores);
        for (index, batch) in chores.chunks(BATCH).enumerate() {
            if index > 0 {
                thread::sleep(BREATH);
            }
            let lock = self.lock();
            for path in batch {
                self.tidy(path, lock.is_some());
            }
        }
    }

    /// Looks again at one file, and changes it if it is locked and still what it was found to be.
    fn tidy(&mut self, path: &Path, is_locked: bool) {
        if path.file_name().is_some_and(is_draft_name) {
            if is_locked {
                remove_abandoned_draft(path);
            }
            return;
        }
        let Ok(read) = entry_file::read(path) else { return };
        match &read.entry {
            Ok(entry) if is_locked => match self.judge.worth(&read.facts, entry) {
                // An entry that cannot be removed, perhaps because another list was faster, is dead in any case.
                Worth::Dead if self.judge.may_change(&read.facts) => _ = file::unlink(path),
                _ => self.judge(path.to_owned(), read),
            },
            Err(reason) if is_locked && self.judge.may_change(&read.facts) => {
                let moved_to = set_aside(path);
                self.listing.problems.push(Problem { file: path.to_owned(), moved_to, reason: reason.clone() });
            }
            _ => self.judge(path.to_owned(), read),
        }
    }
}
