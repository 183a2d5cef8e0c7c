//! A file in the registry's directory: read, and judged.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::entry::{DaemonEntry, Here, Life};
use super::registry::LARGEST;
use crate::sys::file::{self, Facts, Kind, Open};
use crate::sys::{clock, identity};

/// A file that is empty may be just about to be written, by a program that does not replace it whole: it is looked at
/// again until it has been so for this long.
pub(super) const EMPTY: Duration = Duration::from_millis(50);

/// What was read.
pub(super) struct EntryFile {
    pub(super) facts: Facts,
    /// Or why it is none.
    pub(super) entry: Result<DaemonEntry, String>,
    /// Is it empty, and has not been so for long?
    pub(super) is_begun: bool,
}

/// Reads a file, without waiting for one that is just about to be written.
pub(super) fn read(path: &Path) -> Result<EntryFile, i32> {
    let none =
        |facts, what| Ok(EntryFile { facts, entry: Err(format!("is {what}, not a plain file")), is_begun: false });
    let facts = file::look(path)?;
    if let Kind::Other(what) = facts.kind {
        return none(facts, what);
    }
    let file = file::open(path, Open::Read)?;
    let facts = file::facts(&file)?;
    if let Kind::Other(what) = facts.kind {
        return none(facts, what);
    }
    let text = file::read_start(&file, LARGEST)?;
    // A time that is ahead of the clock would be new for ever.
    let age_ns = clock::realtime_ns() - facts.modified_ns;
    let is_begun = text.is_empty() && age_ns.unsigned_abs() <= EMPTY.as_nanos();
    Ok(EntryFile { facts, entry: parse(&text), is_begun })
}

/// The same, after waiting a moment for one that is about to be written.
pub(super) fn read_patiently(path: &Path) -> Result<EntryFile, i32> {
    let deadline = Instant::now() + EMPTY;
    loop {
        let read = read(path)?;
        if !read.is_begun || Instant::now() >= deadline {
            return Ok(read);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// An entry from a file's text, or why it is none.
pub(crate) fn parse(text: &[u8]) -> Result<DaemonEntry, String> {
    match text.len() {
        0 => Err("is empty".to_owned()),
        LARGEST.. if text.len() > LARGEST => Err(format!("is larger than {LARGEST} bytes")),
        _ => DaemonEntry::from_json(text),
    }
}

/// Who looks at a directory: what to believe there, and what may be changed.
pub(super) struct Judge {
    here: Here,
    user: u32,
    directory: Facts,
}

/// What an entry is worth.
pub(super) enum Worth {
    Alive,
    Dead,
    /// It may live, or not: why that cannot be told.
    Unknown(String),
    /// It says something that its owner has no business to say.
    Disbelieved(String),
}

impl Judge {
    pub(super) fn new(directory: &Facts) -> Judge {
        Judge { here: Here::now(), user: file::effective_user(), directory: *directory }
    }

    /// Is the directory this user's own?
    pub(super) fn is_at_home(&self) -> bool {
        self.directory.owner == self.user
    }

    /// May the file be removed or set aside? Not another user's, in a directory that is another user's.
    pub(super) fn may_change(&self, file: &Facts) -> bool {
        self.is_at_home() || file.owner == self.user
    }

    pub(super) fn worth(&self, facts: &Facts, entry: &DaemonEntry) -> Worth {
        if facts.is_everybodys() {
            return Worth::Disbelieved("may be written by everybody".to_owned());
        }
        let (owner, user) = (facts.owner, self.user);
        let is_believed = owner == 0 || owner == user;
        if !is_believed && self.directory.is_everybodys() {
            let reason = format!("belongs to user {owner}, not to {user}, in a directory that everybody may write");
            return Worth::Disbelieved(reason);
        }
        match entry.life(&self.here) {
            Life::Dead => Worth::Dead,
            Life::Foreign => Worth::Unknown("is of another PID namespace, and was not checked".to_owned()),
            // Users who may write a directory of daemons speak for daemons of their own.
            Life::Alive if !is_believed && identity::runs_as(entry.pid, owner) != Some(true) => {
                Worth::Disbelieved(format!("belongs to user {owner}, and PID {} does not", entry.pid))
            }
            Life::Alive => Worth::Alive,
        }
    }
}
