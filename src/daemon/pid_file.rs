//! [`PidFile`]: one daemon at a time for each path.
//!
//! The proof of life is a lock on the file, not the number in it: the kernel gives it back when the daemon ends,
//! however it ends. It is an open-file-description lock, so that no close of another descriptor of the host loses
//! it. The number is for people, and for those who signal the daemon.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, describe_errno, quoted};
use crate::runtime::lock;
use crate::sys::file::{self, Facts, Kind, Obstacle, Open};
use crate::sys::identity::{self, Presence};
use crate::sys::{clock, fork};

const ACQUIRE: &str = "acquire PID file";
const RELEASE: &str = "release PID file";
const READ: &str = "read PID file";

/// More than this is no PID.
const LONGEST: usize = 64;
/// The PID of a lock's holder may be a moment later than the lock.
const PATIENCE: u32 = 50;
/// What is appended to the file's name, with a dot before it, for the new file that replaces one with a read lock.
const DRAFT: &str = ".new";
const REPLACE: &str = "put a new file in the place of one with a read lock";
/// A start is known to a clock tick (10 ms), a file's time to a timer tick (10 ms at the most).
const TICKS_NS: i128 = 20_000_000;
/// Who loses the file to another's release starts over; each time somebody else has got somewhere.
const ROUNDS: u32 = 10_000;

/// A file that holds this process's PID, locked while it is held. Thread-safe.
///
/// Dropped while it is held, it is released. In a child of fork, which has a copy of the lock, a drop changes
/// nothing for the parent; while such a child lives, and the parent ended without a release, the file counts as held.
pub struct PidFile {
    path: PathBuf,
    held: Mutex<Option<Held>>,
}

struct Held {
    /// Absolute, so that it is the same after a change of directory.
    path: PathBuf,
    file: File,
}

/// What a PID file says of its daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PidState {
    /// It lives.
    Alive,
    /// It has ended and left its file.
    Dead,
    /// There is something else in its place: no PID, no file of its own, or one that anybody could have put there.
    Invalid,
    /// There is no such file.
    Missing,
}

/// What [`read_pid`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidRead {
    /// The state of the daemon.
    pub state: PidState,
    /// The PID in the file: alive, that of the daemon, if it is known for sure; dead, that of the one that was.
    pub pid: Option<i32>,
    /// Why, to be shown as it is; empty for a daemon that lives and its PID.
    pub reason: String,
}

impl PidFile {
    /// A PID file of this path, not held yet.
    pub fn new(path: impl Into<PathBuf>) -> PidFile {
        PidFile { path: path.into(), held: Mutex::new(None) }
    }

    /// The path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does this handle hold it?
    pub fn is_held(&self) -> bool {
        !fork::happened() && lock(&self.held).is_some()
    }

    /// Takes the file for this process: makes it, with the folders above, or takes over a stale one, and writes the PID in
    /// decimal. Of many that start at once exactly one gets it. A read lock, which anybody who may read the file can
    /// take, is in nobody's way: the file is replaced by a new one then.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`], naming the PID if it is known for sure, while a daemon that lives has it;
    /// [`ErrorKind::InvalidState`] while this handle has; [`ErrorKind::InvalidArgument`] for a symbolic link, a directory,
    /// or anything else that is no plain file; [`ErrorKind::PermissionDenied`] for another user's file, one that everybody
    /// may write, or a folder on the way to it in which anybody could replace what is in it; [`ErrorKind::Malformed`] for a
    /// file that holds something else than a PID, which is left as it is; the system's own.
    pub fn acquire(&self) -> Result<()> {
        fork::check(ACQUIRE)?;
        let subject = |error: Error| error.on(self.quoted());
        let mut held = lock(&self.held);
        if held.is_some() {
            return Err(subject(Error::new(ErrorKind::InvalidState, ACQUIRE, "is held already, by this handle")));
        }
        let path = absolute(&self.path).map_err(subject)?;
        let file = acquire(&path).map_err(subject)?;
        *held = Some(Held { path, file });
        Ok(())
    }

    /// Removes the file, if the path still names it, and gives the lock back. One that is not held is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Forked`] in a child of fork: only who acquired it may release it. The system's own, when the
    /// file could not be removed; it is given back all the same, emptied if that is possible.
    pub fn release(&self) -> Result<()> {
        fork::check(RELEASE)?;
        match lock(&self.held).take() {
            None => Ok(()),
            Some(held) => held.release().map_err(|error| error.on(self.quoted())),
        }
    }

    fn quoted(&self) -> String {
        quoted(self.path.as_os_str().as_encoded_bytes())
    }
}

impl fmt::Debug for PidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PidFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if !fork::happened() {
            // Nobody is left to be told.
            let _ = self.release();
        }
    }
}

impl Held {
    fn release(self) -> Result<()> {
        let removed = match file::is_named(&self.file, &self.path) {
            Ok(true) => file::unlink(&self.path).map_err(|errno| ("remove", errno)),
            // Removed, or replaced, by somebody else.
            Ok(false) => Ok(()),
            Err(errno) => Err(("look", errno)),
        };
        // Where it has a name still (it could not be removed, or was given another one), our own PID, which lives on,
        // would look like a daemon's without the lock.
        let _ = file::cut(&self.file, 0);
        // Not by the close alone: children of fork may have copies.
        let unlocked = file::unlock(&self.file).map_err(|errno| ("unlock", errno));
        removed.and(unlocked).map_err(|(stage, errno)| Error::system(RELEASE, stage, errno))
    }
}

fn acquire(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        file::make_directories(folder).map_err(failed("make folder"))?;
        if let Some(reason) = open_folder(folder).map_err(failed("look at folder"))? {
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
        // Whoever had it before may have removed it between our open and our lock.
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
        // Not by the close alone: children of fork may have copies.
        let _ = file::unlock(file);
    }
    result
}

/// Puts a new file, which is locked already, in the place of one that others have a read lock on: anybody who may read it can
/// have one, for ever, and it says nothing of a daemon. None: others were faster, the caller starts over.
fn replace(path: &Path) -> Result<Option<File>> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(DRAFT);
    let draft_path = path.with_file_name(name);
    // Of several that replace, one has the lock of the draft, which nobody else may open until it is in place.
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

/// The caller holds the draft.
fn replace_by(draft: &File, draft_path: &Path, path: &Path) -> Result<bool> {
    let put = || {
        let old = match open(path, Open::Write) {
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(false),
            other => other?,
        };
        // With a read lock of our own nobody gets the write lock of the old file before it has lost its name.
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

/// The caller holds the draft, and a read lock on the old file.
fn put_in_place(draft: &File, draft_path: &Path, old: &File, path: &Path) -> Result<bool> {
    if !file::is_named(old, path).map_err(failed("look"))? {
        return Ok(false);
    }
    check_content(old)?;
    write(draft, draft_path)?;
    // What the umask left of it.
    let mode = file::facts(old).map_err(failed("look"))?.mode & 0o644;
    file::set_mode(draft, mode).map_err(failed("chmod"))?;
    file::rename(draft_path, path).map_err(failed("rename"))?;
    Ok(true)
}

/// Nobody else may be able to put a file of theirs in the place of ours, nor a folder in the place of one above it:
/// on the path that was given, and on that to which its links lead. Some: why they can.
fn open_folder(folder: &Path) -> std::result::Result<Option<String>, i32> {
    let real = file::real_path(folder)?;
    let beyond_links = real.ancestors().filter(|above| !folder.starts_with(above));
    for folder in folder.ancestors().chain(beyond_links) {
        if file::look_through(folder)?.lets_everybody_replace() {
            let folder = quoted(folder.as_os_str().as_encoded_bytes());
            return Ok(Some(format!("its folder {folder} may be written by everybody and is not sticky")));
        }
    }
    Ok(None)
}

fn open(path: &Path, how: Open) -> Result<File> {
    // Looked at first: opening something else, such as a device, may do something.
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

/// A file without a lock: nobody's, unless it is a living daemon's that knows no locks.
fn check_content(file: &File) -> Result<()> {
    let look = |errno| Error::system(ACQUIRE, "read", errno);
    match content(file).map_err(look)? {
        // A crash between making and writing it leaves it so.
        Content::Blank => Ok(()),
        Content::Other(what) => {
            let reason = format!("{what}; if it is not needed, remove it");
            Err(Error::new(ErrorKind::Malformed, ACQUIRE, reason))
        }
        // Of this process before an exec, or of one before it in a container whose daemon has the same PID always.
        Content::Pid(pid) if pid == own_pid() => Ok(()),
        Content::Pid(pid) => match wrote(pid, &file::facts(file).map_err(look)?) {
            Ok(()) => Err(busy(pid)),
            Err(_) => Ok(()),
        },
    }
}

/// In place, because a new file would not have the lock; the rest of a longer number is blank before it is cut,
/// so that there is a whole PID, or none, at any moment.
fn write(file: &File, path: &Path) -> Result<()> {
    let write = || {
        let old = usize::try_from(file::facts(file)?.size).unwrap_or(usize::MAX);
        if old > LONGEST {
            file::cut(file, 0)?;
        }
        let mut text = own_pid().to_string().into_bytes();
        let length = text.len();
        if old <= LONGEST && length < old {
            text.resize(old, b'\n');
        }
        file::write_start(file, &text)?;
        file::cut(file, length as u64)
    };
    write().map_err(|errno| {
        // We hold it, and nobody else needs it.
        let _ = file::unlink(path);
        Error::system(ACQUIRE, "write", errno)
    })
}

/// Who holds the lock of a file.
enum Holder {
    Known(i32),
    Unknown(String),
    /// A process that has a read lock on it, which a daemon's is not.
    Reader,
    /// Nobody any more.
    Gone,
}

/// The file's PID, once it is that of the process that has the lock; its new holder may be just about to write it.
fn holder(file: &File) -> Holder {
    let mut seen = None;
    for round in 0..PATIENCE {
        if round > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        match file::obstacle(file) {
            Ok(Obstacle::Writer) => {}
            Ok(Obstacle::Nothing) => return Holder::Gone,
            // Perhaps in passing.
            Ok(Obstacle::Reader) => {
                seen = None;
                continue;
            }
            Err(errno) => return Holder::Unknown(format!("is locked by somebody ({})", describe_errno(errno))),
        }
        let content = content(file).unwrap_or(Content::Blank);
        let mut claim = None;
        if let Content::Pid(pid) = content
            && identity::presence(pid) != Presence::Gone
        {
            claim = file::facts(file).ok().map(|facts| identity::has_locked(pid, &facts));
            if claim == Some(Some(true)) {
                return Holder::Known(pid);
            }
        }
        seen = Some((content, claim));
        if claim == Some(None) {
            // A later look would show no more.
            break;
        }
    }
    let Some((content, claim)) = seen else { return Holder::Reader };
    Holder::Unknown(match (content, claim) {
        (Content::Pid(pid), Some(None)) => {
            format!(
                "is locked; whether by PID {pid}, which is in it, cannot be seen in /proc/{pid}/fdinfo, and the number may be \
                 one of another PID namespace"
            )
        }
        (Content::Pid(pid), Some(Some(_))) => {
            format!("is locked, though not by PID {pid}, which is in it: {ELSEWHERE}")
        }
        (Content::Pid(pid), None) => format!("is locked, though PID {pid} in it does not run: {ELSEWHERE}"),
        (Content::Blank, _) => "is locked by a daemon that has not written its PID".to_owned(),
        (Content::Other(what), _) => format!("is locked by somebody, and {what}"),
    })
}

const ELSEWHERE: &str = "its daemon may run in another PID namespace, or a child that it forked may have its lock";

fn busy(pid: i32) -> Error {
    let this = if pid == own_pid() { ", this process" } else { "" };
    Error::new(ErrorKind::Busy, ACQUIRE, format!("a daemon that lives holds it: PID {pid}{this}"))
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// What a PID file holds.
enum Content {
    Pid(i32),
    Blank,
    /// With what it is instead.
    Other(String),
}

fn content(file: &File) -> std::result::Result<Content, i32> {
    let bytes = file::read_start(file, LONGEST)?;
    if bytes.len() > LONGEST {
        return Ok(Content::Other(format!("holds more than {LONGEST} bytes, which is no PID")));
    }
    // A file system that lost the last write of a crash may leave zeros.
    let text = bytes.trim_ascii();
    if text.iter().all(|byte| *byte == 0) {
        return Ok(Content::Blank);
    }
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()).filter(|pid: &i32| *pid > 0) {
        Some(pid) => Ok(Content::Pid(pid)),
        None => Ok(Content::Other(format!("holds {}, which is no PID", quoted(text)))),
    }
}

/// Did the process that this PID names now write the file? Else why not.
fn wrote(pid: i32, facts: &Facts) -> std::result::Result<(), String> {
    match identity::presence(pid) {
        Presence::Gone => Err(format!("PID {pid} does not run")),
        // A boot with a clock that is behind: its processes are all older, by the clock, than the file.
        _ if clock::is_ahead(facts.modified_ns) => Err(format!(
            "nobody has its lock, and its time is ahead of the clock, which was set back after it was written: PID {pid} may be \
             any process"
        )),
        Presence::Here(Some(ticks)) if identity::realtime_ns(ticks) > facts.modified_ns + TICKS_NS => {
            Err(format!("PID {pid} is another process, which started after the file was written"))
        }
        Presence::Here(_) if is_believed(facts) || identity::runs_as(pid, facts.owner) == Some(true) => Ok(()),
        Presence::Here(_) => {
            Err(format!("PID {pid} is a process of another user than {}, to whom the file belongs", facts.owner))
        }
    }
}

/// Root, and this process's own user, are believed whatever they say.
fn is_believed(facts: &Facts) -> bool {
    [0, file::effective_user()].contains(&facts.owner)
}

/// Reads a PID file, of this library or one without a lock, and tells whether its daemon lives: it does while the
/// file is locked, and, without a lock, if its PID names a process that started before the file was written (by the
/// clock, so not across a step of it). A PID of a locked file is told if the process that it names here is seen to have that
/// lock: the number may be one of another PID namespace.
///
/// What anybody could have put there is [`PidState::Invalid`]: a file that everybody may write, that has several names, or that is in a
/// folder as [`PidFile::acquire`] refuses it; and, if a user owns it that is neither root nor this process's own, one in
/// a sticky folder that everybody may write. Elsewhere such a user's file counts for that user's processes alone.
///
/// # Errors
/// [`ErrorKind::PermissionDenied`] and the system's own, when it cannot be read.
pub fn read_pid(path: impl AsRef<Path>) -> Result<PidRead> {
    let path = path.as_ref();
    fork::check(READ)?;
    let subject = |error: Error| error.on(quoted(path.as_os_str().as_encoded_bytes()));
    let fail = |stage| move |errno| subject(Error::system(READ, stage, errno));
    let found = |state, pid, reason: String| Ok(PidRead { state, pid, reason });
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(subject(Error::invalid(READ, "the path has a NUL byte")));
    }
    let missing = || found(PidState::Missing, None, "there is no such file".to_owned());
    match file::look(path) {
        Ok(Facts { kind: Kind::Other(what), .. }) => {
            return found(PidState::Invalid, None, format!("is {what}, not a plain file"));
        }
        Ok(_) => {}
        Err(libc::ENOENT | libc::ENOTDIR) => return missing(),
        Err(errno) => return Err(fail("look")(errno)),
    }
    let file = match file::open(path, Open::Read) {
        Ok(file) => file,
        Err(libc::ENOENT) => return missing(),
        Err(errno) => return Err(fail("open")(errno)),
    };
    let facts = file::facts(&file).map_err(fail("look"))?;
    match anybodys(path, &facts) {
        Ok(None) => {}
        Ok(Some(reason)) => return found(PidState::Invalid, None, reason),
        Err(libc::ENOENT) => return missing(),
        Err(errno) => return Err(fail("look at folder")(errno)),
    }
    if file::obstacle(&file).map_err(fail("look for lock"))? == Obstacle::Writer {
        match holder(&file) {
            Holder::Known(pid) => return found(PidState::Alive, Some(pid), String::new()),
            Holder::Unknown(reason) => return found(PidState::Alive, None, reason),
            // It goes on with what is left of it.
            Holder::Gone | Holder::Reader if !file::is_named(&file, path).unwrap_or(true) => {
                return found(PidState::Missing, None, "was just released".to_owned());
            }
            Holder::Gone | Holder::Reader => {}
        }
    }
    match content(&file).map_err(fail("read"))? {
        Content::Blank => found(PidState::Invalid, None, "is empty".to_owned()),
        Content::Other(what) => found(PidState::Invalid, None, what),
        Content::Pid(pid) => match wrote(pid, &file::facts(&file).map_err(fail("look"))?) {
            Ok(()) => found(PidState::Alive, Some(pid), String::new()),
            Err(reason) => found(PidState::Dead, Some(pid), reason),
        },
    }
}

/// Why anybody could have put it there, or have made it what it is.
fn anybodys(path: &Path, facts: &Facts) -> std::result::Result<Option<String>, i32> {
    if let Kind::Other(what) = facts.kind {
        return Ok(Some(format!("is {what}, not a plain file")));
    }
    if facts.links > 1 {
        return Ok(Some(format!("has {} names: it may be another daemon's", facts.links)));
    }
    if facts.is_everybodys() {
        return Ok(Some("may be written by everybody".to_owned()));
    }
    let path = std::path::absolute(path).map_err(|error| error.raw_os_error().unwrap_or(libc::ENOENT))?;
    let Some(folder) = path.parent() else { return Ok(None) };
    if let Some(reason) = open_folder(folder)? {
        return Ok(Some(reason));
    }
    if !is_believed(facts) && file::look_through(folder)?.is_everybodys() {
        let (owner, user) = (facts.owner, file::effective_user());
        return Ok(Some(format!("belongs to user {owner}, not to {user}, in a folder that everybody may write")));
    }
    Ok(None)
}

/// The path from the root, which must name a file in a folder.
fn absolute(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        return Err(Error::invalid(ACQUIRE, "the path is empty"));
    }
    if bytes.contains(&0) {
        return Err(Error::invalid(ACQUIRE, "the path has a NUL byte"));
    }
    if path.file_name().is_none() || bytes.ends_with(b"/") {
        return Err(Error::invalid(ACQUIRE, "the path names no file"));
    }
    std::path::absolute(path)
        .map_err(|error| Error::system(ACQUIRE, "current directory", error.raw_os_error().unwrap_or(libc::ENOENT)))
}
