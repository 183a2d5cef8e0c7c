//! A spec as the scheduler knows it: its [`Task`], which does not change, and its [`Node`], which does.

use std::sync::Arc;

use crate::event::SpecState;
use crate::pipeline::spec::{Backoff, Spec};
use crate::util::duration::nanoseconds;

/// The part of a spec that the scheduler knows.
pub(super) struct Task {
    pub(super) name: Arc<str>,
    pub(super) allow_failure: bool,
    pub(super) always_run: bool,
    pub(super) retries: u32,
    backoff: Backoff,
    /// Specs with a higher weight start first.
    pub(super) weight: u64,
}

impl Task {
    pub(super) fn new(spec: &Spec, weight: u64) -> Task {
        Task {
            name: Arc::from(spec.name.as_str()),
            allow_failure: spec.allow_failure,
            always_run: spec.always_run,
            retries: spec.retries,
            backoff: spec.backoff,
            weight,
        }
    }

    /// Returns how long to wait after this many failed attempts, in nanoseconds.
    pub(super) fn rest(&self, attempts: u32) -> u64 {
        let doublings = (attempts - 1).min(63);
        nanoseconds(self.backoff.first).saturating_mul(1 << doublings).min(nanoseconds(self.backoff.most))
    }
}

/// The phase of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    Ready,
    Running,
    /// The spec waits for its next attempt, until this moment.
    Resting(u64),
    Ended(SpecState),
}

pub(super) struct Node {
    pub(super) phase: Phase,
    /// How many of its dependencies have not ended.
    pub(super) pending: usize,
    pub(super) attempts: u32,
    pub(super) error: Option<Arc<str>>,
    /// Whether it runs and has been asked to stop.
    pub(super) stopping: bool,
}

impl Node {
    pub(super) fn new(pending: usize) -> Node {
        Node { phase: Phase::Waiting, pending, attempts: 0, error: None, stopping: false }
    }
}

/// How many specs are in which phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Counts {
    pub(in crate::pipeline) waiting: usize,
    pub(in crate::pipeline) running: usize,
    pub(in crate::pipeline) resting: usize,
    pub(in crate::pipeline) passed: usize,
    pub(in crate::pipeline) failed: usize,
    pub(in crate::pipeline) skipped: usize,
    pub(in crate::pipeline) cancelled: usize,
    pub(in crate::pipeline) timed_out: usize,
}

impl Counts {
    pub(super) fn of(&mut self, phase: Phase) -> &mut usize {
        match phase {
            Phase::Waiting | Phase::Ready => &mut self.waiting,
            Phase::Running => &mut self.running,
            Phase::Resting(_) => &mut self.resting,
            Phase::Ended(SpecState::Passed) => &mut self.passed,
            Phase::Ended(SpecState::Failed) => &mut self.failed,
            Phase::Ended(SpecState::Skipped) => &mut self.skipped,
            Phase::Ended(SpecState::Cancelled) => &mut self.cancelled,
            Phase::Ended(SpecState::TimedOut) => &mut self.timed_out,
        }
    }
}
