//! The one signal handler of this library, installed only when a program asks for it: SIGTERM and SIGINT add to a
//! number that a thread waits on.
//!
//! The number is a futex in static memory, not a pipe: a handler that is late, because its thread was stopped within
//! it, finds the word still there; a pipe's descriptor could be another file's by then.
//!
//! System calls: rt_sigaction(2), sigaction(2), futex(2), tgkill(2); see signal-safety(7).

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::raw::Action;
use super::{errno, fork, signal};

const CAUGHT: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// Whether a thread waits for the signals.
static IS_HEARD: AtomicBool = AtomicBool::new(false);

/// Counts the signals that came, and calls of [`wake`].
static NEWS: AtomicU32 = AtomicU32::new(0);

/// The action of each signal before ours.
struct Before(UnsafeCell<[Action; CAUGHT.len()]>);

// SAFETY: written under `CHANGE`, while the handler, which reads it without a lock, is not installed.
unsafe impl Sync for Before {}

static BEFORE: Before = Before(UnsafeCell::new([Action::DEFAULT; CAUGHT.len()]));
static CHANGE: Mutex<()> = Mutex::new(());

/// Installs the handler in place of the present actions. It runs on the thread's signal stack, if there is one (Go
/// demands it), and system calls are restarted.
pub(crate) fn install() -> Result<(), i32> {
    let _change = CHANGE.lock();
    IS_HEARD.store(true, Ordering::Release);
    for (at, caught) in CAUGHT.into_iter().enumerate() {
        if let Err(errno) = install_one(at, caught) {
            restore_first(at);
            return Err(errno);
        }
    }
    Ok(())
}

fn install_one(at: usize, caught: i32) -> Result<(), i32> {
    let before = current(caught)?;
    if is_ours(&before) {
        return Ok(());
    }
    // SAFETY: a valid action with an empty mask; the slot is changed under `CHANGE`, and written before the handler
    // can run.
    let result = unsafe {
        (*BEFORE.0.get())[at] = before;
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = address();
        action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigaction(caught, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(errno()) }
}

/// Puts the earlier actions back, unless the program has installed another over ours. Called after [`install`].
pub(crate) fn restore() {
    let _change = CHANGE.lock();
    restore_first(CAUGHT.len());
}

fn restore_first(count: usize) {
    IS_HEARD.store(false, Ordering::Release);
    for (at, caught) in CAUGHT.into_iter().enumerate().take(count) {
        put_back_if_ours(at, caught);
    }
}

/// Puts the earlier action back; false if the present one is not ours.
fn put_back_if_ours(at: usize, caught: i32) -> bool {
    let ours = current(caught).is_ok_and(|action| is_ours(&action));
    if ours {
        // SAFETY: it is ours, so the action before it is known.
        unsafe { put_back(at) };
    }
    ours
}

fn current(caught: i32) -> Result<Action, i32> {
    // The raw call: libc's wrapper does not put back exactly what it was given, for it adds a restorer.
    let mut action = Action::DEFAULT;
    // SAFETY: room for an action, which the call fills; the kernel's mask has 8 bytes.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, caught, std::ptr::null::<Action>(), &raw mut action, size_of::<u64>())
    };
    if result == 0 { Ok(action) } else { Err(errno()) }
}

fn is_ours(action: &Action) -> bool {
    action.handler == address()
}

fn address() -> libc::sighandler_t {
    on_signal as *const () as libc::sighandler_t
}

/// # Safety
/// The action before ours is known.
unsafe fn put_back(at: usize) {
    let none = std::ptr::null_mut::<Action>();
    // SAFETY: a whole action, as the kernel gave it.
    unsafe {
        let before = (&raw const (*BEFORE.0.get())[at]).cast::<Action>();
        libc::syscall(libc::SYS_rt_sigaction, CAUGHT[at], before, none, size_of::<u64>());
    }
}

/// Handles a signal, with calls that are safe in a handler.
extern "C" fn on_signal(caught: libc::c_int) {
    let errno = nix::errno::Errno::last();
    if fork::is_child() || !IS_HEARD.load(Ordering::Acquire) {
        // No thread waits: this is a child of fork, which has the handler, or a program that had an action of its own
        // in its place has put ours back too late. It gets the signal that it would get without us, once this returns
        // and the signal is unblocked; but not if another handler calls this one, because that one has had the signal.
        if let Some(at) = CAUGHT.iter().position(|known| *known == caught)
            && put_back_if_ours(at, caught)
        {
            // SAFETY: a signal to this thread.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), caught) };
        }
    } else {
        wake();
    }
    errno.set();
}

/// Returns the number as it is now.
pub(crate) fn news() -> u32 {
    NEWS.load(Ordering::Acquire)
}

/// Adds to the number, and wakes the threads that wait for a change.
pub(crate) fn wake() {
    NEWS.fetch_add(1, Ordering::Release);
    // SAFETY: the word is static.
    unsafe { libc::syscall(libc::SYS_futex, NEWS.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX) };
}

/// Waits until the number is no longer `seen`.
pub(crate) fn wait(seen: u32) {
    let no_limit = std::ptr::null::<libc::timespec>();
    while news() == seen {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word is static.
        unsafe { libc::syscall(libc::SYS_futex, NEWS.as_ptr(), operation, seen, no_limit) };
    }
}

/// Lets this thread take the signals, so that they reach a program whose other threads block them.
pub(crate) fn listen_here() {
    signal::unblock(&CAUGHT);
}
