//! Where the cgroups of children are made: below the cgroup of this process. And what is missing where that cannot be.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use super::files::{directories_in, flag, open_directory};
use crate::error::describe_errno;
use crate::sys::descriptor::Result;
use crate::sys::{errno, file, retried};

/// What the names of all directories made here begin with.
pub(super) const PREFIX: &str = "coreproc-";

/// The part that is missing for a cgroup, in words.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) errno: Option<i32>,
    pub(crate) what: String,
}

impl Missing {
    pub(super) fn new(what: impl Into<String>) -> Missing {
        Missing { errno: None, what: what.into() }
    }

    pub(super) fn failed(path: &Path, call: &str, errno: i32) -> Missing {
        let what = format!("{call} {:?}: {}", path, describe_errno(errno));
        Missing { errno: Some(errno), what }
    }
}

/// Returns the directory of the cgroup in which this process is.
pub(super) fn own() -> std::result::Result<PathBuf, Missing> {
    let read = |path: &str| {
        let text = fs::read(path).map_err(|error| {
            let errno = file::errno_of(error);
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
pub(super) fn check_kind(base: &Path) -> std::result::Result<(), Missing> {
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
pub(super) fn sweep(base: &Path) {
    for path in directories_in(base) {
        let is_ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        // Whoever has locked it still knows of it.
        if is_ours && let Ok(_locked) = open_locked(&path) {
            let _ = remove_all(&path);
        }
    }
}

/// Removes a directory and those below it, from the bottom. EBUSY while one of them has a process: then nothing is removed,
/// because an empty one may have been made for a process that is to come.
pub(super) fn remove_all(path: &Path) -> Result<()> {
    const ATTEMPTS: usize = 3;
    let mut result = Ok(());
    for _ in 0..ATTEMPTS {
        result = retried(|| fs::remove_dir(path)).map_err(file::errno_of);
        match result {
            Err(libc::ENOENT) => return Ok(()),
            Err(libc::EBUSY | libc::ENOTEMPTY) => {}
            other => return other,
        }
        if is_populated(path) {
            return Err(libc::EBUSY);
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

fn is_populated(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.events")).is_ok_and(|text| flag(&text, "populated") == Some(true))
}

/// Opens a directory that nobody else has locked, and locks it.
pub(super) fn open_locked(path: &Path) -> Result<OwnedFd> {
    let directory = open_directory(path)?;
    // SAFETY: no pointers.
    if unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(errno());
    }
    // Between the open and the lock it may have been removed.
    file::look(path).map(|_| directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 22 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                          32 22 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn nothing_is_removed_below_a_directory_that_is_populated() {
        let top = std::env::temp_dir().join(format!("{PREFIX}populated-{}", std::process::id()));
        let (below, events) = (top.join("made-just-now"), top.join("cgroup.events"));
        fs::create_dir_all(&below).expect("mkdir");
        fs::write(&events, "populated 1\nfrozen 0\n").expect("write");
        assert_eq!(remove_all(&top), Err(libc::EBUSY));
        assert!(below.exists());
        fs::remove_file(&events).expect("remove");
        remove_all(&top).expect("nothing is in it");
        assert!(!top.exists());
    }

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
}
