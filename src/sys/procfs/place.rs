//! [`Place`]: the directory of one process in /proc, kept open. What is read through it is of that process, and of no
//! other that gets its number later: once it has been reaped, nothing can be read. See proc_pid(5).

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};

use super::stat::after_name;
use crate::sys::descriptor::{Result, above_stdio};
use crate::sys::{file, retried};

pub(super) struct Place(OwnedFd);

impl Place {
    /// Opens the directory of the process that has this number now.
    pub(super) fn open(pid: i32) -> Result<Place> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = retried(|| nix::fcntl::open(format!("/proc/{pid}").as_str(), flags, Mode::empty()));
        Ok(Place(above_stdio(opened.map_err(|errno| errno as i32)?)?))
    }

    /// Opens one of its files for reading.
    fn file(&self, name: &str) -> Result<fs::File> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let opened = retried(|| openat(&self.0, name, flags, Mode::empty()));
        above_stdio(opened.map_err(|errno| errno as i32)?).map(fs::File::from)
    }

    /// Reads one of its files.
    pub(super) fn read(&self, name: &str) -> Result<String> {
        let bytes = file::read_start(&self.file(name)?, 64 * 1024)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads its `stat` from the state on.
    pub(super) fn stat(&self) -> Result<String> {
        Ok(after_name(self.read("stat")?))
    }

    /// Looks at one of its files, links followed.
    pub(super) fn look(&self, name: &str) -> Result<FileStat> {
        retried(|| fstatat(&self.0, name, AtFlags::empty())).map_err(|errno| errno as i32)
    }

    /// Lists the numbers that are names in one of its directories.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<i32>> {
        let path = format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd());
        let entries = fs::read_dir(path).map_err(file::errno_of)?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// Reads bytes of its memory; None if that is not permitted, or they are not there.
    pub(super) fn memory(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        let file = self.file("mem").ok()?;
        retried(|| file.read_exact_at(&mut bytes, address)).ok()?;
        Some(bytes)
    }
}
