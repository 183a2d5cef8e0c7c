//! [`Registry`]: which daemons of a user run.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::directory::{Directory, LockFile, set_aside};
use super::entry::DaemonEntry;
use super::entry_file::{self, EntryFile, LARGEST, is_entry_name};
use super::judge::{Judge, Worth};
use super::listing::Listing;
use super::names::{self, RegistryNames};
use super::{record, scan};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::file::{self, Facts};
use crate::sys::{fork, identity};
use crate::util::path::quoted;

const OPEN: &str = "open registry";
const REGISTER: &str = "register daemon";
const UNREGISTER: &str = "unregister daemon";
const GET: &str = "get daemon";
const LIST: &str = "list daemons";

/// How long a call waits for the directory's lock, which is held for moments: a process that is stopped while it holds
/// the lock must not stop all others.
pub(in crate::daemon) const PATIENCE: Duration = Duration::from_secs(5);

/// A directory with an entry for each daemon. Cheap to clone; thread-safe; any number of processes may use one
/// directory.
///
/// ```
/// use coreproc::{DaemonEntry, Registry};
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let directory = scratch.path().join("daemons");
/// // For the user's own registry: Registry::new(Registry::default_dir()?)
/// let registry = Registry::new(directory);
/// let entry = registry.register(&DaemonEntry {
///     code: "shop".to_owned(),
///     daemon: "mailer".to_owned(),
///     pid: std::process::id() as i32,
///     ..DaemonEntry::default()
/// })?;
/// assert_eq!(registry.get("shop", "mailer")?, Some(entry.clone()));
/// registry.unregister_own(&entry)?;
/// assert_eq!(registry.get("shop", "mailer")?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    directory: Directory,
    names: RegistryNames,
}

impl Registry {
    /// Makes the registry in this directory, which is created when the first daemon is registered.
    pub fn new(directory: impl Into<PathBuf>) -> Registry {
        let directory = directory.into();
        // The path stays the same after a change of the working directory. The first use of an empty path fails.
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        Registry { directory: Directory::new(directory), names: RegistryNames::default() }
    }

    /// Returns the registry in the same directory that names the files which it writes in this way.
    #[must_use]
    pub fn with_names(mut self, names: RegistryNames) -> Registry {
        self.names = names;
        self
    }

    /// Returns the directory of the user's registry: `$HOME/.core/daemons`.
    ///
    /// # Errors
    ///
    /// `NotFound` if HOME is not set. `InvalidArgument` if it is no absolute path.
    pub fn default_dir() -> Result<PathBuf> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.ok_or_else(|| Error::new(ErrorKind::NotFound, OPEN, "HOME is not set"))?;
        let home = PathBuf::from(home);
        if !home.is_absolute() {
            return Err(Error::invalid(OPEN, format!("HOME: {} is not an absolute path", quoted(&home))));
        }
        Ok(home.join(".core/daemons"))
    }

    /// Returns the path of its directory.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// Fails if the entry cannot be registered, with the field that is in the way.
    pub(in crate::daemon) fn check_entry(entry: &DaemonEntry) -> std::result::Result<(), String> {
        names::file_name(&entry.code, &entry.daemon).and_then(|_| record::check_texts(entry))
    }

    /// Writes the entry of a daemon in place of an earlier one with the same code and name, and returns it as it was
    /// written: `started` is now if it was not given, and `process` is what the kernel says of `pid`. An entry whose
    /// PID does not run is written too; the next reader finds it dead.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if a field cannot be written; the error names it. `Busy` if another daemon has the file, or a
    /// process holds the directory's lock for longer than 5 s. `PermissionDenied` also if every user may write the
    /// directory and it is not sticky, or if its lock belongs to another user. `System` and the like for other errors
    /// of the kernel. The earlier entry is then as it was, unless only the last step failed, "sync folder": the new
    /// entry is in place, but a crash of the system may lose it.
    pub fn register(&self, entry: &DaemonEntry) -> Result<DaemonEntry> {
        fork::check_original(REGISTER)?;
        let subject = |error: Error| error.on(subject_of(&entry.code, &entry.daemon));
        let name = self.names.first(&entry.code, &entry.daemon);
        let name = name.map_err(|reason| subject(Error::invalid(REGISTER, reason)))?;
        let mut entry = entry.clone();
        entry.started.get_or_insert_with(SystemTime::now);
        entry.process = identity::start_of(entry.pid);
        entry.pid_namespace = identity::pid_namespace();
        let text = record::to_json(&entry).map_err(|reason| subject(Error::invalid(REGISTER, reason)))?;
        if text.len() > LARGEST {
            let reason = format!("is {} bytes of JSON, more than {LARGEST}", text.len());
            return Err(subject(Error::invalid(REGISTER, reason)));
        }
        self.replace(&entry, &name, &text).map_err(subject)?;
        Ok(entry)
    }

    /// Puts the entry's text in place of the daemon's earlier entry.
    fn replace(&self, entry: &DaemonEntry, name: &str, text: &[u8]) -> Result<()> {
        let fail = |stage| move |errno| Error::system(REGISTER, stage, errno);
        self.directory.make().map_err(fail("make folder"))?;
        if self.directory.facts().map_err(fail("look at folder"))?.lets_everybody_replace() {
            let directory = self.directory.quoted();
            let reason = format!("the directory {directory} may be written by everybody and is not sticky");
            return Err(Error::new(ErrorKind::PermissionDenied, REGISTER, reason));
        }
        let encoded = names::file_name(&entry.code, &entry.daemon).unwrap_or_default();
        loop {
            let draft = self.directory.draft(REGISTER, text)?;
            let _lock = self.directory.lock(REGISTER, PATIENCE, LockFile::Made)?;
            let name = if name != encoded && self.is_of_another(name, entry) { &encoded } else { name };
            let path = self.directory.join(name);
            match entry_file::read_patiently(&path).map(|read| read.entry) {
                Ok(Ok(other)) if !other.is_namesake(&entry.code, &entry.daemon) => {
                    let other = subject_of(&other.code, &other.daemon);
                    return Err(Error::new(ErrorKind::Busy, REGISTER, format!("{name:?} is the file of {other}")));
                }
                Ok(Err(_)) if set_aside(&path).is_none() => {
                    let reason = format!("{name:?} is no entry, and could not be set aside");
                    return Err(Error::new(ErrorKind::Busy, REGISTER, reason));
                }
                _ => {}
            }
            match draft.publish(&path) {
                Ok(()) => {}
                // A list took the draft for one that was left behind.
                Err(libc::ENOENT) => continue,
                Err(errno) => return Err(fail("rename")(errno)),
            }
            let plain = names::plain_file_name(&entry.code, &entry.daemon);
            for other in [Some(encoded.clone()), plain].into_iter().flatten().filter(|other| other != name) {
                remove_if(&self.directory.join(other), |old| old.is_namesake(&entry.code, &entry.daemon))
                    .map_err(fail("remove old entry"))?;
            }
            break;
        }
        self.directory.sync().map_err(fail("sync folder"))
    }

    /// Returns whether the file of this name holds another daemon's entry, or cannot be read.
    fn is_of_another(&self, name: &str, entry: &DaemonEntry) -> bool {
        match entry_file::read(&self.directory.join(name)) {
            Ok(EntryFile { entry: Ok(other), .. }) => !other.is_namesake(&entry.code, &entry.daemon),
            Ok(_) | Err(libc::ENOENT | libc::ENOTDIR) => false,
            Err(_) => true,
        }
    }

    /// Removes the entry of a daemon. Without an entry there is nothing to do.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the code or the name is empty. `Busy` if a process holds the directory's lock for longer
    /// than 5 s. `PermissionDenied`, `System` and the like for other errors of the kernel.
    pub fn unregister(&self, code: &str, daemon: &str) -> Result<()> {
        self.remove(code, daemon, PATIENCE, |_| true)
    }

    /// Removes the entry that [`Registry::register`] returned, if it was written for the same process: a successor that
    /// has registered in between keeps its own.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::unregister`].
    pub fn unregister_own(&self, entry: &DaemonEntry) -> Result<()> {
        self.unregister_own_within(entry, PATIENCE)
    }

    /// Like [`Registry::unregister_own`], with this limit for the lock. Zero waits for nothing, not even for the disk.
    pub(in crate::daemon) fn unregister_own_within(&self, entry: &DaemonEntry, patience: Duration) -> Result<()> {
        self.remove(&entry.code, &entry.daemon, patience, |found| found.is_of_same_process(entry))
    }

    fn remove(
        &self,
        code: &str,
        daemon: &str,
        patience: Duration,
        is_meant: impl Fn(&DaemonEntry) -> bool,
    ) -> Result<()> {
        fork::check_original(UNREGISTER)?;
        let subject = |error: Error| error.on(subject_of(code, daemon));
        let name = names::file_name(code, daemon).map_err(|reason| subject(Error::invalid(UNREGISTER, reason)))?;
        let fail = |stage| move |errno| subject(Error::system(UNREGISTER, stage, errno));
        match self.directory.facts() {
            Err(libc::ENOENT | libc::ENOTDIR) => return Ok(()),
            Err(errno) => return Err(fail("look at folder")(errno)),
            Ok(_) => {}
        }
        // If there is nothing to remove, nothing is written, not even the lock.
        let paths = self.paths_of(&name, code, daemon).map_err(fail("read folder"))?;
        if paths.is_empty() {
            return Ok(());
        }
        {
            let _lock = self.directory.lock(UNREGISTER, patience, LockFile::Made).map_err(subject)?;
            for path in paths {
                remove_if(&path, |entry| entry.is_namesake(code, daemon) && is_meant(entry)).map_err(fail("remove"))?;
            }
        }
        if patience.is_zero() {
            // If a crash of the system brings the entry back, its process is dead, too.
            return Ok(());
        }
        self.directory.sync().map_err(fail("sync folder"))
    }

    /// Returns the entry of a daemon that lives; None if there is none, or its process is dead or belongs to another
    /// PID namespace.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the code or the name is empty. `Malformed` if the daemon's file is no entry.
    /// `PermissionDenied` also if the entry is not believed, because of its file's owner or mode. `System` and the like
    /// for other errors of the kernel.
    pub fn get(&self, code: &str, daemon: &str) -> Result<Option<DaemonEntry>> {
        fork::check_original(GET)?;
        let subject = |error: Error| error.on(subject_of(code, daemon));
        let fail = |stage| move |errno| subject(Error::system(GET, stage, errno));
        let name = names::file_name(code, daemon).map_err(|reason| subject(Error::invalid(GET, reason)))?;
        let judge = match self.directory.facts() {
            Ok(directory) => Judge::new(&directory),
            Err(libc::ENOENT | libc::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(fail("look at folder")(errno)),
        };
        let mut disbelieved = None;
        let mut known = |path: &Path, facts: &Facts, entry: DaemonEntry| match judge.worth(facts, &entry) {
            Worth::Alive => Some(entry),
            Worth::Dead | Worth::Unknown(_) => None,
            Worth::Disbelieved(reason) => {
                let path = quoted(path.file_name().unwrap_or_default().as_ref());
                disbelieved = Some(format!("{path}: {reason}"));
                None
            }
        };
        let first = self.names.first(code, daemon).unwrap_or_default();
        let path = self.directory.join(&first);
        match entry_file::read_patiently(&path) {
            Ok(EntryFile { entry: Ok(entry), facts, .. }) if entry.is_namesake(code, daemon) => {
                if let Some(entry) = known(&path, &facts, entry) {
                    return Ok(Some(entry));
                }
            }
            // A file with a plain name may be another daemon's.
            Ok(EntryFile { entry: Err(_), .. }) | Err(_) if first != name => {}
            Ok(EntryFile { entry: Err(reason), .. }) => {
                return Err(subject(Error::new(ErrorKind::Malformed, GET, format!("{name:?}: {reason}"))));
            }
            Ok(_) | Err(libc::ENOENT | libc::ENOTDIR) => {}
            Err(errno) => return Err(fail("read")(errno)),
        }
        // A program that names its files in its own way may have written it.
        let paths = match self.paths_of(&name, code, daemon) {
            Ok(paths) => paths,
            Err(libc::ENOENT | libc::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(fail("read folder")(errno)),
        };
        let found = paths.iter().filter_map(|path| match entry_file::read(path) {
            Ok(EntryFile { entry: Ok(entry), facts, .. }) if entry.is_namesake(code, daemon) => {
                known(path, &facts, entry)
            }
            _ => None,
        });
        match (found.max_by_key(|entry| entry.started), disbelieved) {
            (None, Some(reason)) => Err(subject(Error::new(ErrorKind::PermissionDenied, GET, reason))),
            (found, _) => Ok(found),
        }
    }

    /// Returns the files that hold, or may hold, this daemon's entry: those of its two names or, if it is in neither,
    /// any others.
    fn paths_of(&self, name: &str, code: &str, daemon: &str) -> std::result::Result<Vec<PathBuf>, i32> {
        let holds_it = |path: &PathBuf| match entry_file::read(path).map(|read| read.entry) {
            Ok(entry) => entry.is_ok_and(|entry| entry.is_namesake(code, daemon)),
            Err(errno) => ![libc::ENOENT, libc::ENOTDIR].contains(&errno),
        };
        let plain = names::plain_file_name(code, daemon).filter(|plain| plain != name);
        let usual = [Some(name.to_owned()), plain].into_iter().flatten().map(|name| self.directory.join(name));
        let usual: Vec<PathBuf> = usual.filter(holds_it).collect();
        if !usual.is_empty() {
            return Ok(usual);
        }
        let names = self.directory.names()?.into_iter().filter(|name| is_entry_name(name));
        let is_it = |path: &PathBuf| {
            entry_file::read(path).is_ok_and(|read| read.entry.is_ok_and(|entry| entry.is_namesake(code, daemon)))
        };
        Ok(names.map(|name| self.directory.join(name)).filter(is_it).collect())
    }

    /// Lists the daemons that live, and tidies up: entries of dead daemons are removed, and files that are no entries
    /// are set aside, under the same name with `.bad`, and reported.
    ///
    /// Reported and left alone are files that cannot be read, and entries of another PID namespace, whose PIDs mean
    /// nothing here; entries that every user may write; and entries that belong to a user other than root and this
    /// process's own, unless they name a process of that user and not every user may write the directory. Nothing is
    /// removed from a directory that may not be written, nor another user's files from another user's directory. A
    /// missing directory is empty.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`, `System` and the like if the directory cannot be read.
    pub fn list(&self) -> Result<Listing> {
        fork::check_original(LIST)?;
        match self.directory.facts() {
            Err(libc::ENOENT) => Ok(Listing::default()),
            Err(errno) => Err(Error::system(LIST, "read folder", errno).on(self.directory.quoted())),
            Ok(facts) => scan::list(LIST, &self.directory, &facts, PATIENCE),
        }
    }
}

/// Removes the file if it holds an entry that is meant. The caller holds the directory's lock.
fn remove_if(path: &Path, is_meant: impl Fn(&DaemonEntry) -> bool) -> std::result::Result<(), i32> {
    match entry_file::read(path).map(|read| read.entry) {
        Ok(Ok(entry)) if is_meant(&entry) => match file::unlink(path) {
            Err(libc::ENOENT) => Ok(()),
            result => result,
        },
        Ok(_) | Err(libc::ENOENT | libc::ENOTDIR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Names the daemon in a message.
fn subject_of(code: &str, daemon: &str) -> String {
    format!("{code:?}/{daemon:?}")
}
