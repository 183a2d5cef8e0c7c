//! The registry: which daemons of a user run. It is a directory with one JSON file for each daemon.
//!
//! `registry` is what callers hold. `entry` is a daemon as callers see it, `record` its JSON, `names` the file names,
//! `entry_file` reads a file, and `judge` says what an entry is worth. `directory` is the directory with its lock, in
//! which entries are replaced, set aside and removed. `scan` lists it, and `listing` is what that finds.

mod directory;
mod entry;
mod entry_file;
mod judge;
mod listing;
mod names;
mod record;
#[allow(clippy::module_inception, reason = "the file is named like the type in it")]
mod registry;
mod scan;

pub use entry::DaemonEntry;
#[cfg(feature = "fuzzing")]
pub(crate) use entry_file::parse as parse_entry;
pub use listing::{Listing, Problem as RegistryProblem};
pub use names::RegistryNames;
pub(super) use registry::PATIENCE;
pub use registry::Registry;

/// Makes the text of an entry's file.
#[cfg(feature = "fuzzing")]
pub(crate) fn write_entry(entry: &DaemonEntry) -> std::result::Result<Vec<u8>, String> {
    record::to_json(entry)
}
