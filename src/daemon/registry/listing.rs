//! [`Listing`]: what a list of the registry finds.

use std::fmt;
use std::path::PathBuf;

use super::entry::DaemonEntry;
use crate::util::path::quoted;

/// The result of [`Registry::list`](super::Registry::list).
///
/// ```
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// let registry = coreproc::Registry::new(scratch.path().join("daemons"));
/// let listing = registry.list()?;
/// for entry in &listing.entries {
///     println!("{}/{}: PID {}", entry.code, entry.daemon, entry.pid);
/// }
/// for problem in &listing.problems {
///     eprintln!("{problem}");
/// }
/// # assert_eq!(listing, coreproc::Listing::default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The daemons that live, by start, code and daemon.
    pub entries: Vec<DaemonEntry>,
    /// Files that are no entries, and entries that are not believed or could not be checked.
    pub problems: Vec<Problem>,
}

/// A file in the registry that is not among the entries.
///
/// ```
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let registry = coreproc::Registry::new(scratch.path());
/// # std::fs::write(scratch.path().join("damaged.json"), "{").expect("written");
/// let listing = registry.list()?;
/// let problem: &coreproc::RegistryProblem = &listing.problems[0];
/// assert!(problem.file.ends_with("damaged.json"));
/// // The file was set aside, so that the next list does not find it again.
/// assert_eq!(problem.moved_to, Some(registry.dir().join("damaged.json.bad")));
/// println!("{problem}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the file.
    pub file: PathBuf,
    /// The path to which it was set aside; None if it is where it was.
    pub moved_to: Option<PathBuf>,
    /// What is wrong, on one line, to be shown as it is.
    pub reason: String,
}

impl fmt::Display for Problem {
    /// Writes `"FILE": REASON; set aside as "FILE.bad"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", quoted(&self.file), self.reason)?;
        match &self.moved_to {
            Some(to) => write!(f, "; set aside as {}", quoted(to)),
            None => Ok(()),
        }
    }
}

impl Listing {
    /// Sorts it, and keeps only the latest entry of a daemon, which may have two under different names.
    pub(super) fn arrange(&mut self) {
        self.entries.sort_by(|a, b| {
            let key = |e: &DaemonEntry| (e.code.clone(), e.daemon.clone());
            key(a).cmp(&key(b)).then(b.started.cmp(&a.started))
        });
        self.entries.dedup_by(|later, kept| kept.is_namesake(&later.code, &later.daemon));
        // The sort is stable: entries with the same start stay ordered by code and daemon.
        self.entries.sort_by_key(|entry| entry.started);
        self.problems.sort_by(|a, b| a.file.cmp(&b.file));
    }
}
