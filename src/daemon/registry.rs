//! [`Registry`]: which daemons of a user run.
//!
//! A folder with one JSON file for each daemon. A file is replaced whole: written under another name, synced,
//! renamed, and the folder synced, so that a crash at any point leaves the old entry or the new one. Reading one
//! needs no lock. Who changes which names there are, and who reads them all, holds the lock of `.lock` for that
//! moment: a list that has found an entry dead never removes the one that its successor has just written.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::entry::DaemonEntry;
use super::names::{self, RegistryNames};
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::sys::file::{self, Kind, Open};
use crate::sys::{clock, fork, identity};

const OPEN: &str = "open registry";
const REGISTER: &str = "register daemon";
const UNREGISTER: &str = "unregister daemon";
const GET: &str = "get daemon";
const LIST: &str = "list daemons";

/// An entry is small; what is larger is none.
pub(super) const LARGEST: usize = 64 * 1024;
/// The lock is held for moments; somebody who was stopped within one must not stop everybody.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A file that is empty may be just about to be written, by a program that does not replace it whole: it is looked at
/// again until it has been so for this long. Those that a full disk has left behind, perhaps many, hold up nobody.
const EMPTY_MS: u32 = 50;
const LOCK: &str = ".lock";

/// A folder of entries. Cheap to clone; thread-safe; any number of processes may use one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    folder: PathBuf,
    names: RegistryNames,
}

/// What [`Registry::list`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The daemons that live, by start, code and daemon.
    pub entries: Vec<DaemonEntry>,
    /// Files that are no entries.
    pub problems: Vec<Problem>,
}

/// A file in the registry that could not be read as an entry.
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

/// What a name in the folder turned out to be.
enum Found {
    Entry(DaemonEntry),
    Missing,
    Malformed(String),
    Unreadable(i32),
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
    /// of the folder, is in the way; the system's own. The earlier entry is as it was then, unless only the last
    /// step failed, "sync folder": the new one is in place, but not safe from a crash of the system.
    pub fn register(&self, entry: &DaemonEntry) -> Result<DaemonEntry> {
        fork::check(REGISTER)?;
        let subject = |error: Error| error.on(subject_of(&entry.code, &entry.daemon));
        let name = self.names.first(&entry.code, &entry.daemon);
        let name = name.map_err(|reason| subject(Error::invalid(REGISTER, reason)))?;
        let mut entry = entry.clone();
        entry.started.get_or_insert_with(SystemTime::now);
        entry.process = identity::start_of(entry.pid);
        let text = entry.to_json().map_err(|reason| subject(Error::invalid(REGISTER, reason)))?;
        if text.len() > LARGEST {
            let reason = format!("is {} bytes of JSON, more than {LARGEST}", text.len());
            return Err(subject(Error::invalid(REGISTER, reason)));
        }
        self.replace(&entry, &name, &text).map_err(subject)?;
        Ok(entry)
    }

    fn replace(&self, entry: &DaemonEntry, name: &str, text: &[u8]) -> Result<()> {
        file::make_folders(&self.folder).map_err(|errno| Error::system(REGISTER, "make folder", errno))?;
        let encoded = names::file_name(&entry.code, &entry.daemon).unwrap_or_default();
        loop {
            let draft = Draft::write(&self.folder, text)?;
            let _lock = self.lock(REGISTER, PATIENCE)?;
            let name = if name != encoded && self.is_of_another(name, entry) { &encoded } else { name };
            let path = self.folder.join(name);
            match self.read(&path) {
                Found::Entry(other) if !other.is_namesake(&entry.code, &entry.daemon) => {
                    let other = subject_of(&other.code, &other.daemon);
                    return Err(Error::new(ErrorKind::Busy, REGISTER, format!("{name:?} is the file of {other}")));
                }
                Found::Malformed(_) if set_aside(&path).is_none() => {
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
        file::sync_folder(&self.folder).map_err(|errno| Error::system(REGISTER, "sync folder", errno))
    }

    /// Is there an entry of another daemon under this name, or one that cannot be read?
    fn is_of_another(&self, name: &str, entry: &DaemonEntry) -> bool {
        match self.read(&self.folder.join(name)) {
            Found::Entry(other) => !other.is_namesake(&entry.code, &entry.daemon),
            Found::Unreadable(_) => true,
            Found::Missing | Found::Malformed(_) => false,
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
            let _lock = self.lock(UNREGISTER, patience).map_err(subject)?;
            for path in paths {
                self.remove_if(&path, |entry| entry.is_namesake(code, daemon) && is_meant(entry))
                    .map_err(fail("remove"))?;
            }
        }
        if patience.is_zero() {
            // Nor for a slow disk: what a crash of the system brings back is the entry of a dead process.
            return Ok(());
        }
        file::sync_folder(&self.folder).map_err(fail("sync folder"))
    }

    /// The caller holds the lock.
    fn remove_if(&self, path: &Path, is_meant: impl Fn(&DaemonEntry) -> bool) -> std::result::Result<(), i32> {
        match self.read(path) {
            Found::Entry(entry) if is_meant(&entry) => match file::unlink(path) {
                Err(libc::ENOENT) => Ok(()),
                result => result,
            },
            Found::Unreadable(errno) => Err(errno),
            _ => Ok(()),
        }
    }

    /// The entry of a daemon that lives; None when there is none, or it is dead.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] names the field; [`ErrorKind::Malformed`] when its file is no entry; the
    /// system's own.
    pub fn get(&self, code: &str, daemon: &str) -> Result<Option<DaemonEntry>> {
        fork::check(GET)?;
        let subject = |error: Error| error.on(subject_of(code, daemon));
        let name = names::file_name(code, daemon).map_err(|reason| subject(Error::invalid(GET, reason)))?;
        let first = self.names.first(code, daemon).unwrap_or_default();
        match self.read(&self.folder.join(&first)) {
            Found::Entry(entry) if entry.is_namesake(code, daemon) && entry.is_alive() => return Ok(Some(entry)),
            // What is wrong with a plain name may be another daemon's.
            Found::Malformed(_) | Found::Unreadable(_) if first != name => {}
            Found::Malformed(reason) => {
                return Err(subject(Error::new(ErrorKind::Malformed, GET, format!("{name:?}: {reason}"))));
            }
            Found::Unreadable(errno) => return Err(subject(Error::system(GET, "read", errno))),
            Found::Entry(_) | Found::Missing => {}
        }
        // Under another name, for a program that names its files in its own way.
        let paths = match self.paths_of(&name, code, daemon) {
            Ok(paths) => paths,
            Err(libc::ENOENT | libc::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(subject(Error::system(GET, "read folder", errno))),
        };
        let found = paths.iter().filter_map(|path| match self.read(path) {
            Found::Entry(entry) if entry.is_namesake(code, daemon) && entry.is_alive() => Some(entry),
            _ => None,
        });
        Ok(found.max_by_key(|entry| entry.started))
    }

    /// Every file that may hold this daemon's entry: those of its names or, when it is in neither, any.
    fn paths_of(&self, name: &str, code: &str, daemon: &str) -> std::result::Result<Vec<PathBuf>, i32> {
        let holds_it = |path: &PathBuf| match self.read(path) {
            Found::Entry(entry) => entry.is_namesake(code, daemon),
            Found::Unreadable(_) => true,
            Found::Malformed(_) | Found::Missing => false,
        };
        let plain = names::plain_file_name(code, daemon).filter(|plain| plain != name);
        let usual = [Some(name.to_owned()), plain].into_iter().flatten().map(|name| self.folder.join(name));
        let usual: Vec<PathBuf> = usual.filter(holds_it).collect();
        if !usual.is_empty() {
            return Ok(usual);
        }
        let names = file::names(&self.folder)?.into_iter().filter(|name| is_entry_name(name));
        let is_it = |path: &PathBuf| matches!(self.read(path), Found::Entry(entry) if entry.is_namesake(code, daemon));
        Ok(names.map(|name| self.folder.join(name)).filter(is_it).collect())
    }

    /// All daemons that live. Entries of dead ones are removed; files that are no entries are set aside, under the same
    /// name with `.bad`, and reported; so are files that cannot be read, which stay. Where the folder may not be
    /// written nothing is removed. A missing folder is empty.
    ///
    /// # Errors
    /// The system's own, when the folder cannot be read.
    pub fn list(&self) -> Result<Listing> {
        fork::check(LIST)?;
        let fail = |errno| Error::system(LIST, "read folder", errno).on(self.quoted());
        match file::look_through(&self.folder) {
            Err(libc::ENOENT) => return Ok(Listing::default()),
            Err(errno) => return Err(fail(errno)),
            Ok(_) => {}
        }
        // Others' folders, and file systems that cannot be written, can be read.
        let lock = self.lock(LIST, PATIENCE).ok();
        let may_write = lock.is_some();
        let mut listing = Listing::default();
        for name in file::names(&self.folder).map_err(fail)? {
            let path = self.folder.join(&name);
            if is_entry_name(&name) {
                self.list_one(path, may_write, &mut listing);
            } else if may_write && Draft::is_name(&name) {
                Draft::clean(&path);
            }
        }
        drop(lock);
        listing.arrange();
        Ok(listing)
    }

    fn list_one(&self, path: PathBuf, may_write: bool, listing: &mut Listing) {
        let problem = |moved_to, reason, file| Problem { file, moved_to, reason };
        match self.read(&path) {
            Found::Entry(entry) if entry.is_alive() => listing.entries.push(entry),
            // Another list may have been faster; an entry that cannot be removed is dead all the same.
            Found::Entry(_) if may_write => _ = file::unlink(&path),
            Found::Entry(_) | Found::Missing => {}
            Found::Malformed(reason) => {
                let moved_to = if may_write { set_aside(&path) } else { None };
                listing.problems.push(problem(moved_to, reason, path));
            }
            Found::Unreadable(errno) => {
                listing.problems.push(problem(None, crate::error::describe_errno(errno), path));
            }
        }
    }

    fn read(&self, path: &Path) -> Found {
        match read(path) {
            Ok(Ok(entry)) => Found::Entry(entry),
            Ok(Err(reason)) => Found::Malformed(reason),
            Err(libc::ENOENT | libc::ENOTDIR) => Found::Missing,
            Err(errno) => Found::Unreadable(errno),
        }
    }

    fn lock(&self, operation: &'static str, patience: Duration) -> Result<FolderLock> {
        let fail = |stage| move |errno| Error::system(operation, stage, errno);
        let path = self.folder.join(LOCK);
        let deadline = Instant::now() + patience;
        loop {
            // Who may read it could hold everybody up with a read lock.
            let file = file::open(&path, Open::Keep(0o660)).map_err(fail("open lock"))?;
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

    fn quoted(&self) -> String {
        quoted(self.folder.as_os_str().as_encoded_bytes())
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
    }
}

/// An entry, or why it is none; the errno when it could not be read.
fn read(path: &Path) -> std::result::Result<std::result::Result<DaemonEntry, String>, i32> {
    if let Kind::Other(what) = file::look(path)?.kind {
        return Ok(Err(format!("is {what}, not a plain file")));
    }
    let mut text = Vec::new();
    // A file from the future, by a clock that was set, would be new for ever.
    for look in 0..EMPTY_MS {
        if look > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let file = file::open(path, Open::Read)?;
        text = file::read_start(&file, LARGEST)?;
        let age_ns = clock::realtime_ns() - file::facts(&file)?.modified_ns;
        if !text.is_empty() || age_ns > i128::from(EMPTY_MS) * 1_000_000 {
            break;
        }
    }
    Ok(parse(&text))
}

/// An entry from a file's text, or why it is none.
pub(crate) fn parse(text: &[u8]) -> std::result::Result<DaemonEntry, String> {
    match text.len() {
        0 => Err("is empty".to_owned()),
        LARGEST.. if text.len() > LARGEST => Err(format!("is larger than {LARGEST} bytes")),
        _ => DaemonEntry::from_json(text),
    }
}

/// Renames a file that is no entry to its name, cut where it would be too long, and `.bad`, `.bad2` and so on; where
/// to, if that worked.
fn set_aside(path: &Path) -> Option<PathBuf> {
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

fn is_entry_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".json") && !name.starts_with(b".")
}

fn subject_of(code: &str, daemon: &str) -> String {
    format!("{code:?}/{daemon:?}")
}

/// The folder's lock, which is given back when it is dropped.
struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Not by the close alone: a child of fork may have a copy.
        let _ = file::unlock(&self.0);
    }
}

/// A file on its way to become an entry. Its writer holds its lock, so that one that a crash has left behind is
/// told from one that is being written.
struct Draft {
    path: PathBuf,
    file: File,
    is_published: bool,
}

impl Draft {
    const PREFIX: &str = ".entry-";

    fn is_name(name: &OsString) -> bool {
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

    /// Removes one whose writer is gone. The caller holds the folder's lock.
    fn clean(path: &Path) {
        if let Ok(file) = file::open(path, Open::Write)
            && file::lock(&file) == Ok(true)
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
