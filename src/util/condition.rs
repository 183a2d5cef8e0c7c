//! Waiting at a condition variable, with a limit or without.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// Waits until the condition variable is notified, for at most `left` (None: without limit). It may return early, so
/// callers look again. A panic of another thread that held the mutex does not matter here.
pub(crate) fn wait_up_to<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    left: Option<Duration>,
) -> MutexGuard<'a, T> {
    match left {
        None => condition.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(left) => condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
    }
}
