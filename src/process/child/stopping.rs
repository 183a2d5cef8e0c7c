//! [`Stopping`]: a stop that goes on, from its first signal until the process, or its group, is gone.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::event::Cause;
use crate::process::stop::{StopPolicy, StopStep};
use crate::runtime::NEVER;
use crate::sys::address::Address;
use crate::sys::clock::monotonic_ns;
use crate::sys::deliver::{self, Target};
use crate::util::duration::nanoseconds;

/// The processes that a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Process,
    Group,
    Tree,
}

/// A stop that goes on. Times are on CLOCK_MONOTONIC, in nanoseconds.
pub(super) struct Stopping {
    reach: Reach,
    /// The cause of the end, once the kernel has taken a signal.
    cause: Cause,
    policy: Arc<StopPolicy>,
    began: u64,
    /// The index of the step that it has come to.
    step: usize,
    /// When the next step follows; None: not by itself.
    next_at: Option<u64>,
    /// The signal that the kernel has not taken.
    refused: Option<Refused>,
    /// The address that reaches the group when its leader has been reaped by the host (before Linux 6.9).
    address: Option<Address>,
    /// When to look whether the group is gone, once its leader has ended.
    look_at: u64,
    interval: u64,
    /// The number of the pass over /proc that found no member but zombies in the group.
    gone: Option<u64>,
}

/// A signal of a stop that is tried again.
#[derive(Clone, Copy)]
struct Refused {
    errno: i32,
    again_at: u64,
    interval: u64,
}

impl Stopping {
    pub(super) fn new(
        pidfd: Option<&OwnedFd>,
        pid: i32,
        policy: &Arc<StopPolicy>,
        reach: Reach,
        cause: Cause,
    ) -> Stopping {
        const FIRST_LOOK: u64 = 5_000_000;
        let now = monotonic_ns();
        let mut stopping = Stopping {
            reach,
            cause,
            policy: Arc::clone(policy),
            began: now,
            step: 0,
            next_at: None,
            refused: None,
            address: pidfd
                .filter(|_| reach != Reach::Process)
                .and_then(|pidfd| deliver::address(pidfd, pid, Target::Group)),
            look_at: now,
            interval: FIRST_LOOK,
            gone: None,
        };
        stopping.come_to(0, now);
        stopping
    }

    /// Comes to a step, whose time begins now.
    fn come_to(&mut self, step: usize, now: u64) {
        self.step = step;
        let grace = self.policy.steps[step].grace.filter(|_| self.has_next());
        self.next_at = grace.map(|grace| now.saturating_add(nanoseconds(grace)));
    }

    fn has_next(&self) -> bool {
        self.step + 1 < self.policy.steps.len()
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn cause(&self) -> Cause {
        self.cause
    }

    pub(super) fn began(&self) -> u64 {
        self.began
    }

    /// Returns the signal of the step that it has come to.
    pub(super) fn signal(&self) -> i32 {
        self.policy.steps[self.step].signal
    }

    /// Moves to the next step; False if this is the last one.
    pub(super) fn advance(&mut self) -> bool {
        let has_next = self.has_next();
        if has_next {
            self.come_to(self.step + 1, monotonic_ns());
        }
        has_next
    }

    /// Makes SIGKILL its only signal from now on.
    pub(super) fn kill(&mut self) {
        let last = StopStep { signal: libc::SIGKILL, grace: None };
        self.policy = Arc::new(StopPolicy { scope: self.policy.scope, steps: vec![last] });
        self.come_to(0, 0);
    }

    /// Returns whether SIGKILL is its signal now.
    pub(super) fn kills(&self) -> bool {
        self.signal() == libc::SIGKILL
    }

    /// Returns whether the grace period of its step is over.
    pub(super) fn next_is_due(&self, now: u64) -> bool {
        self.next_at.is_some_and(|at| at <= now)
    }

    /// Notes that the kernel has taken its signal.
    pub(super) fn accept(&mut self) {
        self.refused = None;
    }

    /// Notes that the kernel refused its signal: it is tried again, ever less often.
    pub(super) fn refuse(&mut self, errno: i32) {
        const FIRST: u64 = 50_000_000;
        const LONGEST: u64 = 1_000_000_000;
        let interval = self.refused.map_or(FIRST, |refused| (refused.interval * 2).min(LONGEST));
        self.refused = Some(Refused { errno, again_at: monotonic_ns().saturating_add(interval), interval });
    }

    /// Returns the errno with which the kernel refuses its signal.
    pub(super) fn refused(&self) -> Option<i32> {
        self.refused.map(|refused| refused.errno)
    }

    /// Returns whether a refused signal is to be tried again.
    pub(super) fn retry_is_due(&self, now: u64) -> bool {
        self.refused.is_some_and(|refused| refused.again_at <= now)
    }

    /// Returns what reaches its group if the leader has been reaped by the host.
    pub(super) fn address_of(&self, target: Target) -> Option<&Address> {
        self.address.as_ref().filter(|_| target == Target::Group)
    }

    /// Returns when something is to be done for it next; or [`NEVER`].
    pub(super) fn next_step(&self, leader_ended: bool) -> u64 {
        let next = self.next_at.unwrap_or(NEVER);
        let again = self.refused.map_or(NEVER, |refused| refused.again_at);
        let look = if leader_ended { self.look_at } else { NEVER };
        next.min(again).min(look)
    }

    /// Returns whether it goes on until the group, or the tree, is empty, once the leader has ended: not if no step follows by itself,
    /// as after SIGKILL.
    pub(super) fn waits_for_others(&self) -> bool {
        self.reach != Reach::Process && self.next_at.is_some()
    }

    /// Returns whether it is time to look whether the group is gone.
    pub(super) fn look_is_due(&self, now: u64) -> bool {
        self.look_at <= now
    }

    /// Puts the next look off, ever longer: this one has found a member of the group.
    pub(super) fn look_later(&mut self, now: u64) {
        const LONGEST: u64 = 200_000_000;
        self.look_at = now + self.interval;
        self.interval = (self.interval * 2).min(LONGEST);
    }

    /// Returns whether zombies have had enough time to be reaped, so that /proc has to be asked. They answer a signal,
    /// too, and if nothing reaps orphans (a container whose first process does not) they stay.
    pub(super) fn asks_proc(&self) -> bool {
        const PATIENCE: u64 = 160_000_000;
        self.interval >= PATIENCE
    }

    /// Notes the number of the last pass over /proc, if that found only zombies in the group. Returns whether two
    /// passes have: a single pass can miss a member that is forked meanwhile.
    pub(super) fn is_gone(&mut self, pass: Option<u64>) -> bool {
        let before = std::mem::replace(&mut self.gone, pass);
        self.gone.is_some() && before.is_some() && before != self.gone
    }
}
