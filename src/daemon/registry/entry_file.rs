//! Reads a file in the registry's directory.

use std::ffi::OsStr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::entry::DaemonEntry;
use super::record;
use crate::runtime::Deadline;
use crate::sys::clock;
use crate::sys::file::{self, Facts, Kind, Open};

/// The size of the largest entry, in bytes. A larger file is no entry.
pub(super) const LARGEST: usize = 64 * 1024;

/// How long a file is read again while it is empty: a program that does not replace its file whole may be about to
/// write it.
pub(super) const EMPTY: Duration = Duration::from_millis(50);

/// A file as it was read.
pub(super) struct EntryFile {
    pub(super) facts: Facts,
    /// The entry, or the reason why the file is none.
    pub(super) entry: Result<DaemonEntry, String>,
    /// Whether the file is empty, and has not been empty for long.
    pub(super) is_begun: bool,
}

/// Returns whether a file of this name may be an entry.
pub(super) fn is_entry_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".json") && !name.starts_with(b".")
}

/// Reads a file, without waiting for a program that is about to write it.
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
    // The distance counts in both directions, else a file whose time is ahead of the clock would always be new.
    let age_ns = clock::realtime_ns() - facts.modified_ns;
    let is_begun = text.is_empty() && age_ns.unsigned_abs() <= EMPTY.as_nanos();
    Ok(EntryFile { facts, entry: parse(&text), is_begun })
}

/// Reads a file, and waits a moment for a program that is about to write it.
pub(super) fn read_patiently(path: &Path) -> Result<EntryFile, i32> {
    let deadline = Deadline::after(Some(EMPTY));
    loop {
        let read = read(path)?;
        if !read.is_begun || deadline.is_over() {
            return Ok(read);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads the entry in a file's text. An error is the reason why there is none.
pub(crate) fn parse(text: &[u8]) -> Result<DaemonEntry, String> {
    match text.len() {
        0 => Err("is empty".to_owned()),
        LARGEST.. if text.len() > LARGEST => Err(format!("is larger than {LARGEST} bytes")),
        _ => record::from_json(text),
    }
}
