//! Takes a PID file: locks it, makes sure that no daemon which lives has it, and writes our PID.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::content::{self, Content};
use super::holder::{Holder, holder};
use super::trust::{self, why_replaceable};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::file::{self, Facts, Kind, Open};

const ACQUIRE: &str = "acquire PID file";
/// What is appended to the file's name, with a dot before it, for the new file that replaces one with a read lock.
const DRAFT: &str = ".new";
const REPLACE: &str = "put a new file in the place of one with a read lock";
/// How often a process starts over after it has lost the file to another's release. Each time another process has got
/// further.
const ROUNDS: u32 = 10_000;

/// A PID file that this process holds.
pub(super) struct HeldFile {
    /// The absolute path, which stays the same after a change of the working directory.
    path: PathBuf,
    file: File,
}

impl HeldFile {
    /// Removes the file, if its path still names it, and gives the lock back.
    pub(super) fn release(self, operation: &'static str) -> Result<()> {
        let removed = match file::is_named(&self.file, &self.path) {
            Ok(true) => file::unlink(&self.path).map_err(|errno| ("remove", errno)),
            // Another process has removed or replaced it.
            Ok(false) => Ok(()),
            Err(errno) => Err(("look", errno)),
        };
        // If it could not be removed, or has another name too, our PID would look like that of a daemon without the
        // lock.
        let _ = file::cut(&self.file, 0);
        // A close alone does not do: children of fork may have copies.
        let unlocked = file::unlock(&self.file).map_err(|errno| ("unlock", errno));
        removed.and(unlocked).map_err(|(stage, errno)| Error::system(operation, stage, errno))
    }
}

/// Takes the file of this absolute path, and writes this process's PID.
pub(super) fn acquire(path: PathBuf) -> Result<HeldFile> {
    let file = take(&path)?;
    Ok(HeldFile { path, file })
}

fn take(path: &Path) -> Result<File> {
    if let Some(directory) = path.parent() {
        file::make_directories(directory).map_err(failed("make folder"))?;
        if let Some(reason) = why_replaceable(directory).map_err(failed("look at folder"))? {
            return Err(Error::new(ErrorKind::PermissionDenied, ACQUIRE, reason));
        }
    }
    for _ in 0..ROUNDS {
        let file = open(path, Open::Keep(0o644))?;
        if !file::lock(&file).map_err(failed("lock"))? {
            match holder(&file) {
                Holder::Gone => {}
                Holder::Known(pid) => return Err(busy(pid)),
                Holder::Unknown(reason) => return Err(Error::new(ErrorKind::Busy, ACQUIRE, reason)),
                Holder::Reader => {
                    if let Some(file) = replace(path)? {
                        return Ok(file);
                    }
                }
            }
            continue;
        }
        // Its last holder may have removed it between our open and our lock.
        if file::is_named(&file, path).map_err(failed("look"))? {
            let taken = check_content(&file).and_then(|()| write(&file, path));
            return given_back_if_failed(&file, taken).map(|()| file);
        }
    }
    Err(Error::new(ErrorKind::Busy, ACQUIRE, "others go on replacing it"))
}

fn failed(stage: &'static str) -> impl Fn(i32) -> Error {
    move |errno| Error::system(ACQUIRE, stage, errno)
}

fn given_back_if_failed<T>(file: &File, result: Result<T>) -> Result<T> {
    if result.is_err() {
        // A close alone does not do: children of fork may have copies.
        let _ = file::unlock(file);
    }
    result
}

/// Puts a new file, which is locked already, in place of one on which other processes have a read lock: every process
/// that may read the file can take one and keep it, and it says nothing of a daemon. None if another process was
/// faster; then the caller starts over.
fn replace(path: &Path) -> Result<Option<File>> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(DRAFT);
    let draft_path = path.with_file_name(name);
    // Of several processes that replace the file, one has the lock of the draft. Only its owner may open the draft
    // until it is in place.
    let draft = open(&draft_path, Open::Keep(0o600)).map_err(|error| error.at(REPLACE))?;
    if !file::lock(&draft).map_err(failed("lock new file"))? {
        thread::sleep(Duration::from_millis(1));
        return Ok(None);
    }
    let replaced = match file::is_named(&draft, &draft_path) {
        Ok(true) => replace_by(&draft, &draft_path, path),
        Ok(false) => Ok(false),
        Err(errno) => Err(failed("look")(errno)),
    };
    match given_back_if_failed(&draft, replaced)? {
        true => Ok(Some(draft)),
        false => {
            let _ = file::unlock(&draft);
            Ok(None)
        }
    }
}

/// Writes the draft, and gives it the name of the old file. The caller holds the draft's lock. False if another process
/// was faster.
fn replace_by(draft: &File, draft_path: &Path, path: &Path) -> Result<bool> {
    let put = || {
        let old = match open(path, Open::Write) {
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(false),
            other => other?,
        };
        // Our own read lock keeps others from the write lock of the old file until it has lost its name.
        if !file::lock_for_reading(&old).map_err(failed("lock"))? {
            return Ok(false);
        }
        let put = put_in_place(draft, draft_path, &old, path);
        let _ = file::unlock(&old);
        put
    };
    let put = put();
    if !matches!(put, Ok(true)) {
        let _ = file::unlink(draft_path);
    }
    put
}

/// Like [`replace_by`], for a caller that also holds a read lock on the old file.
fn put_in_place(draft: &File, draft_path: &Path, old: &File, path: &Path) -> Result<bool> {
    if !file::is_named(old, path).map_err(failed("look"))? {
        return Ok(false);
    }
    check_content(old)?;
    write(draft, draft_path)?;
    // The mode that the umask allowed for the old file.
    let mode = file::facts(old).map_err(failed("look"))?.mode & 0o644;
    file::set_mode(draft, mode).map_err(failed("chmod"))?;
    file::rename(draft_path, path).map_err(failed("rename"))?;
    Ok(true)
}

/// Opens the file of the path, if it is one that may be taken.
fn open(path: &Path, how: Open) -> Result<File> {
    // The file is looked at first, because opening something else, such as a device, may have effects.
    match file::look(path) {
        Ok(facts) => check_file(&facts)?,
        Err(libc::ENOENT) => {}
        Err(errno) => return Err(failed("look")(errno)),
    }
    let file = file::open(path, how).map_err(|errno| match errno {
        libc::ELOOP => Error::invalid(ACQUIRE, "is a symbolic link"),
        errno => failed("open")(errno),
    })?;
    check_file(&file::facts(&file).map_err(failed("look"))?)?;
    Ok(file)
}

/// Refuses what is no plain file of this user alone.
fn check_file(facts: &Facts) -> Result<()> {
    if let Kind::Other(what) = facts.kind {
        return Err(Error::invalid(ACQUIRE, format!("is {what}, not a plain file")));
    }
    let user = file::effective_user();
    if facts.owner != user {
        let reason = format!("belongs to user {}, not to {user}", facts.owner);
        return Err(Error::new(ErrorKind::PermissionDenied, ACQUIRE, reason));
    }
    if facts.links > 1 {
        let reason = format!("has {} names: writing it would change another file", facts.links);
        return Err(Error::new(ErrorKind::PermissionDenied, ACQUIRE, reason));
    }
    if facts.is_everybodys() {
        let reason = "may be written by everybody: what is in it, and a lock on it, may be anybody's";
        return Err(Error::new(ErrorKind::PermissionDenied, ACQUIRE, reason));
    }
    Ok(())
}

/// Refuses a file without a lock if it belongs to a daemon that lives and knows no locks, or holds something other than
/// a PID.
fn check_content(file: &File) -> Result<()> {
    let look = |errno| Error::system(ACQUIRE, "read", errno);
    match content::read(file).map_err(look)? {
        // A crash between the making and the writing of the file leaves it blank.
        Content::Blank => Ok(()),
        Content::Other(what) => {
            let reason = format!("{what}; if it is not needed, remove it");
            Err(Error::new(ErrorKind::Malformed, ACQUIRE, reason))
        }
        // This process wrote it before an exec; or an earlier process did, in a container whose daemon always has the
        // same PID.
        Content::Pid(pid) if pid == own_pid() => Ok(()),
        Content::Pid(pid) => match trust::wrote(pid, &file::facts(file).map_err(look)?) {
            Ok(()) => Err(busy(pid)),
            Err(_) => Ok(()),
        },
    }
}

/// Writes our PID in place, because a new file would not have the lock. The rest of a longer number is made blank
/// before it is cut, so that the file holds a whole PID, or none, at any moment.
fn write(file: &File, path: &Path) -> Result<()> {
    let write = || {
        let old = usize::try_from(file::facts(file)?.size).unwrap_or(usize::MAX);
        if old > content::LONGEST {
            file::cut(file, 0)?;
        }
        let mut text = own_pid().to_string().into_bytes();
        let length = text.len();
        if old <= content::LONGEST && length < old {
            text.resize(old, b'\n');
        }
        file::write_start(file, &text)?;
        file::cut(file, length as u64)
    };
    write().map_err(|errno| {
        // We hold the file, and no other process needs it.
        let _ = file::unlink(path);
        Error::system(ACQUIRE, "write", errno)
    })
}

fn busy(pid: i32) -> Error {
    let this = if pid == own_pid() { ", this process" } else { "" };
    Error::new(ErrorKind::Busy, ACQUIRE, format!("a daemon that lives holds it: PID {pid}{this}"))
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}
