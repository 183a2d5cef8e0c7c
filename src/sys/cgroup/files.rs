//! The files in the directory of a cgroup, and the directories below it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use crate::sys::descriptor::{Result, above_stdio};
use crate::sys::file::errno_of;
use crate::sys::retried;

pub(super) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    above_stdio(retried(|| openat(AT_FDCWD, path, flags, Mode::empty())).map_err(|errno| errno as i32)?)
}

pub(super) fn directories_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

pub(super) fn open_at(directory: &OwnedFd, name: &str, flags: OFlag) -> Result<File> {
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = retried(|| openat(directory, name, flags, Mode::empty())).map_err(|errno| errno as i32)?;
    above_stdio(opened).map(File::from)
}

pub(super) fn read_at(directory: &OwnedFd, name: &str) -> Result<String> {
    let mut text = Vec::new();
    let mut file = open_at(directory, name, OFlag::O_RDONLY)?;
    retried(|| file.read_to_end(&mut text)).map_err(errno_of)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

pub(super) fn write_at(directory: &OwnedFd, name: &str, text: &[u8]) -> Result<()> {
    let mut file = open_at(directory, name, OFlag::O_WRONLY)?;
    retried(|| file.write_all(text)).map_err(errno_of)
}

/// Reads a number out of lines of a name and a number.
pub(super) fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

pub(super) fn flag(text: &str, name: &str) -> Option<bool> {
    value(text, name).map(|value| value != 0)
}

/// Returns the processes in this directory alone.
pub(super) fn members(directory: &OwnedFd) -> Vec<i32> {
    let text = read_at(directory, "cgroup.procs").unwrap_or_default();
    // A process that has no number here is listed as 0.
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_whole_name() {
        let text = "populated 0\nfrozen 1\noom 3\noom_kill 7\n";
        assert_eq!((flag(text, "populated"), flag(text, "frozen")), (Some(false), Some(true)));
        assert_eq!((value(text, "oom"), value(text, "oom_kill"), value(text, "oom_k")), (Some(3), Some(7), None));
    }
}
