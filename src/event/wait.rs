//! Waiting for a condition that a mutex guards: with a deadline, from the seat or asleep, refused inside a
//! callback, and ended by a panic of the service.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::driver::{Driver, Host, Seat};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::clock::monotonic_ns;

/// Locks; a panic elsewhere has broken the service already, which is told by other means.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs a user's callback so that waiting inside it is refused.
pub(super) fn in_callback<T>(run: impl FnOnce() -> T) -> T {
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

/// Does this thread run a callback?
pub(crate) fn is_in_callback() -> bool {
    IN_CALLBACK.get()
}

/// When to give up, on CLOCK_MONOTONIC.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<u64>);

impl Deadline {
    /// Over already.
    #[cfg(test)]
    pub(crate) const LOOK: Deadline = Deadline(Some(0));

    /// None waits for ever; zero only looks.
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.map(|t| {
            let ns = u64::try_from(t.as_nanos()).unwrap_or(u64::MAX);
            if ns == 0 { 0 } else { monotonic_ns().saturating_add(ns) }
        }))
    }

    /// At this moment of CLOCK_MONOTONIC; None: no limit.
    pub(crate) fn at(at: Option<u64>) -> Deadline {
        Deadline(at)
    }

    /// Does it wait at all?
    pub(crate) fn only_looks(self) -> bool {
        self.0 == Some(0)
    }

    /// None: no limit.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|at| Duration::from_nanos(if at == 0 { 0 } else { at.saturating_sub(monotonic_ns()) }))
    }
}

/// Where waiters of one condition stand. Its counters change only under the mutex of that condition.
#[derive(Default)]
pub(crate) struct Gate {
    condition: Condvar,
    sleepers: AtomicUsize,
    seated: AtomicBool,
}

impl Gate {
    /// Wakes every waiter. The caller holds the condition's mutex.
    pub(crate) fn notify_all(&self, driver: &Driver) {
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            self.condition.notify_all();
        }
        if self.seated.load(Ordering::Relaxed) {
            driver.wake_seat();
        }
    }

    /// Wakes one waiter, for whom there is work. The caller holds the condition's mutex.
    pub(crate) fn notify_one(&self, driver: &Driver) {
        if self.seated.load(Ordering::Relaxed) {
            driver.wake_seat();
        } else if self.sleepers.load(Ordering::Relaxed) > 0 {
            self.condition.notify_one();
        }
    }
}

/// Waits until `check` gives something; None when the deadline passes first. `check` runs under the mutex.
pub(crate) fn wait<T, R>(
    host: &dyn Host,
    operation: &'static str,
    place: (&Mutex<T>, &Gate),
    deadline: Deadline,
    check: impl FnMut(&mut T) -> Option<R>,
) -> Result<Option<R>> {
    wait_in(|| Seat::take(host), host, operation, place, deadline, check)
}

/// As [`wait`], asleep: for what a thread of ours that waits itself brings about, and would be slower at from
/// beside the seat.
pub(crate) fn wait_asleep<T, R>(
    host: &dyn Host,
    operation: &'static str,
    place: (&Mutex<T>, &Gate),
    deadline: Deadline,
    check: impl FnMut(&mut T) -> Option<R>,
) -> Result<Option<R>> {
    wait_in(|| None, host, operation, place, deadline, check)
}

fn wait_in<'a, T, R>(
    sit: impl Fn() -> Option<Seat<'a, &'a (dyn Host + 'a)>>,
    host: &dyn Host,
    operation: &'static str,
    (mutex, gate): (&Mutex<T>, &Gate),
    deadline: Deadline,
    mut check: impl FnMut(&mut T) -> Option<R>,
) -> Result<Option<R>> {
    let mut seat = None;
    let mut guard = lock(mutex);
    loop {
        if let Some(result) = check(&mut guard) {
            return Ok(Some(result));
        }
        host.driver().check(operation)?;
        let left = deadline.left();
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        if is_in_callback() {
            return Err(Error::new(ErrorKind::Deadlock, operation, "would wait inside a callback"));
        }
        if seat.is_none() {
            seat = sit();
            if seat.is_some() {
                drop(guard);
                host.driver().check_descriptors(host, operation)?;
                guard = lock(mutex);
                // What has changed meanwhile was told to nobody.
                continue;
            }
        }
        match &mut seat {
            Some(seat) => {
                gate.seated.store(true, Ordering::Relaxed);
                drop(guard);
                seat.turn(left.map_or(-1, whole_ms));
                guard = lock(mutex);
                gate.seated.store(false, Ordering::Relaxed);
            }
            None => {
                gate.sleepers.fetch_add(1, Ordering::Relaxed);
                guard = match left {
                    None => gate.condition.wait(guard).unwrap_or_else(PoisonError::into_inner),
                    Some(left) => gate.condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
                };
                gate.sleepers.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Rounded up, so that a wait does not turn into a spin at its end.
fn whole_ms(time: Duration) -> i32 {
    i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}
