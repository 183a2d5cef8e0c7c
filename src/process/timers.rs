//! Deadlines of processes: at most one for each, the next one in a timerfd.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::error::Result;
use crate::event::wait::lock;
use crate::sys::timer::Timer;

pub(crate) struct Timers {
    /// (deadline on CLOCK_MONOTONIC, process id)
    deadlines: Mutex<BTreeSet<(u64, u64)>>,
    timer: Timer,
}

impl Timers {
    pub(crate) fn new() -> Result<Timers> {
        Ok(Timers { deadlines: Mutex::default(), timer: Timer::new()? })
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Replaces a process's deadline.
    pub(crate) fn set(&self, id: u64, old: Option<u64>, new: Option<u64>) {
        let mut deadlines = lock(&self.deadlines);
        let first = deadlines.first().copied();
        if let Some(old) = old {
            deadlines.remove(&(old, id));
        }
        if let Some(new) = new {
            deadlines.insert((new, id));
        }
        let next = deadlines.first().copied();
        if next != first {
            // Under the lock, so that the latest word stands.
            self.timer.set(next.map(|(at, _)| at));
        }
    }

    /// Takes the processes whose deadline has come, and arms the timer for the next.
    pub(crate) fn due(&self, now: u64) -> Vec<u64> {
        let mut deadlines = lock(&self.deadlines);
        let mut due = Vec::new();
        while let Some((at, id)) = deadlines.first().copied().filter(|(at, _)| *at <= now) {
            deadlines.remove(&(at, id));
            due.push(id);
        }
        self.timer.set(deadlines.first().map(|(at, _)| *at));
        due
    }
}
