//! Hosts under ptrace(2): killed at a chosen system call, or stopped while they make a child.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How a traced host ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// It was killed at the chosen system call.
    Killed,
    /// It ended before that call, with this exit code, or with the negative number of a signal.
    Ended(i32),
}

fn trace(request: libc::c_uint, pid: i32, data: usize) {
    // SAFETY: requests without pointers to our memory.
    let result = unsafe { libc::ptrace(request, pid, 0_usize, data) };
    assert!(result >= 0, "ptrace {request}: {}", io::Error::last_os_error());
}

/// Waits for the next event of a thread of the host. Children of other threads of this process, which other tests have,
/// are left out.
fn wait() -> (i32, i32) {
    let mut status = 0;
    // SAFETY: room for a status.
    let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    assert!(thread > 0, "waitpid: {}", io::Error::last_os_error());
    (thread, status)
}

/// Has this thread's system calls counted from here on; called in a host.
pub fn start_counting() {
    // SAFETY: no pointers. The tracer takes the signal.
    unsafe { libc::raise(libc::SIGUSR2) };
}

/// Runs the host and kills it at its `stop`-th entry to or return from a system call; entries are odd.
pub fn kill_at(mut command: Command, stop: u32) -> Met {
    // SAFETY: one system call, which is safe after a fork.
    unsafe {
        command.pre_exec(|| {
            // SAFETY: takes no pointers.
            let result = libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize);
            if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
    // This thread traces it, and `wait` reaps it.
    #[allow(clippy::zombie_processes)]
    let pid = command.spawn().expect("host").id() as i32;
    let (mut counted, mut seen, mut known) = (None, 0, vec![]);
    loop {
        let (thread, status) = wait();
        if !libc::WIFSTOPPED(status) {
            if thread != pid {
                continue;
            }
            let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) };
            return if counted.is_some() && seen == stop { Met::Killed } else { Met::Ended(code) };
        }
        let is_new = !known.contains(&thread);
        known.push(thread);
        let mut pass_on = 0;
        match libc::WSTOPSIG(status) {
            signal if signal == libc::SIGTRAP | 0x80 => {
                seen += 1;
                if seen == stop {
                    super::os::kill(pid, libc::SIGKILL).expect("kill");
                    continue;
                }
            }
            // The host's exec.
            libc::SIGTRAP if thread == pid && is_new => {
                let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
                trace(libc::PTRACE_SETOPTIONS, pid, options as usize);
            }
            // The report of a new thread.
            libc::SIGTRAP => {}
            libc::SIGSTOP if is_new => {}
            libc::SIGUSR2 => counted = Some(thread),
            other => pass_on = other as usize,
        }
        let request = if counted == Some(thread) { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
        trace(request, thread, pass_on);
    }
}

/// Shows the next child of this thread, before it runs, to the process that started the host; called in a host.
pub fn offer_newborn() {
    // SAFETY: takes no pointers; stops until the tracer goes on.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize), 0, "{}", io::Error::last_os_error());
        libc::raise(libc::SIGSTOP);
    }
}

/// A child that a host has just made and that has not run yet. Its parent is stopped as well.
pub struct Newborn {
    parent: i32,
    child: i32,
}

impl Newborn {
    /// Waits for the next child that a host of this thread offers.
    #[track_caller]
    pub fn await_one() -> Newborn {
        let parent = await_stop(None, libc::SIGSTOP);
        let options = libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_EXITKILL;
        trace(libc::PTRACE_SETOPTIONS, parent, options as usize);
        trace(libc::PTRACE_CONT, parent, 0);
        let stopped = await_stop(Some(parent), libc::SIGTRAP);
        let mut child: libc::c_ulong = 0;
        // SAFETY: room for a number.
        let result = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, stopped, 0_usize, &raw mut child) };
        assert!(result >= 0, "ptrace: {}", io::Error::last_os_error());
        let child = await_stop(Some(child as i32), libc::SIGSTOP);
        Newborn { parent, child }
    }

    /// Lets child and parent go on, untraced.
    pub fn let_go(self) {
        trace(libc::PTRACE_DETACH, self.child, 0);
        trace(libc::PTRACE_DETACH, self.parent, 0);
    }
}

/// Waits until a host that is not traced is stopped, in the way in which its shell would learn of it.
#[track_caller]
pub fn await_stopped(pid: i32) {
    stopped(Some(pid));
}

/// Waits until this thread of a host, or any if none is named, is stopped by `signal`. Other signals are passed on.
#[track_caller]
fn await_stop(thread: Option<i32>, signal: i32) -> i32 {
    loop {
        let (met, by) = stopped(thread);
        if by == signal {
            return met;
        }
        trace(libc::PTRACE_CONT, met, by as usize);
    }
}

/// Waits for the next stop of this thread of a host, or of any if none is named. Returns the thread and its signal.
#[track_caller]
fn stopped(thread: Option<i32>) -> (i32, i32) {
    let (mut met, mut status) = (0, 0);
    super::eventually("a stop of a host", || {
        let options = libc::__WALL | libc::__WNOTHREAD | libc::WUNTRACED | libc::WNOHANG;
        // SAFETY: room for a status.
        met = unsafe { libc::waitpid(thread.unwrap_or(-1), &raw mut status, options) };
        assert!(met >= 0, "waitpid: {}", io::Error::last_os_error());
        assert!(met == 0 || libc::WIFSTOPPED(status), "{met} ended with status {status:#x}");
        met != 0
    });
    (met, libc::WSTOPSIG(status))
}
