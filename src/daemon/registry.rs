//! [`Registry`]: which daemons of a user run.
//!
//! A folder with one JSON file for each daemon. A file is replaced whole: written under another name, synced,
//! renamed, and the folder synced, so that a crash at any point leaves the old entry or the new one. Reading
//! needs no lock. Whoever changes which names there are, or reads the names, holds the lock of `.lock` for that
//! moment: a list that has found an entry dead never removes the one that its successor has just written.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::entry::DaemonEntry;
use super::entry_file::{self, EntryFile, Judge, Worth};
use super::listing::{self, Listing, set_aside};
use super::names::{self, RegistryNames};
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::sys::file::{self, Facts, Kind, Obstacle, Open};
use crate::sys::{clock, fork, identity};

const OPEN: &str = "open registry";
const REGISTER: &str = "register daemon";
const UNREGISTER: &str = "unregister daemon";
const GET: &str = "get daemon";
pub(super) const LIST: &str = "list daemons";

/// An entry is small; what is larger is none.
pub(super) const LARGEST: usize = 64 * 1024;
/// The lock is held for moments; somebody who was stopped within one must not stop everybody.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const LOCK: &str = ".lock";

/// A folder of entries. Cheap to clone; thread-safe; any number of processes may use one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    folder: PathBuf,
    names: RegistryNames,
}

/// May the file of the lock be made?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LockFile {
    Made,
    /// If there is none, nobody has it, and it cannot be had.
    Found,
}

impl Registry {
    /// The registry in this folder, which is made when the first daemon is registered.
    pub fn new(folder: impl Into<PathBuf>) -> Registry {
        let folder = folder.into();
        // The same one after a change of directory. Empty: the first use says so.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Registry { folder, names: RegistryNames::default() }
    }

    /// The same folder, in which it names the files that it writes in this way.
    #[must_use]
    pub fn with_names(mut self, names: RegistryNames) -> Registry {
        self.names = names;
        self
    }

    /// The user's: `$HOME/.core/daemons`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when HOME is not set; [`ErrorKind::InvalidArgument`] when it is no absolute path.
    pub fn default_dir() -> Result<PathBuf> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.ok_or_else(|| Error::new(ErrorKind::NotFound, OPEN, "HOME is not set"))?;
        let home = PathBuf::from(home);
        if !home.is_absolute() {
            let home = quoted(home.as_os_str().as_encoded_bytes());
            return Err(Error::invalid(OPEN, format!("HOME: {home} is not an absolute path")));
        }
        Ok(home.join(".core/daemons"))
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    /// Writes the entry of a daemon, in the place of an earlier one of the same code and name, and returns it as it
    /// was written: `started`, where it was not given, is now; `process` is what the kernel says of `pid`. A PID
    /// that does not run is written too; the next reader finds it dead.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] names the field; [`ErrorKind::Busy`] when another daemon's file, or the lock
    /// of the folder, is in the way; [`ErrorKind::PermissionDenied`] also for a folder that everybody may write and that is
    /// not sticky, and for a lock of another user's; the system's own. The earlier entry is as it was then, unless only the last
    /// step failed, "sync folder": the new one is in place, but not safe from a crash of the system.
    pub fn register(&self, entry: &DaemonEntry) -> Result<DaemonEntry> {
        fork::check(REGISTER)?;
        let subject = |error: Error| error.on(subject_of(&entry.code, &entry.daemon));
        let name = self.names.first(&entry.code, &entry.daemon);
        let name = name.map_err(|reason| subject(Error::invalid(REGISTER, reason)))?;
        let mut entry = entry.clone();
        entry.started.get_or_insert_with(SystemTime::now);
        entry.process = identity::start_of(entry.pid);
        entry.pid_namespace = identity::pid_namespace();
        let text = entry.to_json().map_err(|reason| subject(Error::invalid(REGISTER, reason)))?;
        if text.len() > LARGEST {
            let reason = format!("is {} bytes of JSON, more than {LARGEST}", text.len());
            return Err(subject(Error::invalid(REGISTER, reason)));
        }
        self.replace(&entry, &name, &text).map_err(subject)?;
        Ok(entry)
    }

    fn replace(&self, entry: &DaemonEntry, name: &str, text: &[u8]) -> Result<()> {
        file::make_directories(&self.folder).map_err(|errno| Error::system(REGISTER, "make folder", errno))?;
        let directory = file::look_through(&self.folder);
        if directory.map_err(|errno| Error::system(REGISTER, "look at folder", errno))?.lets_everybody_replace() {
            let reason = format!("the directory {} may be written by everybody and is not sticky", self.quoted());
            return Err(Error::new(ErrorKind::PermissionDenied, REGISTER, reason));
        }
        let encoded = names::file_name(&entry.code, &entry.daemon).unwrap_or_default();
        loop {
            let draft = Draft::write(&self.folder, text)?;
            let _lock = self.lock(REGISTER, PATIENCE, LockFile::Made)?;
            let name = if name != encoded && self.is_of_another(name, entry) { &encoded } else { name };
            let path = self.folder.join(name);
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
            if !draft.publish(&path)? {
                // A list took it for one that was left behind.
                continue;
            }
            let plain = names::plain_file_name(&entry.code, &entry.daemon);
            for other in [Some(encoded.clone()), plain].into_iter().flatten().filter(|other| other != name) {
                self.remove_if(&self.folder.join(other), |old| old.is_namesake(&entry.code, &entry.daemon))
                    .map_err(|errno| Error::system(REGISTER, "remove old entry", errno))?;
            }
            break;
        }
        file::sync_directory(&self.folder).map_err(|errno| Error::system(REGISTER, "sync folder", errno))
    }

    /// Is there an entry of another daemon under this name, or one that cannot be read?
    fn is_of_another(&self, name: &str, entry: &DaemonEntry) -> bool {
        match entry_file::read(&self.folder.join(name)) {
            Ok(EntryFile { entry: Ok(other), .. }) => !other.is_namesake(&entry.code, &entry.daemon),
            Ok(_) | Err(libc::ENOENT | libc::ENOTDIR) => false,
            Err(_) => true,
        }
    }

    /// Removes the entry of a daemon. A missing one is fine.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] names the field; [`ErrorKind::Busy`] when the folder's lock is in the way;
    /// the system's own.
    pub fn unregister(&self, code: &str, daemon: &str) -> Result<()> {
        self.remove(code, daemon, PATIENCE, |_| true)
    }

    /// Removes an entry, if it was written for the same process: a successor that has registered in between keeps
    /// its own. `entry` is what [`Registry::register`] returned.
    ///
    /// # Errors
    /// As for [`Registry::unregister`].
    pub fn unregister_own(&self, entry: &DaemonEntry) -> Result<()> {
        self.unregister_own_within(entry, PATIENCE)
    }

    /// Without patience it waits for nothing.
    pub(super) fn unregister_own_within(&self, entry: &DaemonEntry, patience: Duration) -> Result<()> {
        self.remove(&entry.code, &entry.daemon, patience, |found| found.is_of_same_process(entry))
    }

    fn remove(
        &self,
        code: &str,
        daemon: &str,
        patience: Duration,
        is_meant: impl Fn(&DaemonEntry) -> bool,
    ) -> Result<()> {
        fork::check(UNREGISTER)?;
        let subject = |error: Error| error.on(subject_of(code, daemon));
        let name = names::file_name(code, daemon).map_err(|reason| subject(Error::invalid(UNREGISTER, reason)))?;
        let fail = |stage| move |errno| subject(Error::system(UNREGISTER, stage, errno));
        match file::look_through(&self.folder) {
            Err(libc::ENOENT | libc::ENOTDIR) => return Ok(()),
            Err(errno) => return Err(fail("look at folder")(errno)),
            Ok(_) => {}
        }
        // Without anything to remove there is nothing to write, not even the lock.
        let paths = self.paths_of(&name, code, daemon).map_err(fail("read folder"))?;
        if paths.is_empty() {
            return Ok(());
        }
        {
            let _lock = self.lock(UNREGISTER, patience, LockFile::Made).map_err(subject)?;
            for path in paths {
                self.remove_if(&path, |entry| entry.is_namesake(code, daemon) && is_meant(entry))
                    .map_err(fail("remove"))?;
            }
        }
        if patience.is_zero() {
            // Nor for a slow disk: what a crash of the system brings back is the entry of a dead process.
            return Ok(());
        }
        file::sync_directory(&self.folder).map_err(fail("sync folder"))
    }

    /// The caller holds the lock.
    fn remove_if(&self, path: &Path, is_meant: impl Fn(&DaemonEntry) -> bool) -> std::result::Result<(), i32> {
        match entry_file::read(path).map(|read| read.entry) {
            Ok(Ok(entry)) if is_meant(&entry) => match file::unlink(path) {
                Err(libc::ENOENT) => Ok(()),
                result => result,
            },
            Ok(_) | Err(libc::ENOENT | libc::ENOTDIR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// The entry of a daemon that lives; None when there is none, or it is dead, or of another PID namespace.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] names the field; [`ErrorKind::Malformed`] when its file is no entry;
    /// [`ErrorKind::PermissionDenied`] also for an entry that is not believed, because of who owns it or may write it; the system's own.
    pub fn get(&self, code: &str, daemon: &str) -> Result<Option<DaemonEntry>> {
        fork::check(GET)?;
        let subject = |error: Error| error.on(subject_of(code, daemon));
        let fail = |stage| move |errno| subject(Error::system(GET, stage, errno));
        let name = names::file_name(code, daemon).map_err(|reason| subject(Error::invalid(GET, reason)))?;
        let judge = match file::look_through(&self.folder) {
            Ok(directory) => Judge::new(&directory),
            Err(libc::ENOENT | libc::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(fail("look at folder")(errno)),
        };
        let mut disbelieved = None;
        let mut known = |path: &Path, facts: &Facts, entry: DaemonEntry| match judge.worth(facts, &entry) {
            Worth::Alive => Some(entry),
            Worth::Dead | Worth::Unknown(_) => None,
            Worth::Disbelieved(reason) => {
                let path = quoted(path.file_name().unwrap_or_default().as_encoded_bytes());
                disbelieved = Some(format!("{path}: {reason}"));
                None
            }
        };
        let first = self.names.first(code, daemon).unwrap_or_default();
        let path = self.folder.join(&first);
        match entry_file::read_patiently(&path) {
            Ok(EntryFile { entry: Ok(entry), facts, .. }) if entry.is_namesake(code, daemon) => {
                if let Some(entry) = known(&path, &facts, entry) {
                    return Ok(Some(entry));
                }
            }
            // What is wrong with a plain name may be another daemon's.
            Ok(EntryFile { entry: Err(_), .. }) | Err(_) if first != name => {}
            Ok(EntryFile { entry: Err(reason), .. }) => {
                return Err(subject(Error::new(ErrorKind::Malformed, GET, format!("{name:?}: {reason}"))));
            }
            Ok(_) | Err(libc::ENOENT | libc::ENOTDIR) => {}
            Err(errno) => return Err(fail("read")(errno)),
        }
        // Under another name, for a program that names its files in its own way.
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

    /// Every file that may hold this daemon's entry: those of its names or, when it is in neither, any.
    fn paths_of(&self, name: &str, code: &str, daemon: &str) -> std::result::Result<Vec<PathBuf>, i32> {
        let holds_it = |path: &PathBuf| match entry_file::read(path).map(|read| read.entry) {
            Ok(entry) => entry.is_ok_and(|entry| entry.is_namesake(code, daemon)),
            Err(errno) => ![libc::ENOENT, libc::ENOTDIR].contains(&errno),
        };
        let plain = names::plain_file_name(code, daemon).filter(|plain| plain != name);
        let usual = [Some(name.to_owned()), plain].into_iter().flatten().map(|name| self.folder.join(name));
        let usual: Vec<PathBuf> = usual.filter(holds_it).collect();
        if !usual.is_empty() {
            return Ok(usual);
        }
        let names = file::names(&self.folder)?.into_iter().filter(|name| is_entry_name(name));
        let is_it = |path: &PathBuf| {
            entry_file::read(path).is_ok_and(|read| read.entry.is_ok_and(|entry| entry.is_namesake(code, daemon)))
        };
        Ok(names.map(|name| self.folder.join(name)).filter(is_it).collect())
    }

    /// All daemons that live. Entries of dead ones are removed; files that are no entries are set aside, under the same
    /// name with `.bad`, and reported; so are files that cannot be read, which stay, and entries that are left alone: of another PID
    /// namespace, in which alone their PIDs count; of a user other than root and this process's, unless it is about that
    /// user's own process, in a folder that not everybody may write; and those that everybody may write. If the folder may not be
    /// written nothing is removed, nor what is another user's in another user's folder. A missing folder is empty.
    ///
    /// # Errors
    /// The system's own, when the folder cannot be read.
    pub fn list(&self) -> Result<Listing> {
        fork::check(LIST)?;
        match file::look_through(&self.folder) {
            Err(libc::ENOENT) => Ok(Listing::default()),
            Err(errno) => Err(Error::system(LIST, "read folder", errno).on(self.quoted())),
            Ok(directory) => listing::list(self, &directory),
        }
    }

    pub(super) fn lock(&self, operation: &'static str, patience: Duration, how: LockFile) -> Result<FolderLock> {
        let fail = |stage| move |errno| Error::system(operation, stage, errno);
        let path = self.folder.join(LOCK);
        let directory = file::look_through(&self.folder).map_err(fail("look at folder"))?;
        // A lock of it could hold up everybody: only those may open it that may write the directory.
        let mode = if directory.mode & libc::S_IWGRP == 0 { 0o600 } else { 0o660 };
        let how = if how == LockFile::Made { Open::Keep(mode) } else { Open::Write };
        let deadline = Instant::now() + patience;
        loop {
            let file = file::open(&path, how).map_err(fail("open lock"))?;
            self.check_lock(operation, &file, mode, &directory)?;
            if file::lock(&file).map_err(fail("lock"))? {
                if file::is_named(&file, &path).map_err(fail("lock"))? {
                    return Ok(FolderLock(file));
                }
            } else if Instant::now() >= deadline {
                let reason =
                    format!("the lock of {} is held for longer than {}", self.quoted(), clock::exact(patience));
                return Err(Error::new(ErrorKind::Busy, operation, reason));
            } else {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Refuses what a stranger has put there. A lock file of ours gets the mode that it should have, whatever the umask was.
    fn check_lock(&self, operation: &'static str, file: &File, mode: u32, directory: &Facts) -> Result<()> {
        let fail = |errno| Error::system(operation, "look at lock", errno);
        let facts = file::facts(file).map_err(fail)?;
        let user = file::effective_user();
        let refused = |why: String| {
            let reason = format!("the lock {LOCK:?} of {} {why}", self.quoted());
            Err(Error::new(ErrorKind::PermissionDenied, operation, reason))
        };
        if let Kind::Other(what) = facts.kind {
            return refused(format!("is {what}, not a plain file"));
        }
        if facts.links > 1 {
            // It would be changed below, whatever file it is.
            return refused(format!("has {} names", facts.links));
        }
        let may_be_shared = directory.mode & libc::S_IWGRP != 0;
        if !may_be_shared && ![0, user, directory.owner].contains(&facts.owner) {
            return refused(format!("belongs to user {}, not to {user}", facts.owner));
        }
        // Some file systems know neither modes nor owners.
        if facts.owner == user && facts.mode & 0o777 != mode {
            let _ = file::set_mode(file, mode);
        }
        if facts.owner == user && user == 0 && directory.owner != 0 {
            // A program with more rights must not keep the directory's owner out.
            let _ = file::give_to(file, directory.owner);
        }
        Ok(())
    }

    pub(super) fn quoted(&self) -> String {
        quoted(self.folder.as_os_str().as_encoded_bytes())
    }
}

pub(super) fn is_entry_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".json") && !name.starts_with(b".")
}

fn subject_of(code: &str, daemon: &str) -> String {
    format!("{code:?}/{daemon:?}")
}

/// The folder's lock, which is given back when it is dropped.
pub(super) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Not by the close alone: a child of fork may have a copy.
        let _ = file::unlock(&self.0);
    }
}

/// A file on its way to become an entry. Its writer holds its lock, so that one that a crash has left behind is
/// told from one that is being written.
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    is_published: bool,
}

impl Draft {
    const PREFIX: &str = ".entry-";

    pub(super) fn is_name(name: &OsStr) -> bool {
        name.as_encoded_bytes().starts_with(Draft::PREFIX.as_bytes())
    }

    fn write(folder: &Path, text: &[u8]) -> Result<Draft> {
        let fail = |stage| move |errno| Error::system(REGISTER, stage, errno);
        loop {
            let Some(draft) = Draft::create(folder).map_err(fail("create"))? else { continue };
            file::write_start(&draft.file, text).map_err(fail("write"))?;
            file::sync(&draft.file).map_err(fail("sync"))?;
            return Ok(draft);
        }
    }

    /// None when the name is taken, or the new file was at once.
    fn create(folder: &Path) -> std::result::Result<Option<Draft>, i32> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}{}-{number}", Draft::PREFIX, std::process::id()));
        let file = match file::open(&path, Open::New(0o644)) {
            Ok(file) => file,
            Err(libc::EEXIST) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let draft = Draft { path, file, is_published: false };
        Ok(file::lock(&draft.file)?.then_some(draft))
    }

    /// Gives it its name; false when it was removed before it was locked.
    fn publish(mut self, to: &Path) -> Result<bool> {
        match file::rename(&self.path, to) {
            Ok(()) => {
                self.is_published = true;
                Ok(true)
            }
            Err(libc::ENOENT) => Ok(false),
            Err(errno) => Err(Error::system(REGISTER, "rename", errno)),
        }
    }

    /// Removes one whose writer is gone: a read lock, which anybody can take, says nothing of one. The caller holds the
    /// folder's lock.
    pub(super) fn clean(path: &Path) {
        if let Ok(file) = file::open(path, Open::Write)
            && matches!(file::obstacle(&file), Ok(Obstacle::Nothing | Obstacle::Reader))
        {
            let _ = file::unlink(path);
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = file::unlink(&self.path);
        }
    }
}
