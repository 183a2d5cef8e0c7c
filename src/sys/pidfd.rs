//! The pidfd: a child's identity. Peeks, reaps, and asks for the exit of a child that the host reaped.
//!
//! A status is never invented: one that the kernel does not tell is unknown. System calls: pidfd_open(2), waitid(2)
//! with P_PIDFD, wait4(2), poll(2), pidfd_send_signal(2), fstatfs(2), fstat(2), ioctl(2) with PIDFD_GET_INFO.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

use super::rusage::ResourceUsage;
use super::{retried, retried_raw};

/// How a child ended, as the kernel tells it. Code and signal are never mixed.
///
/// ```
/// use coreproc::{Command, ExitStatus, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let status = |script| -> coreproc::Result<_> {
///     Ok(Command::new("sh").args(["-c", script]).spawn(&service)?.wait(None)?.status())
/// };
/// assert_eq!(status("exit 3")?, Some(ExitStatus::Code(3)));
/// assert!(matches!(status("kill -TERM $$")?, Some(ExitStatus::Signal { signal: 15, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
    /// It ended, but the host reaped it and the kernel (before Linux 6.15) cannot say how.
    Unknown,
}

/// The result of a look at a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    /// It runs.
    Running,
    /// It ended with this status, having used this, and waits to be reaped unless the look reaped it.
    Ended(ExitStatus, ResourceUsage),
    /// The host reaped it, or the kernel did because the host ignores SIGCHLD.
    Stolen,
    /// It has ended, and a filter forbids to ask how.
    Denied,
}

/// Looks at a child without reaping it: `waitid(P_PIDFD, WEXITED | WNOWAIT | WNOHANG)`.
pub(crate) fn peek(pidfd: &OwnedFd) -> Peek {
    wait(pidfd, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG).unwrap_or_else(|_| unaskable(pidfd))
}

/// Looks at a child, and reaps it if it has ended. `pid` serves if a filter allows wait4(2) alone.
pub(crate) fn reap(pidfd: &OwnedFd, pid: i32) -> Peek {
    wait(pidfd, libc::WEXITED | libc::WNOHANG).unwrap_or_else(|_| match unaskable(pidfd) {
        Peek::Denied if number(pidfd) == Number::Own => wait_by_number(pid, libc::WNOHANG),
        other => other,
    })
}

/// Waits for and reaps a child that is about to end.
pub(crate) fn reap_blocking(pidfd: &OwnedFd, pid: i32) {
    if wait(pidfd, libc::WEXITED).is_err() && number(pidfd) == Number::Own {
        wait_by_number(pid, 0);
    }
}

/// The process that the child's number names now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// The child: it is alive, or waits to be reaped.
    Own,
    /// Perhaps another: the child has been reaped.
    Free,
    /// A filter forbids to ask, or the host has closed the descriptor.
    Unknown,
}

/// Asks whether the child is unreaped.
pub(crate) fn number(pidfd: &OwnedFd) -> Number {
    match wait(pidfd, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG) {
        Ok(Peek::Running | Peek::Ended(..)) => Number::Own,
        Ok(_) => Number::Free,
        Err(libc::EBADF | libc::EINVAL) => Number::Unknown,
        // Signal 0 reaches no process.
        Err(_) => match send_signal(pidfd.as_raw_fd(), 0, 0) {
            Ok(()) => Number::Own,
            Err(libc::ESRCH) => Number::Free,
            Err(_) => Number::Unknown,
        },
    }
}

/// Returns whether the pidfd is readable, which it is from the end of the last thread on. A descriptor that the host
/// has closed is not.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    retried(|| poll(pidfd, libc::POLLIN, 0)).is_ok_and(|revents| revents & libc::POLLIN != 0)
}

/// What a thread waits for with a pidfd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The process has ended.
    Ended,
    /// It has been reaped as well (Linux 6.9; before, a timeout passes).
    Reaped,
}

/// Waits up to `timeout_ms` (-1: for ever); true once it has come so far, false if time or a signal came first. EBADF
/// if the host has closed the descriptor.
pub(crate) fn wait_until(pidfd: &OwnedFd, until: Until, timeout_ms: i32) -> Result<bool, i32> {
    let events = if until == Until::Ended { libc::POLLIN } else { 0 };
    match poll(pidfd, events, timeout_ms) {
        Ok(revents) if revents & (libc::POLLNVAL | libc::POLLERR) != 0 => Err(libc::EBADF),
        Ok(revents) => Ok(revents != 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno as i32),
    }
}

/// Calls poll(2): the raw call, because that of libc is a cancellation point.
fn poll(pidfd: &OwnedFd, events: i16, timeout_ms: i32) -> Result<i16, Errno> {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one live structure.
    let polled = Errno::result(unsafe { libc::syscall(libc::SYS_poll, &raw mut poll, 1usize, timeout_ms) });
    polled.map(|_| poll.revents)
}

/// Returns whether the process of a pidfd, child or not, has not been reaped, so that its number is still its own; None
/// if a filter, or its user, forbids to ask.
pub(crate) fn is_unreaped(pidfd: &OwnedFd) -> Option<bool> {
    // Signal 0 reaches no process.
    match send_signal(pidfd.as_raw_fd(), 0, 0) {
        Ok(()) => Some(true),
        Err(libc::ESRCH) => Some(false),
        Err(_) => match retried(|| poll(pidfd, libc::POLLIN, 0)) {
            Ok(0) => Some(true),
            _ => None,
        },
    }
}

/// Returns the inode of a pidfd, which names the process for the time of this boot: no other has it. None before Linux
/// 6.9, where all pidfds share one.
pub(crate) fn inode(pidfd: &OwnedFd) -> Option<u64> {
    const PID_FS_MAGIC: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x5049_4446);
    let filesystem = nix::sys::statfs::fstatfs(pidfd).ok()?.filesystem_type();
    (filesystem == PID_FS_MAGIC).then(|| nix::sys::stat::fstat(pidfd).ok().map(|stat| stat.st_ino))?
}

/// Returns the signal by which a child is stopped; None if it is not, or if someone has waited for that already
/// (`waitid(2)` with WSTOPPED).
pub(crate) fn stop_signal(pidfd: &OwnedFd) -> Option<i32> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WSTOPPED | libc::WNOWAIT | libc::WNOHANG;
    let fd = pidfd.as_raw_fd();
    // SAFETY: writes one siginfo_t; no rusage.
    let call = || unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, fd, info.as_mut_ptr(), options, 0usize) };
    retried_raw(call).ok()?;
    // SAFETY: zeroed before, and filled by the kernel when a child was found.
    let (pid, signal) = unsafe {
        let info = info.assume_init();
        (info.si_pid(), info.si_status())
    };
    (pid != 0).then_some(signal)
}

/// Waits until a child is stopped; false if it has ended, or can no longer be waited for. Both stay there to be waited
/// for.
pub(crate) fn await_stop(pidfd: &OwnedFd) -> bool {
    let change = wait_for_change(pidfd, libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT);
    change.is_some_and(|(code, _)| code == libc::CLD_STOPPED)
}

/// What became of a child that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// This signal has stopped it; 0 if the signal is not known.
    Stopped(i32),
    /// It runs on.
    Continued,
}

/// Returns whether a child is stopped since the last call.
pub(crate) fn take_stop(pidfd: &OwnedFd) -> bool {
    take(pidfd, libc::WSTOPPED).is_some()
}

/// Takes the change of a child that nobody has waited for; the kernel keeps the last one.
pub(crate) fn take_change(pidfd: &OwnedFd) -> Option<Change> {
    take(pidfd, libc::WSTOPPED | libc::WCONTINUED)
}

fn take(pidfd: &OwnedFd, options: i32) -> Option<Change> {
    let change = |options| match wait_for_change(pidfd, options | libc::WNOHANG)? {
        (libc::CLD_STOPPED, signal) => Some(Change::Stopped(signal)),
        (libc::CLD_CONTINUED, _) => Some(Change::Continued),
        _ => None,
    };
    // What a debugger in the host waits for is left to it.
    change(options | libc::WNOWAIT)?;
    change(options)
}

/// Returns the `si_code` of a change, which is 0 if there was none, and its `si_status`; None if there is no such child.
fn wait_for_change(pidfd: &OwnedFd, options: i32) -> Option<(i32, i32)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let fd = pidfd.as_raw_fd();
    // SAFETY: writes one siginfo_t; no rusage.
    let call = || unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, fd, info.as_mut_ptr(), options, 0usize) };
    retried_raw(call).ok()?;
    // SAFETY: zeroed before, and filled by the kernel when a child was found.
    let (code, status) = unsafe {
        let info = info.assume_init();
        (info.si_code, info.si_status())
    };
    Some((code, status))
}

/// Returns how the process of a pidfd, child or not, ended; None while it runs. It is not reaped.
pub(crate) fn end_of(pidfd: &OwnedFd) -> Option<Told> {
    match peek(pidfd) {
        Peek::Running => None,
        Peek::Ended(status, _) => Some(Told::Ended(status)),
        Peek::Stolen | Peek::Denied => has_ended(pidfd).then(|| ask_stolen(pidfd)),
    }
}

/// Calls `pidfd_send_signal(2)` (Linux 5.1).
pub(super) fn send_signal(pidfd: i32, signal: i32, flags: libc::c_uint) -> Result<(), i32> {
    // SAFETY: no siginfo; the kernel checks the rest.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, std::ptr::null::<u8>(), flags) };
    if result == 0 { Ok(()) } else { Err(super::errno()) }
}

/// Looks at a child for which waitid(2) is refused.
fn unaskable(pidfd: &OwnedFd) -> Peek {
    if has_ended(pidfd) { Peek::Denied } else { Peek::Running }
}

/// Calls waitid(2). Fails with an errno other than EINTR and ECHILD.
fn wait(pidfd: &OwnedFd, options: libc::c_int) -> Result<Peek, i32> {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let mut used = MaybeUninit::<libc::rusage>::zeroed();
        let (fd, to_info, to_used) = (pidfd.as_raw_fd(), info.as_mut_ptr(), used.as_mut_ptr());
        // SAFETY: the raw call (waitid of libc is a cancellation point, and has no rusage) writes one siginfo_t and one
        // rusage.
        let result = unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, fd, to_info, options, to_used) };
        if result == 0 {
            // SAFETY: zeroed before, and filled by the kernel when a child was found.
            let (info, pid, status, used) = unsafe {
                let info = info.assume_init();
                (info, info.si_pid(), info.si_status(), used.assume_init_ref())
            };
            let ended = |status| Peek::Ended(status, ResourceUsage::of_child(used));
            return Ok(match info.si_code {
                _ if pid == 0 => Peek::Running,
                libc::CLD_EXITED => ended(ExitStatus::Code(status)),
                code => ended(ExitStatus::Signal { signal: status, core_dumped: code == libc::CLD_DUMPED }),
            });
        }
        match super::errno() {
            libc::EINTR => {}
            libc::ECHILD => return Ok(Peek::Stolen),
            errno => return Err(errno),
        }
    }
}

/// Calls wait4(2) with a number that was just shown to be the child's.
fn wait_by_number(pid: i32, options: libc::c_int) -> Peek {
    loop {
        let mut status: libc::c_int = 0;
        let mut used = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: writes one int and one rusage.
        let result = unsafe { libc::syscall(libc::SYS_wait4, pid, &raw mut status, options, used.as_mut_ptr()) };
        if result > 0 {
            // SAFETY: zeroed before, and filled by the kernel.
            return Peek::Ended(decode(status), ResourceUsage::of_child(unsafe { used.assume_init_ref() }));
        }
        match super::errno() {
            _ if result == 0 => return Peek::Running,
            libc::EINTR => {}
            libc::ECHILD => return Peek::Stolen,
            _ => return Peek::Denied,
        }
    }
}

/// The kernel's answer about a process that another has reaped, or will reap.
pub(crate) enum Told {
    /// It ended with this status.
    Ended(ExitStatus),
    /// The reaping has not begun, or not finished: ask again when the pidfd reports POLLHUP.
    NotYet,
    /// This kernel keeps no exit status.
    Untold,
}

impl Told {
    /// Returns the status, as far as the kernel tells it.
    pub(crate) fn status(self) -> ExitStatus {
        match self {
            Told::Ended(status) => status,
            Told::NotYet | Told::Untold => ExitStatus::Unknown,
        }
    }
}

/// Asks the kernel by `PIDFD_GET_INFO` with `PIDFD_INFO_EXIT` (Linux 6.15; the ioctl itself is of 6.13).
pub(crate) fn ask_stolen(pidfd: &OwnedFd) -> Told {
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
        return Told::Untold;
    }
    if info.mask & PIDFD_INFO_EXIT == 0 { Told::NotYet } else { Told::Ended(decode(info.exit_code)) }
}

fn decode(wait_status: i32) -> ExitStatus {
    if libc::WIFSIGNALED(wait_status) {
        ExitStatus::Signal { signal: libc::WTERMSIG(wait_status), core_dumped: libc::WCOREDUMP(wait_status) }
    } else {
        ExitStatus::Code(libc::WEXITSTATUS(wait_status))
    }
}

/// Calls `pidfd_open(2)` (Linux 5.3).
pub(crate) fn open(pid: i32) -> Result<OwnedFd, i32> {
    // SAFETY: takes no pointers; the result is a new descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 { Err(super::errno()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
    }
}
