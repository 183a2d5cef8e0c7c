//! What every exported function does around its work: it turns cancellation off and catches panics.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::panic_message;
use crate::sys::cancel;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call that cannot fail, and returns `fallback` if it panics.
pub(super) fn get<T: Copy>(fallback: T, run: impl FnOnce() -> T) -> T {
    uncancelled(|| {
        silence();
        let mut value = fallback;
        let _ = catch("get", || {
            value = run();
            Ok(())
        });
        value
    })
}

/// Runs `run` with cancellation off: the host may cancel a thread that is in a call, and the cancel acts after the
/// call. Everything that `run` holds is dropped when cancellation is back, so a thread that ends at once (asynchronous
/// type) ends in frames that have nothing to drop.
pub(super) fn uncancelled<T: Copy>(run: impl FnOnce() -> T) -> T {
    let before = cancel::disable();
    let value = apart(run);
    cancel::restore(before);
    value
}

/// Runs `run` in a frame of its own, which nothing unwinds out of.
#[allow(improper_ctypes_definitions, reason = "called from here alone; the ABI is for what it says about unwinding")]
#[inline(never)]
extern "C" fn apart<T>(run: impl FnOnce() -> T) -> T {
    run()
}

/// Runs `run` and makes an error of a panic. After [`silence`].
pub(super) fn catch(operation: &'static str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(outer);
    result.unwrap_or_else(|payload| Err(Error::new(ErrorKind::Panic, operation, panic_message(payload.as_ref()))))
}

/// Keeps panics that become errors off stderr, because a library prints nothing. Other panics keep their hook.
pub(super) fn silence() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let ours = std::thread::current().name().is_some_and(|name| name.starts_with("coreproc-"));
        if !ours && !GUARDED.get() {
            previous(info);
        }
    }));
}
