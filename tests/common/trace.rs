//! A host that is killed at a system call of one's choice (ptrace(2)).
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What happened first.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// It was killed there.
    Killed,
    /// It ended before.
    Ended(i32),
}

fn trace(request: libc::c_uint, pid: i32, data: usize) {
    // SAFETY: requests without pointers to our memory.
    let result = unsafe { libc::ptrace(request, pid, 0_usize, data) };
    assert!(result >= 0, "ptrace {request}: {}", io::Error::last_os_error());
}

/// What a thread of the host comes to next: of no other child of this process, which other tests may have.
fn wait() -> (i32, i32) {
    let mut status = 0;
    // SAFETY: room for a status.
    let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    assert!(thread > 0, "waitpid: {}", io::Error::last_os_error());
    (thread, status)
}

/// In a host: from here on this thread's system calls are counted.
pub fn start_counting() {
    // SAFETY: no pointers. The tracer takes the signal.
    unsafe { libc::raise(libc::SIGUSR2) };
}

/// Runs the host and kills it when it has entered or left so many system calls; entries are odd.
pub fn kill_at(mut command: Command, stop: u32) -> Met {
    // SAFETY: one system call, which is safe after a fork.
    unsafe {
        command.pre_exec(|| {
            // SAFETY: takes no pointers.
            let result = libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize);
            if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
    // Traced by this very thread. Reaped by `wait`.
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
            // Its exec.
            libc::SIGTRAP if thread == pid && is_new => {
                let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
                trace(libc::PTRACE_SETOPTIONS, pid, options as usize);
            }
            // A new thread, and whose it is.
            libc::SIGTRAP => {}
            libc::SIGSTOP if is_new => {}
            libc::SIGUSR2 => counted = Some(thread),
            other => pass_on = other as usize,
        }
        let request = if counted == Some(thread) { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
        trace(request, thread, pass_on);
    }
}
