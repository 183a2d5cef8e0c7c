//! [`Stops`]: whether a child is stopped. No descriptor tells it, and SIGCHLD is the host's, so the loop looks from time
//! to time at those whose command asked for it.

use crate::runtime::NEVER;
use crate::sys::pidfd::Change;

/// What was seen of a child, and when to look again, in nanoseconds on CLOCK_MONOTONIC.
pub(super) struct Stops {
    /// The time between looks; or [`NEVER`].
    interval: u64,
    pub(super) look_at: u64,
    /// The signal by which it is stopped, 0 if that is not known; None if it runs.
    signal: Option<i32>,
    /// Whether the last look found a leader that is stopped, and perhaps other threads that are not.
    is_stopping: bool,
}

impl Stops {
    pub(super) fn new(interval: u64, now: u64) -> Stops {
        let mut stops = Stops { interval, look_at: NEVER, signal: None, is_stopping: false };
        stops.look_later(now);
        stops
    }

    pub(super) fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// Puts the next look off to a multiple of the interval, so that one wake-up serves all children.
    pub(super) fn look_later(&mut self, now: u64) {
        self.look_at = if self.interval == NEVER { NEVER } else { (now / self.interval + 1) * self.interval };
    }

    /// Notes a change, and returns what follows from what was known, in order.
    pub(super) fn note(&mut self, change: Change) -> impl Iterator<Item = Change> + use<> {
        self.is_stopping = false;
        let (known, now) = match change {
            Change::Stopped(signal) => (self.signal, Some(signal)),
            Change::Continued => (self.signal, None),
        };
        self.signal = now;
        // A second stop follows a continuation; unless it tells the signal of the first.
        let has_continued = known.is_some_and(|signal| signal != 0 || now.is_none());
        let is_stopped = now.is_some() && known != Some(0);
        let continued = has_continued.then_some(Change::Continued);
        continued.into_iter().chain(is_stopped.then_some(change))
    }

    /// Compares with the state that /proc shows when nobody is left to be told of a change: the host may have waited
    /// for it. Returns the change.
    pub(super) fn compare(&mut self, state: char, threads: u64) -> Option<Change> {
        let was_stopping = std::mem::replace(&mut self.is_stopping, false);
        match (state, self.signal) {
            // It is not stopped before its last thread is.
            ('T', None) if threads > 1 && !was_stopping => {
                self.is_stopping = true;
                None
            }
            ('T', None) => Some(Change::Stopped(0)),
            ('R' | 'S' | 'D' | 'I', Some(_)) => Some(Change::Continued),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(stops: &mut Stops, change: Change) -> Vec<Change> {
        stops.note(change).collect()
    }

    #[test]
    fn looks_are_at_multiples_of_the_interval_or_never() {
        assert_eq!(Stops::new(100, 250).look_at, 300);
        assert_eq!(Stops::new(100, 300).look_at, 400);
        assert_eq!(Stops::new(NEVER, 300).look_at, NEVER);
    }

    #[test]
    fn stops_and_continuations_alternate() {
        let mut stops = Stops::new(NEVER, 0);
        assert_eq!(note(&mut stops, Change::Continued), []);
        assert_eq!(note(&mut stops, Change::Stopped(19)), [Change::Stopped(19)]);
        assert_eq!(note(&mut stops, Change::Stopped(21)), [Change::Continued, Change::Stopped(21)]);
        assert_eq!(stops.signal(), Some(21));
        assert_eq!(note(&mut stops, Change::Continued), [Change::Continued]);
        assert_eq!((note(&mut stops, Change::Continued), stops.signal()), (Vec::new(), None));
    }

    #[test]
    fn what_the_host_has_waited_for_is_seen_in_proc() {
        let mut stops = Stops::new(NEVER, 0);
        assert_eq!(stops.compare('S', 1), None);
        assert_eq!(stops.compare('T', 1), Some(Change::Stopped(0)));
        assert_eq!(note(&mut stops, Change::Stopped(0)), [Change::Stopped(0)]);
        assert_eq!(stops.compare('T', 1), None);
        assert_eq!(stops.compare('t', 1), None);
        // The signal of the same stop is learnt later.
        assert_eq!((note(&mut stops, Change::Stopped(19)), stops.signal()), (Vec::new(), Some(19)));
        assert_eq!(stops.compare('S', 1), Some(Change::Continued));
    }

    #[test]
    fn a_leader_is_stopped_before_its_threads() {
        let mut stops = Stops::new(NEVER, 0);
        assert_eq!(stops.compare('T', 2), None);
        assert_eq!(stops.compare('S', 2), None);
        assert_eq!(stops.compare('T', 2), None);
        assert_eq!(stops.compare('T', 2), Some(Change::Stopped(0)));
    }
}
