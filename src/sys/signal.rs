//! Signals: their numbers and names, and masks of this thread. All signals are blocked around a clone, those of
//! programs in our threads, and SIGPIPE around a write on a caller's thread.
//!
//! System calls: rt_sigprocmask(2), rt_sigpending(2), rt_sigtimedwait(2); see signal(7).

use super::{raw, retried_raw};

/// The kernel's signal set on x86-64: bit n-1 is signal n.
type KernelSet = u64;

/// The highest signal number, SIGRTMAX of the kernel.
pub(crate) const MAX: i32 = 64;

/// Returns whether `signal` is one that can be sent.
pub(crate) fn is_valid(signal: i32) -> bool {
    (1..=MAX).contains(&signal)
}

/// Returns whether a process that is stopped stays stopped, with the signal pending, until it is continued.
pub(crate) fn leaves_stopped_what_is_stopped(signal: i32) -> bool {
    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    signal != 0 && signal != libc::SIGKILL && signal != libc::SIGCONT && !stops.contains(&signal)
}

/// Returns the name, such as `SIGTERM`; None for real-time signals.
pub(crate) fn name(signal: i32) -> Option<&'static str> {
    nix::sys::signal::Signal::try_from(signal).ok().map(nix::sys::signal::Signal::as_str)
}

/// Returns the number of `SIGTERM`, …; None for other names.
pub(crate) fn number(name: &str) -> Option<i32> {
    nix::sys::signal::Signal::iterator().find(|signal| signal.as_str() == name).map(|signal| signal as i32)
}

/// Returns the names of all signals but the real-time ones.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    nix::sys::signal::Signal::iterator().map(nix::sys::signal::Signal::as_str)
}

/// Returns whether this process ignores a signal.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = raw::Action::DEFAULT;
    // SAFETY: room for an action of the kernel's size, which is not changed.
    let result = unsafe {
        let action = &raw mut action as usize;
        raw::syscall4(libc::SYS_rt_sigaction, signal as usize, 0, action, size_of::<KernelSet>())
    };
    result == 0 && action.is_ignore()
}

/// Returns the address of the kernel's action that ignores a signal.
pub(crate) fn ignoring() -> *const u8 {
    static IGNORE: raw::Action = raw::Action::IGNORE;
    (&raw const IGNORE).cast()
}

/// Blocks every signal on this thread until dropped, libc's own two included. It may last only for moments: libc's
/// setuid waits until every thread has taken one of them.
pub(crate) struct AllBlocked(#[allow(dead_code, reason = "for its drop")] Mask);

impl AllBlocked {
    pub(crate) fn new() -> AllBlocked {
        AllBlocked(Mask::block(!0))
    }
}

/// Blocks every signal of programs on this thread, and so on those it starts, until dropped; libc's own two
/// (32 and 33) stay as they are.
pub(crate) struct Deaf(#[allow(dead_code, reason = "for its drop")] Mask);

impl Deaf {
    pub(crate) fn new() -> Deaf {
        Deaf(Mask::block(!(bit(32) | bit(33))))
    }
}

/// This thread's mask as it was, put back when dropped. The calls are raw: libc's would drop its own two signals from a
/// mask of the host's.
struct Mask(KernelSet);

impl Mask {
    fn block(set: KernelSet) -> Mask {
        Mask(change(libc::SIG_BLOCK, set))
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        change(libc::SIG_SETMASK, self.0);
    }
}

/// Lets this thread take these signals.
pub(super) fn unblock(signals: &[i32]) {
    change(libc::SIG_UNBLOCK, signals.iter().fold(0, |set, signal| set | bit(*signal)));
}

fn bit(signal: i32) -> KernelSet {
    1 << (signal - 1)
}

/// Changes this thread's mask; returns the mask as it was.
fn change(how: i32, set: KernelSet) -> KernelSet {
    let mut old: KernelSet = 0;
    // SAFETY: both pointers are to live 8-byte sets; a valid `how` cannot fail.
    unsafe {
        raw::syscall4(
            libc::SYS_rt_sigprocmask,
            how as usize,
            &raw const set as usize,
            &raw mut old as usize,
            size_of::<KernelSet>(),
        );
    }
    old
}

/// Runs `write` so that a pipe without a reader is EPIPE and never a SIGPIPE in the host: the signal is
/// blocked on this thread and, if the write raised it, taken from the queue before the mask goes back.
pub(crate) fn without_sigpipe<T>(write: impl FnOnce() -> T) -> T {
    let mut pending: KernelSet = 0;
    // SAFETY: a live 8-byte set.
    unsafe {
        raw::syscall3(libc::SYS_rt_sigpending, &raw mut pending as usize, size_of::<KernelSet>(), 0);
    }
    let _mask = Mask::block(bit(libc::SIGPIPE));
    let result = write();
    if pending & bit(libc::SIGPIPE) == 0 {
        take_pending(bit(libc::SIGPIPE));
    }
    result
}

/// Takes a blocked signal from the queue, if it is there.
fn take_pending(set: KernelSet) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let size = size_of::<KernelSet>();
    // SAFETY: a live set and time; no siginfo. EAGAIN if it is not there.
    let _ = retried_raw(|| unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, 0usize, &raw const now, size)
    });
}
