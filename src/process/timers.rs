//! Deadlines of processes: at most one for each, the next one in a timerfd.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::error::Result;
use crate::runtime::lock;
use crate::sys::timer::Timer;

pub(crate) struct Timers {
    state: Mutex<State>,
    timer: Timer,
}

#[derive(Default)]
struct State {
    /// (deadline on CLOCK_MONOTONIC, process id)
    deadlines: BTreeSet<(u64, u64)>,
    /// What the timer is set to: the next deadline, or up to [`EARLY`] before it.
    armed: Option<u64>,
}

/// When many processes that have the same grace end in turn, each would set the timer a little further.
const EARLY: u64 = 20_000_000;

impl Timers {
    pub(crate) fn new() -> Result<Timers> {
        Ok(Timers { state: Mutex::default(), timer: Timer::new()? })
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Replaces a process's deadline.
    pub(crate) fn set(&self, id: u64, old: Option<u64>, new: Option<u64>) {
        let mut state = lock(&self.state);
        if let Some(old) = old {
            state.deadlines.remove(&(old, id));
        }
        if let Some(new) = new {
            state.deadlines.insert((new, id));
        }
        let serves = match (state.next(), state.armed) {
            (Some(next), Some(armed)) => (armed..=armed.saturating_add(EARLY)).contains(&next),
            (next, armed) => next == armed,
        };
        if !serves {
            self.arm(&mut state);
        }
    }

    /// Takes the processes whose deadline has come, and arms the timer for the next.
    pub(crate) fn due(&self, now: u64) -> Vec<u64> {
        let mut state = lock(&self.state);
        let mut due = Vec::new();
        while let Some((at, id)) = state.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            state.deadlines.remove(&(at, id));
            due.push(id);
        }
        self.arm(&mut state);
        due
    }

    /// Under the lock, so that the latest word stands.
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
