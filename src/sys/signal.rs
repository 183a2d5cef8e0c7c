//! Signals: blocking them around a clone, in our threads, and SIGPIPE around a write on a caller's thread.

use std::mem::MaybeUninit;

use super::raw;

/// The kernel's signal set on x86-64: bit n-1 is signal n.
type KernelSet = u64;

/// The highest signal number, SIGRTMAX of the kernel.
pub(crate) const MAX: i32 = 64;

/// Is `signal` one that can be sent?
pub(crate) fn is_valid(signal: i32) -> bool {
    (1..=MAX).contains(&signal)
}

/// Every signal blocked on this thread until dropped; libc's own two included, which `pthread_sigmask`
/// leaves open. For moments only: libc's setuid waits until every thread has taken one of them.
pub(crate) struct AllBlocked(KernelSet);

impl AllBlocked {
    pub(crate) fn new() -> AllBlocked {
        AllBlocked(set_mask(!0))
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        set_mask(self.0);
    }
}

/// Blocks every signal of programs on this thread, and so on those it starts, until dropped.
pub(crate) struct Deaf(libc::sigset_t);

impl Deaf {
    pub(crate) fn new() -> Deaf {
        let mut old = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: plain libc calls on local sets; SIG_SETMASK with valid pointers cannot fail.
        unsafe {
            let mut all = MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
            Deaf(old.assume_init())
        }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        // SAFETY: the set that was in force before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

fn set_mask(mask: KernelSet) -> KernelSet {
    let mut old: KernelSet = 0;
    // SAFETY: both pointers are to live 8-byte sets; SIG_SETMASK with valid pointers cannot fail.
    unsafe {
        raw::syscall4(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK as usize,
            &raw const mask as usize,
            &raw mut old as usize,
            size_of::<KernelSet>(),
        );
    }
    old
}

/// Runs `write` so that a pipe without a reader is EPIPE and never a SIGPIPE in the host: the signal is
/// blocked on this thread and, if the write raised it, taken from the queue before the mask goes back.
pub(crate) fn without_sigpipe<T>(write: impl FnOnce() -> T) -> T {
    // SAFETY: plain libc calls on local sets.
    unsafe {
        let mut pipe = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        let pipe = pipe.assume_init();
        let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
        let was_pending =
            libc::sigpending(pending.as_mut_ptr()) == 0 && libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
        let mut old = MaybeUninit::<libc::sigset_t>::uninit();
        libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, old.as_mut_ptr());
        let result = write();
        if !was_pending {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            while libc::sigtimedwait(&pipe, std::ptr::null_mut(), &now) == -1 && super::errno() == libc::EINTR {}
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), std::ptr::null_mut());
        result
    }
}
