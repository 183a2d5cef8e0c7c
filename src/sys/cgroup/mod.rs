//! [`Cgroup`]: a cgroup of the v2 hierarchy that is made for one child, below the cgroup of this process.
//!
//! Its directory is locked (flock(2)) for as long as the child is known here. An empty one that nobody has locked was
//! left behind by a process that is gone, and the next process that makes one removes it.
//!
//! System calls: mkdir(2), openat(2), read(2), write(2), flock(2), rmdir(2), pidfd_open(2), pidfd_send_signal(2). See
//! cgroups(7), and Documentation/admin-guide/cgroup-v2.rst of Linux.

mod files;
mod limits;
mod place;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::fcntl::OFlag;

use self::files::{directories_in, flag, members, open_at, open_directory, read_at, write_at};
pub(crate) use self::limits::TreeLimits;
pub use self::limits::Usage;
pub(crate) use self::place::Missing;
use self::place::{PREFIX, check_kind, open_locked, own, remove_all, sweep};
use super::descriptor::Result;
use super::file::errno_of;
use super::{pidfd, retried};

/// A cgroup that was made for a child. The drop removes it if nothing is in it.
pub(crate) struct Cgroup {
    directory: OwnedFd,
    path: PathBuf,
    /// `cgroup.events`, once it is watched.
    events: Option<File>,
}

impl Cgroup {
    /// Makes one with these limits below the cgroup of this process.
    pub(crate) fn new(limits: &TreeLimits) -> std::result::Result<Cgroup, Missing> {
        static SWEPT: AtomicBool = AtomicBool::new(false);
        static NEXT: AtomicU64 = AtomicU64::new(1);
        const ATTEMPTS: usize = 1000;
        let base = own()?;
        check_kind(&base)?;
        limits.enable(&base)?;
        if !SWEPT.swap(true, Ordering::Relaxed) {
            sweep(&base);
        }
        let me = std::process::id();
        for _ in 0..ATTEMPTS {
            let path = base.join(format!("{PREFIX}{me}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
            match retried(|| fs::create_dir(&path)) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => {
                    return Err(Missing::failed(&path, "mkdir", errno_of(error)));
                }
                Ok(()) => {}
            }
            match open_locked(&path) {
                Ok(directory) => {
                    let cgroup = Cgroup { directory, path, events: None };
                    limits.apply(&cgroup.directory)?;
                    return Ok(cgroup);
                }
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

    /// Returns what its processes have used so far.
    pub(crate) fn usage(&self) -> Usage {
        limits::usage(&self.directory)
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

    /// Closes `cgroup.events`, which could not be watched.
    pub(crate) fn forget_events(&mut self) {
        self.events = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernels before Linux 5.14 have no cgroup.kill.
    #[test]
    fn what_is_in_it_can_be_killed_one_by_one() {
        let cgroup = match Cgroup::new(&TreeLimits::default()) {
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
        let below = cgroup.path.join("made-by-a-member");
        fs::create_dir(&below).expect("mkdir");
        assert_eq!(cgroup.remove(), Err(libc::EBUSY));
        assert!(below.exists(), "a member may be about to use it");
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
}
