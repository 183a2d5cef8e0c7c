//! Marks a thread that runs a user's callback, inside which waiting is refused.

use std::cell::Cell;

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs a user's callback so that waiting inside it is refused.
pub(crate) fn in_callback<T>(run: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            IN_CALLBACK.set(false);
        }
    }
    IN_CALLBACK.set(true);
    let _reset = Reset;
    run()
}

/// Notes that this thread runs no callback: the callback that called fork is the parent's.
pub(crate) fn leave_callback() {
    IN_CALLBACK.set(false);
}

/// Returns whether this thread runs a callback.
pub(crate) fn is_in_callback() -> bool {
    IN_CALLBACK.get()
}
