//! Processes of this host: whether they live, forks, PIDs, orphans.

use super::{Fd, check, readable};
use crate::GUARD;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

/// Waits until a child has ended, and leaves its status to be reaped.
pub fn await_zombie(pid: i32) {
    // SAFETY: siginfo_t is plain data that waitid fills.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOWAIT;
        check(libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, options)).expect("waitid");
    }
}

pub fn pidfd(pid: i32) -> io::Result<Fd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    check(fd as libc::c_int)?;
    // SAFETY: new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Returns whether the process of a pidfd lives; for processes that are not children of ours, which leave no zombie
/// here.
pub fn lives(pidfd: &Fd) -> bool {
    !readable(pidfd, Duration::ZERO)
}

#[track_caller]
pub fn assert_ends(pidfd: &Fd) {
    assert!(readable(pidfd, GUARD), "still alive");
}

pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Waits for a change of a child that has not ended, as `waitpid(2)` with WUNTRACED or WCONTINUED.
pub fn wait_for_change(pid: i32, options: i32) {
    // SAFETY: no status is asked for.
    let waited = unsafe { libc::waitpid(pid, std::ptr::null_mut(), options) };
    assert_eq!(waited, pid, "waitpid");
}

/// Returns the letter of a process's state in /proc: 'T' when stopped, 'Z' for a zombie.
pub fn state_of(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Makes the calling thread run on one processor from now on, and only while no child that it starts from now on wants
/// to run.
pub fn run_after_children() {
    const SCHED_RESET_ON_FORK: libc::c_int = 0x4000_0000;
    // SAFETY: plain data that the kernel copies.
    unsafe {
        let mut processors: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(check(libc::sched_getcpu()).expect("sched_getcpu") as usize, &mut processors);
        check(libc::sched_setaffinity(0, size_of_val(&processors), &raw const processors)).expect("sched_setaffinity");
        let parameters = libc::sched_param { sched_priority: 0 };
        check(libc::sched_setscheduler(0, libc::SCHED_IDLE | SCHED_RESET_ON_FORK, &raw const parameters))
            .expect("sched_setscheduler");
    }
}

/// Returns whether this process has no child, neither alive nor a zombie.
pub fn has_no_child() -> bool {
    // SAFETY: all zeros is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: a valid siginfo_t.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
    result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

pub fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("osrelease");
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Makes orphans among this process's descendants its children from now on, which are not reaped.
pub fn become_subreaper() {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }).expect("prctl");
}

pub fn is_subreaper() -> bool {
    let mut flag: libc::c_int = 0;
    // SAFETY: room for an int.
    check(unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut flag) }).expect("prctl");
    flag != 0
}

/// Runs `work` in a child that fork() alone made, and returns its exit code.
pub fn in_fork(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `work` on its only thread and ends without returning; the C library
    // keeps its allocator usable in a forked child.
    let pid = unsafe { libc::fork() };
    check(pid).expect("fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    let watch = pidfd(pid).expect("pidfd");
    let hung = !readable(&watch, GUARD);
    if hung {
        kill(pid, libc::SIGKILL).expect("kill");
    }
    let mut status = 0;
    // SAFETY: room for a status.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) }).expect("waitpid");
    assert!(!hung, "the forked child hung");
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
}

/// Forks a child that runs `work` and ends; true in the parent.
pub fn fork_off(work: impl FnOnce()) -> bool {
    // SAFETY: the child runs `work` on its only thread and ends without returning.
    let pid = unsafe { libc::fork() };
    check(pid).expect("fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_or(101, |()| 0);
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    true
}

/// Returns the processes that have this file open.
pub fn who_has_open(path: &Path) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_it = |pid: &i32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|target| target == path)
    };
    pids.filter(has_it).collect()
}

/// Starts processes until one has this PID. For hosts with PIDs of their own.
pub fn reuse<T>(pid: i32, start: impl Fn() -> T, pid_of: impl Fn(&T) -> i32) -> T {
    for _ in 0..10_000 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("ns_last_pid");
        let started = start();
        if pid_of(&started) == pid {
            return started;
        }
        drop(started);
    }
    panic!("PID {pid} was never free");
}

pub fn own_thread() -> i32 {
    // SAFETY: no arguments; cannot fail.
    unsafe { libc::gettid() }
}

/// Reaps a child that has ended.
pub fn reap(pid: i32) {
    let mut status = 0;
    // SAFETY: room for a status.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) }).expect("waitpid");
}
