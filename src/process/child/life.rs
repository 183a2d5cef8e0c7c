//! [`Life`]: where a child is in its life, with what belongs to that part of it alone; and the two steps from one part
//! to the next.

use std::os::fd::OwnedFd;

use super::info::State;
use crate::event::{Cause, Ending};
use crate::process::input::Input;
use crate::process::options::Drain;
use crate::runtime::NEVER;
use crate::sys::clock::Stamp;
use crate::sys::procfs::Holder;
use crate::sys::rusage::ResourceUsage;
use crate::util::duration::nanoseconds;

/// The part of its life in which a child is. Times are on CLOCK_MONOTONIC, in nanoseconds.
pub(super) enum Life {
    /// The leader runs, as far as is known.
    Running {
        /// The leader's pidfd; None once the host has closed the descriptors.
        pidfd: Option<OwnedFd>,
        /// The cause of its end, from the first thing that this library did to it.
        intent: Option<Cause>,
        stdin: Input,
        /// When its timeout stops it; or [`NEVER`].
        timeout_at: u64,
    },
    /// The leader has ended; its output is being read to the end, or its group is being stopped.
    Exited {
        ending: Ending,
        at: Stamp,
        /// What it used; None if the kernel did not tell. Boxed, so that one that runs has no room for it.
        rusage: Option<Box<ResourceUsage>>,
        /// The pidfd that reaches the leader's group; None once the host has closed the descriptors.
        pidfd: Option<OwnedFd>,
        /// Whether the leader is left unreaped until the child is closed, so that its group's number stays taken
        /// (before Linux 6.9).
        unreaped: bool,
        drain: Draining,
    },
    /// Nothing follows.
    Closed {
        ending: Ending,
        exited: Stamp,
        at: Stamp,
        rusage: Option<Box<ResourceUsage>>,
        /// The processes that held its pipes at the drain bound; empty if the output was read to its end.
        holders: Box<[Holder]>,
    },
}

/// The progress of reading to the end.
pub(super) enum Draining {
    /// Output is awaited. Both times shift while a full queue keeps the library from reading, and while a stop goes on.
    Reading { quiet_since: u64, since: u64 },
    /// The drain bound was reached, and the holders of the pipes are being looked up. The times are kept, because a stop
    /// that begins meanwhile has the output awaited again.
    Naming { quiet_since: u64, since: u64 },
}

/// A drain bound, in nanoseconds.
pub(super) struct Bound {
    silence: u64,
    total: u64,
}

impl From<Drain> for Bound {
    fn from(drain: Drain) -> Bound {
        Bound { silence: nanoseconds(drain.silence), total: nanoseconds(drain.total) }
    }
}

impl Life {
    /// Goes from running to exited. Standard input is closed. The poller need not forget the pidfd, of which nothing is
    /// reported any more but that it was reaped.
    pub(super) fn exit(&mut self, ending: Ending, at: Stamp, rusage: Option<Box<ResourceUsage>>, unreaped: bool) {
        if let Life::Running { pidfd, .. } = self {
            let drain = Draining::Reading { quiet_since: at.monotonic_ns, since: at.monotonic_ns };
            *self = Life::Exited { ending, at, rusage, pidfd: pidfd.take(), unreaped, drain };
        }
    }

    /// Goes from exited to closed. Returns the pidfd of a leader that has to be reaped now.
    pub(super) fn close(&mut self, at: Stamp, holders: Vec<Holder>) -> Option<OwnedFd> {
        let Life::Exited { ending, at: exited, rusage, pidfd, unreaped, .. } = self else { return None };
        let to_reap = pidfd.take().filter(|_| *unreaped);
        let rusage = rusage.take();
        *self = Life::Closed { ending: *ending, exited: *exited, at, rusage, holders: holders.into() };
        to_reap
    }

    /// Returns how far it has come.
    pub(super) fn state(&self) -> State {
        match self {
            Life::Running { .. } => State::Running,
            Life::Exited { .. } => State::Exited,
            Life::Closed { .. } => State::Closed,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        !matches!(self, Life::Running { .. })
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Life::Exited { .. })
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Life::Closed { .. })
    }

    /// Returns how the leader ended.
    pub(super) fn ending(&self) -> Option<Ending> {
        match self {
            Life::Running { .. } => None,
            Life::Exited { ending, .. } | Life::Closed { ending, .. } => Some(*ending),
        }
    }

    /// Returns what the leader used, once it has ended, if that is known.
    pub(super) fn rusage(&self) -> Option<ResourceUsage> {
        match self {
            Life::Running { .. } => None,
            Life::Exited { rusage, .. } | Life::Closed { rusage, .. } => rusage.as_deref().copied(),
        }
    }

    /// Returns the pidfd, which names the leader, and its group, until the child is closed.
    pub(super) fn pidfd(&self) -> Option<&OwnedFd> {
        match self {
            Life::Running { pidfd, .. } | Life::Exited { pidfd, .. } => pidfd.as_ref(),
            Life::Closed { .. } => None,
        }
    }

    /// Returns the pidfd of a leader that runs, as far as is known.
    pub(super) fn leader(&self) -> Option<&OwnedFd> {
        match self {
            Life::Running { pidfd, .. } => pidfd.as_ref(),
            _ => None,
        }
    }

    /// Returns when its timeout stops it; or [`NEVER`].
    pub(super) fn timeout_at(&self) -> u64 {
        match self {
            Life::Running { timeout_at, .. } => *timeout_at,
            _ => NEVER,
        }
    }

    /// Returns when the drain bound is reached if nothing more is read; or [`NEVER`].
    pub(super) fn drained_at(&self, bound: &Bound) -> u64 {
        match self {
            Life::Exited { drain: Draining::Reading { quiet_since, since }, .. } => {
                quiet_since.saturating_add(bound.silence).min(since.saturating_add(bound.total))
            }
            _ => NEVER,
        }
    }

    /// Notes the cause of the end that is to come, unless there is one already.
    pub(super) fn intend(&mut self, cause: Cause) {
        if let Life::Running { intent, .. } = self {
            intent.get_or_insert(cause);
        }
    }

    /// Notes that output was read.
    pub(super) fn heard(&mut self, now: u64) {
        if let Life::Exited { drain: Draining::Reading { quiet_since, .. }, .. } = self {
            *quiet_since = now;
        }
    }

    /// Shifts the times of the drain bound, because nothing could be read from `paused` until now.
    pub(super) fn stood_still(&mut self, paused: u64, now: u64) {
        if let Life::Exited { drain: Draining::Reading { quiet_since, since }, .. } = self {
            let time = now.saturating_sub(paused.max(*since));
            *quiet_since += time;
            *since += time;
        }
    }

    /// Shifts the times of the drain bound, because a stop went on from `began` until now.
    pub(super) fn stop_settled(&mut self, began: u64, now: u64) {
        if let Life::Exited { drain: Draining::Reading { quiet_since, since }, .. } = self {
            // Output was read meanwhile, so that silence may have begun later than the stop.
            *quiet_since += now.saturating_sub(began.max(*quiet_since));
            *since += now.saturating_sub(began.max(*since));
        }
    }

    /// Has the holders of the pipes looked up: the drain bound was reached. False if no output is awaited.
    pub(super) fn begin_naming(&mut self) -> bool {
        let Life::Exited { drain, .. } = self else { return false };
        if let Draining::Reading { quiet_since, since } = *drain {
            *drain = Draining::Naming { quiet_since, since };
        }
        true
    }

    /// Awaits output again, from where the drain bound was reached.
    pub(super) fn end_naming(&mut self) {
        if let Life::Exited { drain, .. } = self
            && let Draining::Naming { quiet_since, since } = *drain
        {
            *drain = Draining::Reading { quiet_since, since };
        }
    }

    /// Forgets the descriptors without closing them: the host has closed them, and the numbers may be its own now.
    pub(super) fn lose(&mut self) {
        match self {
            Life::Running { pidfd, stdin, .. } => {
                std::mem::forget((pidfd.take(), std::mem::replace(stdin, Input::Absent)));
            }
            Life::Exited { pidfd, .. } => std::mem::forget(pidfd.take()),
            Life::Closed { .. } => {}
        }
    }
}
