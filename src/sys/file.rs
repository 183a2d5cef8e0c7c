//! Small files that several processes share: opened without following links or waiting, locked, looked at, replaced
//! whole; and the directories that hold them.
//!
//! Calls that a signal interrupts are made again. System calls: open(2), stat(2), fcntl(2) with F_OFD_SETLK,
//! pread(2), pwrite(2), ftruncate(2), fchmod(2), fchown(2), fsync(2), rename(2), renameat2(2), unlink(2), mkdir(2),
//! getdents64(2), faccessat(2), geteuid(2).

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, FcntlArg, RenameFlags, fcntl};
use nix::unistd::{AccessFlags, faccessat};

use super::descriptor::{Result, above_stdio};
use super::retried;

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Other(&'static str),
}

pub(crate) const FIFO: &str = "a FIFO";
pub(crate) const SOCKET: &str = "a socket";

/// The facts that the kernel tells about a file: stat(2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// Device and inode: which file it is, under any name.
    identity: (u64, u64),
    pub(crate) owner: u32,
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since the epoch.
    pub(crate) modified_ns: i128,
}

impl Facts {
    fn new(metadata: &fs::Metadata) -> Facts {
        let of = metadata.file_type();
        let kind = match () {
            () if of.is_file() => Kind::Regular,
            () if of.is_symlink() => Kind::Other("a symbolic link"),
            () if of.is_dir() => Kind::Other("a directory"),
            () if of.is_fifo() => Kind::Other(FIFO),
            () if of.is_socket() => Kind::Other(SOCKET),
            () => Kind::Other("a device"),
        };
        Facts {
            kind,
            identity: (metadata.dev(), metadata.ino()),
            owner: metadata.uid(),
            mode: metadata.mode(),
            links: metadata.nlink(),
            size: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }
    }

    pub(crate) fn is_same_file(&self, other: &Facts) -> bool {
        self.identity == other.identity
    }

    /// Returns whether every user may write it.
    pub(crate) fn is_everybodys(&self) -> bool {
        self.mode & libc::S_IWOTH != 0
    }

    /// Returns whether every user can replace the files in this directory: not if it is sticky.
    pub(crate) fn lets_everybody_replace(&self) -> bool {
        self.is_everybodys() && self.mode & libc::S_ISVTX == 0
    }

    pub(crate) fn inode(&self) -> u64 {
        self.identity.1
    }
}

/// Looks at the file of this name: a symbolic link is not followed.
pub(crate) fn look(path: &Path) -> Result<Facts> {
    retried(|| fs::symlink_metadata(path)).map(|metadata| Facts::new(&metadata)).map_err(errno_of)
}

/// Looks at the file that the name leads to, links followed.
pub(crate) fn look_through(path: &Path) -> Result<Facts> {
    retried(|| fs::metadata(path)).map(|metadata| Facts::new(&metadata)).map_err(errno_of)
}

/// Looks at an open file.
pub(crate) fn facts(file: &File) -> Result<Facts> {
    retried(|| file.metadata()).map(|metadata| Facts::new(&metadata)).map_err(errno_of)
}

/// Returns whether `path` still names this open file.
pub(crate) fn is_named(file: &File, path: &Path) -> Result<bool> {
    match look(path) {
        Ok(named) => Ok(named.is_same_file(&facts(file)?)),
        Err(libc::ENOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// To read a file that exists.
    Read,
    /// To lock a file that exists.
    Write,
    /// To read and write; made if it is missing.
    Keep(u32),
    /// To write a file that must not exist yet.
    New(u32),
    /// To append; made if it is missing.
    Append(u32),
}

/// Opens the file of this name: no link is followed (ELOOP), a FIFO does not wait for its other end, a terminal does
/// not become ours. The descriptor is above 2 and close-on-exec.
pub(crate) fn open(path: &Path, how: Open) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    match how {
        Open::Read => {}
        Open::Write => _ = options.write(true),
        Open::Keep(mode) => _ = options.write(true).create(true).mode(mode),
        Open::Append(mode) => _ = options.append(true).create(true).mode(mode),
        Open::New(mode) => _ = options.write(true).create_new(true).mode(mode),
    }
    let file = options.open(path).map_err(errno_of)?;
    above_stdio(OwnedFd::from(file)).map(File::from)
}

/// Takes the whole file's open-file-description write lock (Linux 3.15), without waiting; false if another has one. It
/// lives until [`unlock`], or until every copy of the descriptor is closed, those in children of fork included.
pub(crate) fn lock(file: &File) -> Result<bool> {
    set_lock(file, libc::F_WRLCK)
}

/// Takes its read lock in the same way. Others may have one as well; no write lock is given meanwhile.
pub(crate) fn lock_for_reading(file: &File) -> Result<bool> {
    set_lock(file, libc::F_RDLCK)
}

fn set_lock(file: &File, kind: i32) -> Result<bool> {
    match retried(|| fcntl(file, FcntlArg::F_OFD_SETLK(&whole(kind)))) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno as i32),
    }
}

/// Gives the lock back at once, also if other processes have copies of the descriptor.
pub(crate) fn unlock(file: &File) -> Result<()> {
    retried(|| fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK)))).map(drop).map_err(|errno| errno as i32)
}

/// The lock that is in the way of a write lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Nothing,
    /// A read lock, which every user that may read the file can take.
    Reader,
    Writer,
}

/// Finds the lock of another process that is in the way of a write lock.
pub(crate) fn obstacle(file: &File) -> Result<Obstacle> {
    let is_in_the_way_of = |kind| -> Result<bool> {
        let mut answer = whole(kind);
        retried(|| fcntl(file, FcntlArg::F_OFD_GETLK(&mut answer))).map_err(|errno| errno as i32)?;
        Ok(i32::from(answer.l_type) != libc::F_UNLCK)
    };
    // Read locks do not exclude each other.
    Ok(match () {
        () if is_in_the_way_of(libc::F_RDLCK)? => Obstacle::Writer,
        () if is_in_the_way_of(libc::F_WRLCK)? => Obstacle::Reader,
        () => Obstacle::Nothing,
    })
}

fn whole(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Reads the first bytes of a file, `most` and one at most: one more than `most` means that the file is longer.
pub(crate) fn read_start(file: &File, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut offset = 0;
    let mut buffer = [0; 4096];
    while bytes.len() <= most {
        let room = buffer.len().min(most + 1 - bytes.len());
        match retried(|| file.read_at(&mut buffer[..room], offset)) {
            Ok(0) => break,
            Ok(n) => {
                bytes.extend_from_slice(&buffer[..n]);
                offset += n as u64;
            }
            Err(error) => return Err(errno_of(error)),
        }
    }
    Ok(bytes)
}

/// Reads the first bytes of what the name stands for, links followed, without waiting.
pub(crate) fn head(path: &Path, most: usize) -> Result<Vec<u8>> {
    read_start(&open_through(path)?, most)
}

/// Opens what the name stands for to read it, links followed, without waiting for the writer of a FIFO.
pub(crate) fn open_through(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(errno_of)?;
    above_stdio(OwnedFd::from(file)).map(File::from)
}

/// Like [`read_start`], for a file that may be large: reads large pieces, from the file's present offset.
pub(crate) fn read_large(file: File, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(errno_of)?;
    Ok(bytes)
}

/// Returns whether this process may run it, by the mode of the file and of the mount.
pub(crate) fn may_be_run(path: &Path) -> bool {
    retried(|| faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)).is_ok()
}

/// Reads a small file of /proc; the name of a process in it may not be UTF-8.
pub(crate) fn read_text(path: &str) -> Result<String> {
    let bytes = read_start(&open(Path::new(path), Open::Read)?, 64 * 1024)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes all bytes at the start of the file.
pub(crate) fn write_start(file: &File, bytes: &[u8]) -> Result<()> {
    file.write_all_at(bytes, 0).map_err(errno_of)
}

/// ftruncate(2).
pub(crate) fn cut(file: &File, length: u64) -> Result<()> {
    file.set_len(length).map_err(errno_of)
}

/// Calls fchmod(2).
pub(crate) fn set_mode(file: &File, mode: u32) -> Result<()> {
    file.set_permissions(Permissions::from_mode(mode)).map_err(errno_of)
}

/// Calls fchown(2).
pub(crate) fn give_to(file: &File, user: u32) -> Result<()> {
    std::os::unix::fs::fchown(file, Some(user), None).map_err(errno_of)
}

/// Calls fsync(2).
pub(crate) fn sync(file: &File) -> Result<()> {
    file.sync_all().map_err(errno_of)
}

/// Calls fsync(2) on a directory, so that its names survive a crash as they are now.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    sync(&directory(path)?)
}

fn directory(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_DIRECTORY).open(path).map_err(errno_of)?;
    above_stdio(OwnedFd::from(file)).map(File::from)
}

/// Makes the directory and those above it that are missing. No other user may write them, whatever the umask is.
pub(crate) fn make_directories(path: &Path) -> Result<()> {
    retried(|| DirBuilder::new().recursive(true).mode(0o755).create(path)).map_err(errno_of)
}

/// Returns the path of the directory from the root, without a link in it.
pub(crate) fn real_path(path: &Path) -> Result<PathBuf> {
    retried(|| fs::canonicalize(path)).map_err(errno_of)
}

/// Returns the names in a directory, in the order of their bytes.
pub(crate) fn names(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let read = || fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let mut names: Vec<_> = retried(read).map_err(errno_of)?;
    names.sort();
    Ok(names)
}

/// Calls rename(2): replaces the file that `to` named, in one step.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    retried(|| fs::rename(from, to)).map_err(errno_of)
}

/// Calls renameat2(2) with RENAME_NOREPLACE: EEXIST if `to` names something. On file systems without it, looks before
/// it renames.
pub(crate) fn rename_to_new(from: &Path, to: &Path) -> Result<()> {
    let at = nix::fcntl::AT_FDCWD;
    match retried(|| nix::fcntl::renameat2(at, from, at, to, RenameFlags::RENAME_NOREPLACE)) {
        Ok(()) => Ok(()),
        Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOSYS) => match look(to) {
            Ok(_) => Err(libc::EEXIST),
            Err(libc::ENOENT) => rename(from, to),
            Err(errno) => Err(errno),
        },
        Err(errno) => Err(errno as i32),
    }
}

pub(crate) fn unlink(path: &Path) -> Result<()> {
    retried(|| fs::remove_file(path)).map_err(errno_of)
}

pub(crate) fn effective_user() -> u32 {
    // SAFETY: no arguments; always succeeds.
    unsafe { libc::geteuid() }
}

/// Returns the errno of an error of std, or that which says the same.
pub(crate) fn errno_of(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => libc::EINVAL,
        io::ErrorKind::WriteZero => libc::ENOSPC,
        _ => libc::EIO,
    })
}
