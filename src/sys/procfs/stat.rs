//! `/proc/PID/stat`: the one reader of it, and whether the numbers in /proc are ours. See proc_pid_stat(5).

use std::fs;
use std::os::fd::OwnedFd;

use crate::sys::descriptor::Result;
use crate::sys::{file, pidfd};

/// A thread that has begun to end.
const PF_EXITING: u64 = 4;

/// Returns whether `/proc` shows the PIDs of this process's namespace. After unshare(CLONE_NEWPID) it may still be that
/// of another namespace, whose numbers mean nothing here.
pub(crate) fn is_ours() -> bool {
    fs::read_link("/proc/self").is_ok_and(|me| me.to_str().is_some_and(|me| me.parse() == Ok(std::process::id())))
}

/// Reads `/proc/PID/stat` from the state on: the part before it, `pid (name)`, may hold anything.
pub(crate) fn stat(pid: i32) -> Result<String> {
    Ok(after_name(file::read_text(&format!("/proc/{pid}/stat"))?))
}

/// Cuts off the number and the name, in which there may be anything.
pub(super) fn after_name(mut stat: String) -> String {
    stat.drain(..stat.rfind(") ").map_or(0, |end| end + ") ".len()));
    stat
}

/// Returns the letter of the state of the process of this pidfd, and how many threads it has; None if it has ended, is
/// about to (a SIGKILL makes what was stopped run for that), or is hidden.
pub(crate) fn state_of(pidfd: &OwnedFd, pid: i32) -> Option<(char, u64)> {
    let stat = stat(pid).ok()?;
    // state ppid pgrp session tty tpgid flags …, then the number of threads and the pending signals of the thread
    let mut fields = stat.split(' ');
    let state = fields.next()?.chars().next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let threads = fields.nth(10)?.parse().ok()?;
    let pending: u64 = fields.nth(10)?.parse().ok()?;
    if flags & PF_EXITING != 0 || pending & 1 << (libc::SIGKILL - 1) != 0 {
        return None;
    }
    // If it has not ended, the number was its own all the time.
    (!pidfd::has_ended(pidfd)).then_some((state, threads))
}

/// Returns whether `pid`, the process of this pidfd, has ended or has begun to end, so that no code of it will run. It
/// closes its files before its pidfd reports the end.
pub(crate) fn is_ending(pidfd: &OwnedFd, pid: i32) -> bool {
    let exits = || {
        // state ppid pgrp session tty tpgid flags …
        let flags: u64 = stat(pid).ok()?.split(' ').nth(6)?.parse().ok()?;
        Some(flags & PF_EXITING != 0)
    };
    // The pidfd is asked before and after, because in between the number may have become another's.
    pidfd::has_ended(pidfd) || exits() == Some(true) || pidfd::has_ended(pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_has_threads() {
        let pid = std::process::id() as i32;
        let pidfd = pidfd::open(pid).expect("pidfd");
        let counted = || fs::read_dir("/proc/self/task").expect("/proc is mounted").count() as u64;
        // Other tests begin and end meanwhile.
        let is_told = || {
            let before = counted();
            state_of(&pidfd, pid).is_some_and(|(state, threads)| "RSD".contains(state) && threads == before)
        };
        assert!((0..1000).any(|_| is_told()));
    }
}
