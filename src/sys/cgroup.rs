//! [`Cgroup`]: a cgroup of the v2 hierarchy that is made for one child, below the cgroup of this process.
//!
//! Its directory is locked (flock(2)) for as long as the child is known here. An empty one that nobody has locked was
//! left behind by a process that is gone, and the next process that makes one removes it.
//!
//! System calls: mkdir(2), openat(2), read(2), write(2), flock(2), rmdir(2), pidfd_open(2), pidfd_send_signal(2). See
//! cgroups(7), and Documentation/admin-guide/cgroup-v2.rst of Linux.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use super::descriptor::{Result, above_stdio};
use super::{errno, file, pidfd, retried};

/// What the names of all directories made here begin with.
const PREFIX: &str = "coreproc-";

/// The part that is missing for a cgroup, in words.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) errno: Option<i32>,
    pub(crate) what: String,
}

impl Missing {
    fn new(what: impl Into<String>) -> Missing {
        Missing { errno: None, what: what.into() }
    }

    fn failed(path: &Path, call: &str, errno: i32) -> Missing {
        let what = format!("{call} {:?}: {}", path, crate::error::describe_errno(errno));
        Missing { errno: Some(errno), what }
    }
}

/// A cgroup that was made for a child. The drop removes it if nothing is in it.
pub(crate) struct Cgroup {
    directory: OwnedFd,
    path: PathBuf,
    /// `cgroup.events`, once it is watched.
    events: Option<File>,
}

impl Cgroup {
    /// Makes one below the cgroup of this process.
    pub(crate) fn new() -> std::result::Result<Cgroup, Missing> {
        static SWEPT: Once = Once::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        const ATTEMPTS: usize = 1000;
        let base = own()?;
        check_kind(&base)?;
        SWEPT.call_once(|| sweep(&base));
        let me = std::process::id();
        for _ in 0..ATTEMPTS {
            let path = base.join(format!("{PREFIX}{me}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
            match retried(|| fs::create_dir(&path)) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => {
                    return Err(Missing::failed(&path, "mkdir", error.raw_os_error().unwrap_or(libc::EIO)));
                }
                Ok(()) => {}
            }
            match open_locked(&path) {
                Ok(directory) => return Ok(Cgroup { directory, path, events: None }),
                // Another process has taken it for a leftover, and removes it.
                Err(libc::ENOENT | libc::EWOULDBLOCK) => {}
                Err(errno) => {
                    let _ = fs::remove_dir(&path);
                    return Err(Missing::failed(&path, "open", errno));
                }
            }
        }
        Err(Missing::new(format!("no free name below {base:?}")))
    }

    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Returns whether a process is in it, or below it, that has not ended. True if that cannot be seen.
    pub(crate) fn is_populated(&self) -> bool {
        match read_at(&self.directory, "cgroup.events") {
            Ok(text) => flag(&text, "populated") != Some(false),
            Err(errno) => !matches!(errno, libc::ENOENT | libc::ENODEV),
        }
    }

    /// Kills all that is in it and below it: by `cgroup.kill` (Linux 5.14), or one process after another while all of
    /// them are frozen.
    pub(crate) fn kill(&self) -> Result<()> {
        match write_at(&self.directory, "cgroup.kill", b"1") {
            Err(libc::ENOENT | libc::EACCES | libc::EPERM | libc::EOPNOTSUPP) => {}
            other => return other,
        }
        self.kill_one_by_one()
    }

    fn kill_one_by_one(&self) -> Result<()> {
        // A frozen process starts no others, and dies all the same. Freezing takes a moment, so that passes follow.
        let frozen = self.freeze(true);
        let sent = self.signal(libc::SIGKILL);
        if frozen.is_ok() {
            let _ = self.freeze(false);
        }
        sent.map(drop)
    }

    /// Stops all that is in it and below it from running, or lets it run on: `cgroup.freeze` (Linux 5.2). It takes
    /// effect a moment later.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        write_at(&self.directory, "cgroup.freeze", if frozen { b"1" } else { b"0" })
    }

    /// Sends a signal to each process in it and below it, each by a pidfd that was shown to be of a member. Those that
    /// are started meanwhile are found by further passes. Returns the processes that the kernel refused to signal. Fails
    /// with ESRCH if there was none to signal.
    pub(crate) fn signal(&self, signal: i32) -> Result<Vec<i32>> {
        const PASSES: usize = 32;
        let mut known: HashSet<i32> = HashSet::new();
        let (mut reached, mut refused, mut failed) = (0, Vec::new(), libc::ESRCH);
        for _ in 0..PASSES {
            let mut is_last = true;
            for directory in self.directories() {
                let found: Vec<i32> = members(&directory).into_iter().filter(|pid| !known.contains(pid)).collect();
                for pids in found.chunks(64) {
                    let opened: Vec<_> = pids.iter().map(|pid| (*pid, pidfd::open(*pid))).collect();
                    // What is listed now and has not ended when it is signalled was listed under this number all along.
                    let listed: HashSet<i32> = members(&directory).into_iter().collect();
                    for (pid, opened) in opened {
                        let sent = match opened {
                            Ok(_) if !listed.contains(&pid) => continue,
                            Ok(pidfd) => pidfd::send_signal(pidfd.as_raw_fd(), signal, 0),
                            Err(errno) => Err(errno),
                        };
                        is_last = false;
                        known.insert(pid);
                        match sent {
                            Ok(()) => reached += 1,
                            Err(libc::ESRCH) => {}
                            Err(errno) => {
                                failed = errno;
                                refused.push(pid);
                            }
                        }
                    }
                }
            }
            if is_last {
                break;
            }
        }
        if reached > 0 { Ok(refused) } else { Err(failed) }
    }

    /// Returns the processes in it and below it. Those of a PID namespace that cannot be seen from here have no number,
    /// and are left out.
    pub(crate) fn members(&self) -> Vec<i32> {
        let mut found: Vec<i32> = self.directories().iter().flat_map(members).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns its directory, and those below it, which its processes have made.
    fn directories(&self) -> Vec<OwnedFd> {
        let mut paths = vec![self.path.clone()];
        let mut at = 0;
        while at < paths.len() {
            let below = directories_in(&paths[at]);
            paths.extend(below);
            at += 1;
        }
        paths.iter().filter_map(|path| open_directory(path).ok()).collect()
    }

    /// Returns `cgroup.events`, which reports an event (EPOLLPRI) when the last process has ended.
    pub(crate) fn events(&mut self) -> Result<BorrowedFd<'_>> {
        if self.events.is_none() {
            self.events = Some(open_at(&self.directory, "cgroup.events", OFlag::O_RDONLY)?);
        }
        self.events.as_ref().map(AsFd::as_fd).ok_or(libc::EBADF)
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.events.is_some()
    }

    /// Like [`Cgroup::is_populated`], through the descriptor that is watched: it reports the next change from here on.
    pub(crate) fn is_populated_now(&mut self) -> bool {
        let Some(events) = &mut self.events else { return self.is_populated() };
        let mut text = String::new();
        let read = retried(|| events.seek(SeekFrom::Start(0)).and_then(|_| events.read_to_string(&mut text)));
        read.is_err() || flag(&text, "populated") != Some(false)
    }

    /// Removes it, and what its processes made below it. EBUSY while something is in it.
    pub(crate) fn remove(&self) -> Result<()> {
        remove_all(&self.path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Returns the directory of the cgroup in which this process is.
fn own() -> std::result::Result<PathBuf, Missing> {
    let read = |path: &str| {
        let text = fs::read(path).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            Missing::failed(Path::new(path), "read", errno)
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let mine = read("/proc/self/cgroup")?;
    let Some(path) = mine.lines().find_map(|line| line.strip_prefix("0::")) else {
        return Err(Missing::new("this process is in no cgroup of version 2"));
    };
    below_mount(path, &read("/proc/self/mountinfo")?)
}

/// Refuses a directory that another file system hides.
fn check_kind(base: &Path) -> std::result::Result<(), Missing> {
    let kind = retried(|| statfs(base)).map_err(|errno| Missing::failed(base, "look at", errno as i32))?;
    if kind.filesystem_type() == CGROUP2_SUPER_MAGIC {
        return Ok(());
    }
    Err(Missing::new(format!("another file system is mounted over {base:?}")))
}

/// Returns where the cgroup with this path lies below a mount of the hierarchy; see proc_pid_mountinfo(5).
fn below_mount(path: &str, mounts: &str) -> std::result::Result<PathBuf, Missing> {
    let mut is_mounted = false;
    for line in mounts.lines() {
        let Some((place, kind)) = line.split_once(" - ") else { continue };
        let mut place = place.split(' ').skip(3);
        let (Some(root), Some(point)) = (place.next(), place.next()) else { continue };
        if kind.split(' ').next() != Some("cgroup2") {
            continue;
        }
        is_mounted = true;
        let root = unescaped(root);
        let rest = Path::new(path).strip_prefix(&root).ok();
        // A path that leads out of the cgroup namespace lies below no mount of it.
        if let Some(rest) = rest.filter(|rest| rest.components().all(|part| part.as_os_str() != "..")) {
            return Ok(Path::new(&unescaped(point)).join(rest));
        }
    }
    Err(Missing::new(if is_mounted {
        format!("the cgroup {path:?} of this process lies below no mount of the hierarchy")
    } else {
        "no cgroup hierarchy of version 2 is mounted".to_owned()
    }))
}

/// Turns the octal escapes of mountinfo back into what they stand for.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012"]
        .iter()
        .zip([" ", "\t", "\n"])
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
        .replace("\\134", "\\")
}

/// Removes the empty directories that processes which are gone have left behind.
fn sweep(base: &Path) {
    for path in directories_in(base) {
        let is_ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        // Whoever has locked it still knows of it.
        if is_ours && let Ok(_locked) = open_locked(&path) {
            let _ = remove_all(&path);
        }
    }
}

fn directories_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Removes a directory and those below it, from the bottom. None of them has a process, or it is EBUSY.
fn remove_all(path: &Path) -> Result<()> {
    const ATTEMPTS: usize = 3;
    let mut result = Ok(());
    for _ in 0..ATTEMPTS {
        result = retried(|| fs::remove_dir(path)).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
        match result {
            Err(libc::ENOENT) => return Ok(()),
            Err(libc::EBUSY | libc::ENOTEMPTY) => {}
            other => return other,
        }
        let below = directories_in(path);
        if below.is_empty() {
            return result;
        }
        for path in below {
            remove_all(&path)?;
        }
    }
    result
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    above_stdio(retried(|| openat(AT_FDCWD, path, flags, Mode::empty())).map_err(|errno| errno as i32)?)
}

/// Opens a directory that nobody else has locked, and locks it.
fn open_locked(path: &Path) -> Result<OwnedFd> {
    let directory = open_directory(path)?;
    // SAFETY: no pointers.
    if unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(errno());
    }
    // Between the open and the lock it may have been removed.
    file::look(path).map(|_| directory)
}

fn open_at(directory: &OwnedFd, name: &str, flags: OFlag) -> Result<File> {
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = retried(|| openat(directory, name, flags, Mode::empty())).map_err(|errno| errno as i32)?;
    above_stdio(opened).map(File::from)
}

fn read_at(directory: &OwnedFd, name: &str) -> Result<String> {
    let mut text = Vec::new();
    let mut file = open_at(directory, name, OFlag::O_RDONLY)?;
    retried(|| file.read_to_end(&mut text)).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn write_at(directory: &OwnedFd, name: &str, text: &[u8]) -> Result<()> {
    let mut file = open_at(directory, name, OFlag::O_WRONLY)?;
    retried(|| file.write_all(text)).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
}

/// Reads a number out of lines of a name and a number.
fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn flag(text: &str, name: &str) -> Option<bool> {
    value(text, name).map(|value| value != 0)
}

/// Returns the processes in this directory alone.
fn members(directory: &OwnedFd) -> Vec<i32> {
    let text = read_at(directory, "cgroup.procs").unwrap_or_default();
    // A process that has no number here is listed as 0.
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 22 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                          32 22 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_cgroup_is_found_beside_version_1_and_below_a_part_of_the_hierarchy() {
        let found = |path, mounts| below_mount(path, mounts).map_err(|missing| missing.what);
        assert_eq!(found("/a/b", HYBRID), Ok(PathBuf::from("/sys/fs/cgroup/unified/a/b")));
        let part = "32 22 0:28 /a /mnt/with\\040space rw shared:1 master:2 - cgroup2 none rw\n";
        assert_eq!(found("/a/b", part), Ok(PathBuf::from("/mnt/with space/b")));
        assert!(found("/c", part).is_err_and(|what| what.contains("\"/c\"") && what.contains("below no mount")));
        assert!(found("/../c", HYBRID).is_err_and(|what| what.contains("below no mount")));
        assert!(found("/", "").is_err_and(|what| what.contains("no cgroup hierarchy of version 2 is mounted")));
    }

    /// Kernels before Linux 5.14 have no cgroup.kill.
    #[test]
    fn what_is_in_it_can_be_killed_one_by_one() {
        let cgroup = match Cgroup::new() {
            Ok(cgroup) => cgroup,
            Err(missing) => return println!("NOT TESTED: no cgroup can be made here: {}", missing.what),
        };
        let mut children: Vec<_> =
            (0..3).map(|_| std::process::Command::new("sleep").arg("600").spawn().expect("spawn")).collect();
        for child in &children {
            write_at(&cgroup.directory, "cgroup.procs", child.id().to_string().as_bytes()).expect("move");
        }
        assert_eq!(cgroup.members().len(), 3);
        assert_eq!(cgroup.remove(), Err(libc::EBUSY));
        cgroup.kill_one_by_one().expect("kill");
        for child in &mut children {
            let status = child.wait().expect("wait");
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
        }
        assert!(!cgroup.is_populated() && cgroup.kill_one_by_one() == Err(libc::ESRCH));
        let path = cgroup.path.clone();
        drop(cgroup);
        assert!(!path.exists());
    }

    #[test]
    fn numbers_are_read_by_their_whole_name() {
        let text = "populated 0\nfrozen 1\noom 3\noom_kill 7\n";
        assert_eq!((flag(text, "populated"), flag(text, "frozen")), (Some(false), Some(true)));
        assert_eq!((value(text, "oom"), value(text, "oom_kill"), value(text, "oom_k")), (Some(3), Some(7), None));
    }
}
