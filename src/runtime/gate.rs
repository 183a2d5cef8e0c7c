//! [`wait()`]: waits for a condition that a mutex guards, with a deadline, from the seat or asleep. It is refused
//! inside a callback, and ended by a panic of the service. A [`Gate`] stands beside each such mutex.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::callback::is_in_callback;
use super::deadline::Deadline;
use super::lock::lock;
use super::reactor::{Handler, Reactor};
use super::seat::Seat;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::clock::whole_ms;
use crate::util::condition::wait_up_to;

/// The waiters of one condition. Its fields change only under the mutex of that condition.
#[derive(Default)]
pub(crate) struct Gate {
    condition: Condvar,
    /// How many threads sleep on the condition variable.
    sleepers: AtomicUsize,
    /// Whether a thread waits from the seat.
    seated: AtomicBool,
}

impl Gate {
    /// Wakes every waiter. The caller holds the condition's mutex.
    pub(crate) fn notify_all(&self, reactor: &Reactor) {
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            self.condition.notify_all();
        }
        if self.seated.load(Ordering::Relaxed) {
            reactor.wake_seat();
        }
    }

    /// Wakes one waiter, because there is work for one. The caller holds the condition's mutex.
    pub(crate) fn notify_one(&self, reactor: &Reactor) {
        if self.seated.load(Ordering::Relaxed) {
            reactor.wake_seat();
        } else if self.sleepers.load(Ordering::Relaxed) > 0 {
            self.condition.notify_one();
        }
    }
}

/// Waits until `check` returns something; None if the deadline passes first. `check` runs under the mutex.
pub(crate) fn wait<T, R>(
    handler: &dyn Handler,
    operation: &'static str,
    place: (&Mutex<T>, &Gate),
    deadline: Deadline,
    check: impl FnMut(&mut T) -> Option<R>,
) -> Result<Option<R>> {
    wait_in(|| Seat::take(handler), handler, operation, place, deadline, check)
}

/// Like [`wait`], but never from the seat: for a condition that threads of ours bring about, which wait as well and are
/// faster in the seat.
pub(crate) fn wait_asleep<T, R>(
    handler: &dyn Handler,
    operation: &'static str,
    place: (&Mutex<T>, &Gate),
    deadline: Deadline,
    check: impl FnMut(&mut T) -> Option<R>,
) -> Result<Option<R>> {
    wait_in(|| None, handler, operation, place, deadline, check)
}

fn wait_in<'a, T, R>(
    sit: impl Fn() -> Option<Seat<'a, &'a (dyn Handler + 'a)>>,
    handler: &dyn Handler,
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
        handler.reactor().check(operation)?;
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
                handler.reactor().check_descriptors(handler, operation)?;
                guard = lock(mutex);
                // A change in between has woken no waiter.
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
                guard = wait_up_to(&gate.condition, guard, left);
                gate.sleepers.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}
