//! [`Timers`]: at most one deadline for each key, the next one in a timerfd.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::lock::lock;
use crate::error::Result;
use crate::sys::timer::Timer;

/// A deadline that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

pub(super) struct Timers {
    state: Mutex<State>,
    timer: Timer,
}

#[derive(Default)]
struct State {
    /// Deadlines on CLOCK_MONOTONIC, each with its key.
    deadlines: BTreeSet<(u64, u64)>,
    /// The time to which the timer is set: the next deadline, or up to [`EARLY`] before it.
    armed: Option<u64>,
}

/// How much too early the timer may expire. When many processes that have the same grace period end one after another,
/// each would set the timer a little later, with a system call.
const EARLY: u64 = 20_000_000;

impl Timers {
    pub(super) fn new() -> Result<Timers> {
        Ok(Timers { state: Mutex::default(), timer: Timer::new()? })
    }

    /// Returns the timer, which is readable from the next deadline on.
    pub(super) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Replaces the deadline of a key; [`NEVER`] is none.
    pub(super) fn set(&self, key: u64, old: u64, new: u64) {
        let mut state = lock(&self.state);
        if old != NEVER {
            state.deadlines.remove(&(old, key));
        }
        if new != NEVER {
            state.deadlines.insert((new, key));
        }
        let serves = match (state.next(), state.armed) {
            (Some(next), Some(armed)) => (armed..=armed.saturating_add(EARLY)).contains(&next),
            (next, armed) => next == armed,
        };
        if !serves {
            self.arm(&mut state);
        }
    }

    /// Takes the keys whose deadline has come, and arms the timer for the next one.
    pub(super) fn due(&self, now: u64) -> Vec<u64> {
        let mut state = lock(&self.state);
        let mut due = Vec::new();
        while let Some((at, key)) = state.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            state.deadlines.remove(&(at, key));
            due.push(key);
        }
        self.arm(&mut state);
        due
    }

    /// Sets the timer to the next deadline. The caller holds the lock, so that the timer never keeps an older one.
    fn arm(&self, state: &mut State) {
        state.armed = state.next();
        self.timer.set(state.armed);
    }
}

impl State {
    fn next(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}
