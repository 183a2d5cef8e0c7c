//! [`Deadline`]: when a call gives up.

use std::time::Duration;

use crate::sys::clock::monotonic_ns;
use crate::util::duration::nanoseconds;

/// When a call gives up, on CLOCK_MONOTONIC in nanoseconds; None: never.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<u64>);

impl Deadline {
    /// A deadline that has passed.
    #[cfg(test)]
    pub(crate) const LOOK: Deadline = Deadline(Some(0));

    /// Makes a deadline this long from now. None waits for ever; zero only looks.
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.map(|t| {
            let ns = nanoseconds(t);
            if ns == 0 { 0 } else { monotonic_ns().saturating_add(ns) }
        }))
    }

    /// Like [`Deadline::after`]; [`Duration::MAX`] waits for ever.
    pub(crate) fn within(timeout: Duration) -> Deadline {
        Deadline::after((timeout != Duration::MAX).then_some(timeout))
    }

    /// Returns the deadline, or the end of `time` from now if that comes first.
    pub(crate) fn or_after(self, time: Duration) -> Deadline {
        let other = Deadline::after(Some(time));
        Deadline(self.0.into_iter().chain(other.0).min())
    }

    /// Makes a deadline at this moment of CLOCK_MONOTONIC; None: no limit.
    pub(crate) fn at(at: Option<u64>) -> Deadline {
        Deadline(at)
    }

    /// Returns whether the call only looks, without waiting.
    pub(crate) fn only_looks(self) -> bool {
        self.0 == Some(0)
    }

    /// Returns whether it has passed.
    pub(crate) fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// Returns the time that is left; None: no limit.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|at| Duration::from_nanos(if at == 0 { 0 } else { at.saturating_sub(monotonic_ns()) }))
    }
}
