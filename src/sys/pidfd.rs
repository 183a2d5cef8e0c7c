//! The pidfd: a child's identity. Waiting, signalling, and asking for an exit that somebody else reaped.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// How a child ended, as the kernel tells it. Code and signal are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Was a core dumped?
        core_dumped: bool,
    },
    /// It ended, but the host reaped it and the kernel (before Linux 6.15) cannot say how.
    Unknown,
}

/// What a look at a child that should have ended found.
pub(crate) enum Peek {
    /// It runs.
    Running,
    /// It ended thus, and waits to be reaped.
    Ended(ExitStatus),
    /// Somebody else reaped it, or the kernel did because the host ignores SIGCHLD.
    Stolen,
}

/// Looks without reaping: `waitid(P_PIDFD, WEXITED | WNOWAIT | WNOHANG)`.
pub(crate) fn peek(pidfd: &OwnedFd) -> Peek {
    wait(pidfd, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG)
}

/// Looks, and reaps what has ended.
pub(crate) fn reap(pidfd: &OwnedFd) -> Peek {
    wait(pidfd, libc::WEXITED | libc::WNOHANG)
}

/// Waits for and reaps a child that is about to end.
pub(crate) fn reap_blocking(pidfd: &OwnedFd) {
    wait(pidfd, libc::WEXITED);
}

fn wait(pidfd: &OwnedFd, options: libc::c_int) -> Peek {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the raw call (waitid of libc is a cancellation point) writes one siginfo_t; no rusage.
        let result = unsafe {
            libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd.as_raw_fd(), info.as_mut_ptr(), options, 0usize)
        };
        if result == 0 {
            // SAFETY: zeroed before, and filled by the kernel when a child was found.
            let (info, pid, status) = unsafe {
                let info = info.assume_init();
                (info, info.si_pid(), info.si_status())
            };
            return match info.si_code {
                _ if pid == 0 => Peek::Running,
                libc::CLD_EXITED => Peek::Ended(ExitStatus::Code(status)),
                code => Peek::Ended(ExitStatus::Signal { signal: status, core_dumped: code == libc::CLD_DUMPED }),
            };
        }
        match super::errno() {
            libc::EINTR => {}
            _ => return Peek::Stolen,
        }
    }
}

/// What the kernel still knows about a stolen child.
pub(crate) enum Stolen {
    /// It ended thus.
    Ended(ExitStatus),
    /// Whoever reaps it has not finished: ask again when the pidfd reports POLLHUP.
    NotYet,
    /// This kernel keeps no exit status.
    Untold,
}

/// `PIDFD_GET_INFO` with `PIDFD_INFO_EXIT` (Linux 6.15; the ioctl itself is of 6.13).
pub(crate) fn ask_stolen(pidfd: &OwnedFd) -> Stolen {
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    const PIDFD_GET_INFO: libc::c_ulong = 0xC040_FF0B; // _IOWR(0xFF, 11, 64 bytes)

    #[repr(C)]
    #[derive(Default)]
    struct PidfdInfo {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const { assert!(size_of::<PidfdInfo>() == 64) };

    let ask = || {
        let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
        // SAFETY: the ioctl's number carries the size of the structure it fills.
        let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
        (result, info)
    };
    let (mut result, mut info) = ask();
    if result != 0 && super::errno() == libc::ESRCH {
        // Reaped while the kernel was looking, after it had looked for the exit: it is there now.
        (result, info) = ask();
    }
    if result != 0 {
        // ENOTTY before 6.13; ESRCH on kernels whose ioctl has nothing to tell of a reaped process.
        return Stolen::Untold;
    }
    if info.mask & PIDFD_INFO_EXIT == 0 { Stolen::NotYet } else { Stolen::Ended(decode(info.exit_code)) }
}

fn decode(wait_status: i32) -> ExitStatus {
    if libc::WIFSIGNALED(wait_status) {
        ExitStatus::Signal { signal: libc::WTERMSIG(wait_status), core_dumped: libc::WCOREDUMP(wait_status) }
    } else {
        ExitStatus::Code(libc::WEXITSTATUS(wait_status))
    }
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The process itself.
    Process,
    /// The process group that it leads.
    Group,
}

/// Sends `signal` (0 only probes). The caller holds the child's lock and knows that `pid` is not reaped by us,
/// unless the target is a group on a kernel with [`group_signals_work`].
///
/// Falls back to kill(2) only where the kernel has no `pidfd_send_signal` at all (a filter, an emulator).
pub(crate) fn send(pidfd: &OwnedFd, pid: i32, signal: i32, target: Target) -> Result<(), i32> {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2; // Linux 6.9
    let flags = if target == Target::Group { PIDFD_SIGNAL_PROCESS_GROUP } else { 0 };
    match raw_send(pidfd, signal, flags) {
        Err(libc::EINVAL) if target == Target::Group && !group_signals_work() => kill(-pid, signal),
        Err(libc::ENOSYS) => kill(if target == Target::Group { -pid } else { pid }, signal),
        other => other,
    }
}

/// Can a group be signalled through the pidfd of its leader, also after the leader was reaped?
pub(crate) fn group_signals_work() -> bool {
    use std::sync::atomic::{AtomicU8, Ordering};
    static KNOWN: AtomicU8 = AtomicU8::new(0); // 1: no, 2: yes
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            // An unknown flag is EINVAL before the descriptor is looked at; ours gives EBADF.
            // SAFETY: no descriptor, no signal.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, -1, 0, std::ptr::null::<u8>(), 1u32 << 2) };
            let works = super::errno() == libc::EBADF;
            KNOWN.store(1 + u8::from(works), Ordering::Relaxed);
            works
        }
        known => known == 2,
    }
}

fn raw_send(pidfd: &OwnedFd, signal: i32, flags: libc::c_uint) -> Result<(), i32> {
    // SAFETY: no siginfo; the kernel checks the rest.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<u8>(), flags) };
    if result == 0 { Ok(()) } else { Err(super::errno()) }
}

fn kill(pid: i32, signal: i32) -> Result<(), i32> {
    // SAFETY: takes no pointers.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(super::errno()) }
}

/// `pidfd_open(2)` (Linux 5.3), for the last rung of the spawn ladder.
pub(super) fn open(pid: i32) -> Result<OwnedFd, i32> {
    // SAFETY: takes no pointers; the result is a new descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 { Err(super::errno()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}
