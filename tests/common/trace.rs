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

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: room for a status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
    status
}

/// In a host: from here on its main thread's system calls are counted.
pub fn start_counting() {
    // SAFETY: no pointers.
    unsafe {
        assert_eq!(libc::gettid(), libc::getpid(), "only the main thread is traced");
        libc::raise(libc::SIGSTOP);
    }
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
    let (mut request, mut seen) = (libc::PTRACE_CONT, 0);
    loop {
        let status = wait(pid);
        if !libc::WIFSTOPPED(status) {
            return Met::Ended(if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                -libc::WTERMSIG(status)
            });
        }
        let mut pass_on = 0;
        match libc::WSTOPSIG(status) {
            signal if signal == libc::SIGTRAP | 0x80 => {
                seen += 1;
                if seen == stop {
                    super::os::kill(pid, libc::SIGKILL).expect("kill");
                    while libc::WIFSTOPPED(wait(pid)) {}
                    return Met::Killed;
                }
            }
            // Its exec.
            libc::SIGTRAP => trace(libc::PTRACE_SETOPTIONS, pid, libc::PTRACE_O_TRACESYSGOOD as usize),
            libc::SIGSTOP => request = libc::PTRACE_SYSCALL,
            other => pass_on = other as usize,
        }
        trace(request, pid, pass_on);
    }
}
