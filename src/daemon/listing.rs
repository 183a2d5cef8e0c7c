//! [`Registry::list`]: all entries, and what is done about those that are dead or none.
//!
//! Reading is without the folder's lock, so that many files, or slow ones, hold up nobody. It is held for the names,
//! because a folder that is read while names in it change may miss one on some file systems; and, for a few files at a time, to look again
//! at what was found dead or to be none, and to remove it or set it aside.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::entry::DaemonEntry;
use super::entry_file::{self, EMPTY, EntryFile, Judge, Worth};
use super::names;
use super::registry::{Draft, FolderLock, LIST, LockFile, PATIENCE, Registry, is_entry_name};
use crate::error::{Error, Result, describe_errno, quoted};
use crate::sys::file::{self, Facts};

/// Names that vanish while they are read are looked for again so often; each time somebody has changed something.
const ROUNDS: usize = 16;
/// So many files are tidied up in one hold of the lock.
const BATCH: usize = 64;
/// In between others have time to see that it is free.
const BREATH: Duration = Duration::from_millis(2);

/// What [`Registry::list`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The daemons that live, by start, code and daemon.
    pub entries: Vec<DaemonEntry>,
    /// Files that are no entries, or entries that are not believed or could not be checked.
    pub problems: Vec<Problem>,
}

/// A file in the registry that is not among the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its path.
    pub file: PathBuf,
    /// Where it was set aside to; None: it is where it was.
    pub moved_to: Option<PathBuf>,
    /// What is wrong, to be shown as it is.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    /// `"FILE": REASON; set aside as "FILE.bad"`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |path: &Path| quoted(path.as_os_str().as_encoded_bytes());
        write!(f, "{}: {}", name(&self.file), self.reason)?;
        match &self.moved_to {
            Some(to) => write!(f, "; set aside as {}", name(to)),
            None => Ok(()),
        }
    }
}

impl Listing {
    /// In order, and of one daemon only the latest entry: it may have two under different names.
    fn arrange(&mut self) {
        self.entries.sort_by(|a, b| {
            let key = |e: &DaemonEntry| (e.code.clone(), e.daemon.clone());
            key(a).cmp(&key(b)).then(b.started.cmp(&a.started))
        });
        self.entries.dedup_by(|later, kept| kept.is_namesake(&later.code, &later.daemon));
        // Stable: by code and daemon where the start is the same.
        self.entries.sort_by_key(|entry| entry.started);
        self.problems.sort_by(|a, b| a.file.cmp(&b.file));
    }
}

pub(super) fn list(registry: &Registry, directory: &Facts) -> Result<Listing> {
    let mut scan = Scan {
        registry,
        judge: Judge::new(directory),
        may_lock: true,
        begun: Vec::new(),
        chores: Vec::new(),
        listing: Listing::default(),
    };
    if directory.lets_everybody_replace() {
        let reason = "may be written by everybody and is not sticky: anybody may have removed entries from it";
        scan.problem(registry.dir().to_owned(), reason.to_owned());
    }
    scan.look()?;
    scan.await_begun();
    scan.tidy_up();
    scan.listing.arrange();
    Ok(scan.listing)
}

struct Scan<'a> {
    registry: &'a Registry,
    judge: Judge,
    /// Others' folders, and file systems that cannot be written, can be read without the lock; nothing is changed then.
    may_lock: bool,
    /// Files that somebody may be about to write.
    begun: Vec<PathBuf>,
    /// Files that need the lock.
    chores: Vec<PathBuf>,
    listing: Listing,
}

impl Scan<'_> {
    fn look(&mut self) -> Result<()> {
        let mut looked_at = HashSet::new();
        for _ in 0..ROUNDS {
            let mut has_vanished = false;
            for name in self.names()? {
                if looked_at.contains(&name) {
                    continue;
                }
                let path = self.registry.dir().join(&name);
                let is_there = match (is_entry_name(&name), Draft::is_name(&name)) {
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
            // What has vanished may have got another name.
            if !has_vanished {
                break;
            }
        }
        Ok(())
    }

    fn names(&mut self) -> Result<Vec<OsString>> {
        let _lock = self.lock();
        let fail = |errno| Error::system(LIST, "read folder", errno).on(self.registry.quoted());
        file::names(self.registry.dir()).map_err(fail)
    }

    fn lock(&mut self) -> Option<FolderLock> {
        // In a folder of somebody else's a lock of ours would be in their way.
        let how = if self.judge.is_at_home() { LockFile::Made } else { LockFile::Found };
        let lock = self.may_lock.then(|| self.registry.lock(LIST, PATIENCE, how).ok()).flatten();
        self.may_lock = lock.is_some();
        lock
    }

    /// False: it is not there any more.
    fn look_at(&mut self, path: PathBuf) -> bool {
        match entry_file::read(&path) {
            Ok(read) if read.is_begun => self.begun.push(path),
            Ok(read) => self.judge(path, read),
            Err(libc::ENOENT | libc::ENOTDIR) => return false,
            Err(errno) => self.problem(path, describe_errno(errno)),
        }
        true
    }

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

    /// Waits, once for all of them, until they are written or have been empty for too long.
    fn await_begun(&mut self) {
        let deadline = Instant::now() + EMPTY;
        let mut begun = std::mem::take(&mut self.begun);
        while !begun.is_empty() && Instant::now() < deadline {
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

    /// With the lock, what it was found to be may be changed, if it still is.
    fn tidy(&mut self, path: &Path, is_locked: bool) {
        if path.file_name().is_some_and(Draft::is_name) {
            if is_locked {
                Draft::clean(path);
            }
            return;
        }
        let Ok(read) = entry_file::read(path) else { return };
        match &read.entry {
            Ok(entry) if is_locked => match self.judge.worth(&read.facts, entry) {
                // Another list may have been faster; an entry that cannot be removed is dead all the same.
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

/// Renames a file that is no entry to its name, cut where it would be too long, and `.bad`, `.bad2` and so on; where
/// to, if that worked.
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
