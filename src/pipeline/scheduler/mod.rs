//! [`Scheduler`]: decides which spec runs when, and how each ends. It has no clock, no processes and no locks: a run
//! tells it what happened, and asks what to start and what to stop.
//!
//! waiting → ready → running → ended, or, with attempts left, running → resting → ready. A spec that will not run ends
//! from any other phase. Every transition is in this file, and no spec leaves `Ended`.
//!
//! `node` is a spec as the scheduler knows it, `halt` says why a run goes no further, and `weights` which spec comes
//! first.

mod halt;
mod node;
mod weights;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

pub(super) use halt::Halt;
pub(super) use node::Counts;
use node::{Node, Phase, Task};
use weights::weights;

use super::graph::{Edges, Graph};
use super::options::RunMode;
use super::plan::Plan;
use super::spec::Spec;
use super::text::quoted;
use crate::event::SpecState;

/// Relief for a start that lacked something, such as descriptors: processes of the run whose specs have ended may still
/// hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relief {
    /// A process was closed meanwhile.
    Came,
    /// A process is not closed yet.
    WillCome,
    /// No such process is left.
    Never,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed(String),
    TimedOut(String),
    /// The run, or the close of its service, stopped it.
    Stopped,
    /// The service refused the start, because it is closed.
    Refused,
}

/// A decision about the spec of this index, for the run to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Retrying(usize),
    Ended(usize, SpecState),
}

impl Change {
    pub(super) fn index(&self) -> usize {
        match self {
            Change::Retrying(index) | Change::Ended(index, _) => *index,
        }
    }
}

pub(super) struct Scheduler {
    tasks: Vec<Task>,
    nodes: Vec<Node>,
    /// The dependents of each spec.
    before: Edges,
    mode: RunMode,
    limit: usize,
    fail_fast: bool,
    /// Whether nothing can be started until a process of the run is closed.
    is_short: bool,
    /// Weights and indices of specs that are ready. The heaviest spec, and of several the first, is on top.
    ready: BinaryHeap<(u64, Reverse<usize>)>,
    /// Specs that are resting, by the moment when that ends.
    resting: BTreeSet<(u64, usize)>,
    halt: Option<Halt>,
    counts: Counts,
    /// Decisions that were not told yet.
    changes: Vec<Change>,
    /// Running specs that are to be stopped.
    to_stop: Vec<usize>,
}

impl Scheduler {
    /// Makes a scheduler for these specs. `durations` are those that are known, by index, in nanoseconds.
    pub(super) fn new(specs: &[Spec], graph: Graph, plan: &Plan, durations: &[Option<u64>]) -> Scheduler {
        let Graph { after, before, order } = graph;
        let independent = plan.mode == RunMode::Parallel;
        let before = if independent { Edges::none(specs.len()) } else { before };
        let weights = weights(&before, &order, durations);
        let weigh = |weight| if plan.mode == RunMode::Sequential { 0 } else { weight };
        let tasks = specs.iter().zip(weights).map(|(spec, weight)| Task::new(spec, weigh(weight)));
        let nodes = (0..specs.len()).map(|index| Node::new(if independent { 0 } else { after.of(index).len() }));
        let mut scheduler = Scheduler {
            tasks: tasks.collect(),
            nodes: nodes.collect(),
            before,
            mode: plan.mode,
            limit: plan.limit,
            fail_fast: plan.fail_fast || plan.mode == RunMode::Sequential,
            is_short: false,
            ready: BinaryHeap::new(),
            resting: BTreeSet::new(),
            halt: None,
            counts: Counts { waiting: specs.len(), ..Counts::default() },
            changes: Vec::new(),
            to_stop: Vec::new(),
        };
        for index in 0..scheduler.nodes.len() {
            scheduler.ready_if_free(index);
        }
        scheduler
    }

    // Decisions.

    /// Takes the next spec of which to start an attempt. It counts as running from now on.
    pub(super) fn next(&mut self, now: u64) -> Option<usize> {
        while let Some((due, index)) = self.resting.first().copied().filter(|(due, _)| *due <= now) {
            self.resting.remove(&(due, index));
            self.enter(index, Phase::Ready);
        }
        if !self.can_start() {
            return None;
        }
        let (_, Reverse(index)) = self.ready.pop()?;
        self.enter(index, Phase::Running);
        self.nodes[index].attempts += 1;
        self.nodes[index].stopping = false;
        Some(index)
    }

    /// Returns whether a spec is ready and a place free.
    pub(super) fn can_start(&mut self) -> bool {
        // The heap still holds specs that were ready when the run was halted.
        while let Some((_, Reverse(index))) = self.ready.peek().copied() {
            if self.nodes[index].phase == Phase::Ready {
                break;
            }
            self.ready.pop();
        }
        // In a sequential run, the next spec waits until a failed attempt was repeated.
        let rests = self.mode == RunMode::Sequential && !self.resting.is_empty();
        !self.ready.is_empty() && self.counts.running < self.limit && !rests && !self.is_short
    }

    /// Returns when the next repeated attempt is due.
    pub(super) fn due(&self) -> Option<u64> {
        self.resting.first().map(|(due, _)| *due)
    }

    /// Takes the running specs that have to be stopped, or stopped harder, since the last call.
    pub(super) fn take_to_stop(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.to_stop)
    }

    /// Takes the decisions since the last call, in order.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    // News for the scheduler.

    /// Notes that an attempt of a running spec has ended.
    pub(super) fn ended(&mut self, index: usize, outcome: Outcome, now: u64) {
        if self.nodes[index].phase != Phase::Running {
            return;
        }
        match outcome {
            Outcome::Passed => self.end(index, SpecState::Passed, None),
            Outcome::Failed(error) => self.failed(index, SpecState::Failed, error, now),
            Outcome::TimedOut(error) => self.failed(index, SpecState::TimedOut, error, now),
            Outcome::Stopped => self.end_cancelled(index),
            Outcome::Refused => {
                self.halt(Halt::ServiceClosed);
                self.end_refused(index);
            }
        }
    }

    /// Has a running spec, which could not be started for lack of something that other processes of the run hold, wait
    /// for one of them. False if there is none, so that it would wait in vain.
    pub(super) fn postpone(&mut self, index: usize, relief: Relief) -> bool {
        let others = self.counts.running - 1;
        if self.nodes[index].phase != Phase::Running || self.is_over_for(index) {
            return false;
        }
        match relief {
            _ if others > 0 => self.limit = others,
            Relief::Came => {}
            Relief::WillCome => self.is_short = true,
            Relief::Never => return false,
        }
        self.nodes[index].attempts -= 1;
        self.enter(index, Phase::Ready);
        true
    }

    /// Notes that a process was closed, and that what it held is free.
    pub(super) fn relieved(&mut self) {
        self.is_short = false;
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halt.is_some()
    }

    /// Ends the specs that do not run, and asks for a stop of those that do.
    pub(super) fn halt(&mut self, halt: Halt) {
        let (stops, spares, again) = (halt.stops(), halt.spares_clean_up(), matches!(halt, Halt::CancelledAgain));
        if self.halt.as_ref().is_none_or(|before| before.rank() < halt.rank()) {
            self.halt = Some(halt);
        }
        for index in 0..self.nodes.len() {
            if !self.is_over_for(index) {
                continue;
            }
            match self.nodes[index].phase {
                // A spec that waits for its turn to be repeated has run.
                Phase::Ready if self.nodes[index].attempts > 0 => self.end_cancelled(index),
                Phase::Waiting | Phase::Ready => self.skip(index),
                Phase::Resting(due) => {
                    self.resting.remove(&(due, index));
                    self.end_cancelled(index);
                }
                Phase::Running if stops && !(spares && self.tasks[index].always_run) => {
                    if again || !self.nodes[index].stopping {
                        self.nodes[index].stopping = true;
                        self.to_stop.push(index);
                    }
                }
                Phase::Running | Phase::Ended(_) => {}
            }
        }
    }

    // Questions.

    pub(super) fn is_over(&self) -> bool {
        let Counts { waiting, running, resting, .. } = self.counts;
        waiting + running + resting == 0
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn attempts(&self, index: usize) -> u32 {
        self.nodes[index].attempts
    }

    /// Returns how long the spec, and the specs after it, will take at least, in nanoseconds.
    pub(super) fn weight(&self, index: usize) -> u64 {
        self.tasks[index].weight
    }

    pub(super) fn is_running(&self, index: usize) -> bool {
        self.nodes[index].phase == Phase::Running
    }

    pub(super) fn has_to_stop(&self) -> bool {
        !self.to_stop.is_empty()
    }

    pub(super) fn state(&self, index: usize) -> Option<SpecState> {
        match self.nodes[index].phase {
            Phase::Ended(state) => Some(state),
            _ => None,
        }
    }

    /// Returns why the last attempt of a spec, or the spec as a whole, did not pass.
    pub(super) fn error(&self, index: usize) -> Option<&Arc<str>> {
        self.nodes[index].error.as_ref()
    }

    // Transitions.

    fn enter(&mut self, index: usize, phase: Phase) {
        let old = std::mem::replace(&mut self.nodes[index].phase, phase);
        *self.counts.of(old) -= 1;
        *self.counts.of(phase) += 1;
        if phase == Phase::Ready {
            self.ready.push((self.tasks[index].weight, Reverse(index)));
        }
    }

    fn failed(&mut self, index: usize, state: SpecState, error: String, now: u64) {
        let task = &self.tasks[index];
        let attempts = self.nodes[index].attempts;
        if attempts <= task.retries && !self.is_over_for(index) {
            let due = now.saturating_add(task.rest(attempts));
            self.nodes[index].error = Some(error.into());
            self.enter(index, Phase::Resting(due));
            self.resting.insert((due, index));
            self.changes.push(Change::Retrying(index));
            return;
        }
        self.end(index, state, Some(error.into()));
    }

    fn ready_if_free(&mut self, index: usize) {
        if self.nodes[index].phase == Phase::Waiting && self.nodes[index].pending == 0 {
            self.enter(index, Phase::Ready);
        }
    }

    /// Returns whether the halt keeps this spec from running.
    fn is_over_for(&self, index: usize) -> bool {
        self.halt.as_ref().is_some_and(|halt| !(self.tasks[index].always_run && halt.spares_clean_up()))
    }

    fn halt_text(&self) -> String {
        self.halt.as_ref().map(Halt::text).unwrap_or_default()
    }

    fn skip(&mut self, index: usize) {
        let error = format!("skipped: {}", self.halt_text());
        self.end(index, SpecState::Skipped, Some(error.into()));
    }

    fn end_cancelled(&mut self, index: usize) {
        let error = format!("cancelled: {}", self.halt_text());
        self.end(index, SpecState::Cancelled, Some(error.into()));
    }

    /// Ends a spec whose attempt was refused, which does not count.
    fn end_refused(&mut self, index: usize) {
        self.nodes[index].attempts -= 1;
        if self.nodes[index].attempts == 0 { self.skip(index) } else { self.end_cancelled(index) }
    }

    /// Ends a spec, and those that are skipped because of it.
    fn end(&mut self, index: usize, state: SpecState, error: Option<Arc<str>>) {
        let mut failed = None;
        let mut ending = vec![(index, state, error)];
        while let Some((index, state, error)) = ending.pop() {
            if let Phase::Ended(_) = self.nodes[index].phase {
                continue;
            }
            self.enter(index, Phase::Ended(state));
            self.changes.push(Change::Ended(index, state));
            let reason = self.obstacle(index, state, error.as_ref());
            self.nodes[index].error = error;
            for place in 0..self.before.of(index).len() {
                let dependent = self.before.of(index)[place];
                let node = &mut self.nodes[dependent];
                node.pending -= 1;
                if node.phase != Phase::Waiting {
                    continue;
                }
                match &reason {
                    Some(reason) if !self.tasks[dependent].always_run => {
                        ending.push((dependent, SpecState::Skipped, Some(Arc::clone(reason))));
                    }
                    _ => self.ready_if_free(dependent),
                }
            }
            if matches!(state, SpecState::Failed | SpecState::TimedOut) {
                failed = reason;
            }
        }
        if let Some(reason) = failed.filter(|_| self.fail_fast) {
            let reason = reason.strip_prefix("skipped: ").unwrap_or(&reason);
            self.halt(Halt::Failure(Arc::from(reason)));
        }
    }

    /// Returns why the dependents of a spec that ended like this are skipped; None if they are not.
    fn obstacle(&self, index: usize, state: SpecState, error: Option<&Arc<str>>) -> Option<Arc<str>> {
        let task = &self.tasks[index];
        let how = match state {
            SpecState::Passed => return None,
            SpecState::Failed | SpecState::TimedOut if task.allow_failure => return None,
            SpecState::Failed => "failed",
            SpecState::TimedOut => "timed out",
            SpecState::Cancelled => "was cancelled",
            // The obstacle of this spec is also that of the next.
            SpecState::Skipped => return error.cloned(),
        };
        Some(format!("skipped: {} {how}", quoted(&task.name)).into())
    }
}
