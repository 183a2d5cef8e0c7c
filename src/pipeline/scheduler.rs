//! Decides which spec runs when, and how each ends. It has no clock, no processes and no locks: a run tells it
//! what happened, and asks what to start and what to stop.
//!
//! waiting → ready → running → ended, or, with attempts left, running → resting → ready. A spec that will not
//! run ends from wherever it is. Every transition is in here, and no spec leaves `Ended`.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::graph::{Edges, Graph};
use super::spec::{Backoff, Spec};
use super::text::quoted;
use crate::event::SpecState;

/// What a run does with its graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunMode {
    /// Each spec starts the moment its last dependency has ended, several at a time, the one that begins the
    /// longest remaining path first.
    #[default]
    All,
    /// One at a time, in the order of the pipeline, but none before those it comes after; stops at the first
    /// failure.
    Sequential,
    /// Several at a time, whatever comes after what.
    Parallel,
}

/// What the scheduler is to know of a spec.
pub(super) struct Task {
    name: Arc<str>,
    allow_failure: bool,
    always_run: bool,
    retries: u32,
    backoff: Backoff,
    weight: u64,
}

/// Where a spec is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Ready,
    Running,
    /// Until its next attempt, at this moment.
    Resting(u64),
    Ended(SpecState),
}

struct Node {
    phase: Phase,
    /// What it comes after and has not ended.
    pending: usize,
    attempts: u32,
    error: Option<Arc<str>>,
    /// Running, and it has been asked to stop.
    stopping: bool,
}

/// Why what has not run will not.
#[derive(Clone, Debug)]
pub(super) enum Halt {
    /// The run was cancelled; the clean-up still runs.
    Cancelled,
    /// Its deadline passed; the clean-up still runs.
    Deadline,
    /// A spec did not pass, in a run that stops at the first failure; the clean-up still runs.
    Failure(Arc<str>),
    /// It was cancelled once more: the clean-up does not run either.
    CancelledAgain,
    /// Nothing can be started any more.
    ServiceClosed,
}

impl Halt {
    fn text(&self) -> String {
        match self {
            Halt::Cancelled | Halt::CancelledAgain => "the run was cancelled".to_owned(),
            Halt::Deadline => "the deadline of the run passed".to_owned(),
            Halt::Failure(reason) => (**reason).to_owned(),
            Halt::ServiceClosed => "the service was closed".to_owned(),
        }
    }

    /// Do specs that always run still run?
    fn spares_clean_up(&self) -> bool {
        self.rank() == 0
    }

    /// Is what runs stopped? Closing a service says itself what becomes of its processes.
    fn stops(&self) -> bool {
        !matches!(self, Halt::ServiceClosed)
    }

    /// A harder one replaces the reason.
    fn rank(&self) -> u8 {
        match self {
            Halt::Cancelled | Halt::Deadline | Halt::Failure(_) => 0,
            Halt::ServiceClosed => 1,
            Halt::CancelledAgain => 2,
        }
    }
}

/// Do processes of the run, though their specs have ended, hold what a start lacked?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relief {
    /// One was closed meanwhile.
    Came,
    /// One is not closed yet.
    WillCome,
    /// There is none.
    Never,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed(String),
    TimedOut(String),
    /// We stopped it.
    Stopped,
    /// It could not be started, because the service is closed.
    Refused,
}

/// What became known, in this order, for the run to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Retrying(usize),
    Ended(usize, SpecState),
}

/// How many specs are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) waiting: usize,
    pub(super) running: usize,
    pub(super) resting: usize,
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    pub(super) cancelled: usize,
    pub(super) timed_out: usize,
}

pub(super) struct Scheduler {
    tasks: Vec<Task>,
    nodes: Vec<Node>,
    /// What comes after each.
    before: Edges,
    mode: RunMode,
    limit: usize,
    fail_fast: bool,
    /// Nothing can be started until a process of the run is closed.
    is_short: bool,
    /// The heaviest, and of these the first, is on top.
    ready: BinaryHeap<(u64, Reverse<usize>)>,
    resting: BTreeSet<(u64, usize)>,
    halt: Option<Halt>,
    counts: Counts,
    /// Not told yet.
    changes: Vec<Change>,
    to_stop: Vec<usize>,
}

/// How a scheduler is to go about it.
pub(super) struct Plan {
    pub(super) mode: RunMode,
    /// At least 1.
    pub(super) limit: usize,
    pub(super) fail_fast: bool,
}

impl Scheduler {
    /// `durations` are those that are remembered, by index.
    pub(super) fn new(specs: &[Spec], graph: Graph, plan: &Plan, durations: &[Option<u64>]) -> Scheduler {
        let Graph { after, before, order } = graph;
        let independent = plan.mode == RunMode::Parallel;
        let before = if independent { Edges::none(specs.len()) } else { before };
        let weights = weights(&before, &order, durations);
        let tasks = specs.iter().zip(weights).map(|(spec, weight)| Task {
            name: Arc::from(spec.name.as_str()),
            allow_failure: spec.allow_failure,
            always_run: spec.always_run,
            retries: spec.retries,
            backoff: spec.backoff,
            weight: if plan.mode == RunMode::Sequential { 0 } else { weight },
        });
        let nodes = (0..specs.len()).map(|index| Node {
            phase: Phase::Waiting,
            pending: if independent { 0 } else { after.of(index).len() },
            attempts: 0,
            error: None,
            stopping: false,
        });
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

    // What to do.

    /// The next spec to start an attempt of, which counts as running from now on.
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

    /// Is a spec ready, and a place free?
    pub(super) fn can_start(&mut self) -> bool {
        // The heap also holds specs that were ready when the run was halted.
        while let Some((_, Reverse(index))) = self.ready.peek().copied() {
            if self.nodes[index].phase == Phase::Ready {
                break;
            }
            self.ready.pop();
        }
        // One at a time means that the next one waits for an attempt to be repeated.
        let rests = self.mode == RunMode::Sequential && !self.resting.is_empty();
        !self.ready.is_empty() && self.counts.running < self.limit && !rests && !self.is_short
    }

    /// When the first repeated attempt is due.
    pub(super) fn due(&self) -> Option<u64> {
        self.resting.first().map(|(due, _)| *due)
    }

    /// The running specs that are to be stopped, or stopped harder, each time it is asked anew.
    pub(super) fn take_to_stop(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.to_stop)
    }

    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    // What happened.

    /// An attempt of a running spec ended.
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

    /// A running spec could not be started for lack of something that other processes of the run hold: it waits for
    /// one of them. False when there is none, so that it would wait for ever.
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

    /// A process was closed: what it held is free.
    pub(super) fn relieved(&mut self) {
        self.is_short = false;
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halt.is_some()
    }

    /// Ends what does not run, and asks for a stop of what does.
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
                // One that waits for its turn to be repeated has begun.
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

    // What is known.

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

    /// How long it, and what comes after it, will take at least.
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

    /// Why its last attempt, or it as a whole, did not pass.
    pub(super) fn error(&self, index: usize) -> Option<&Arc<str>> {
        self.nodes[index].error.as_ref()
    }

    // Transitions.

    fn enter(&mut self, index: usize, phase: Phase) {
        let old = std::mem::replace(&mut self.nodes[index].phase, phase);
        *self.counter(old) -= 1;
        *self.counter(phase) += 1;
        if phase == Phase::Ready {
            self.ready.push((self.tasks[index].weight, Reverse(index)));
        }
    }

    fn counter(&mut self, phase: Phase) -> &mut usize {
        let counts = &mut self.counts;
        match phase {
            Phase::Waiting | Phase::Ready => &mut counts.waiting,
            Phase::Running => &mut counts.running,
            Phase::Resting(_) => &mut counts.resting,
            Phase::Ended(SpecState::Passed) => &mut counts.passed,
            Phase::Ended(SpecState::Failed) => &mut counts.failed,
            Phase::Ended(SpecState::Skipped) => &mut counts.skipped,
            Phase::Ended(SpecState::Cancelled) => &mut counts.cancelled,
            Phase::Ended(SpecState::TimedOut) => &mut counts.timed_out,
        }
    }

    fn failed(&mut self, index: usize, state: SpecState, error: String, now: u64) {
        let task = &self.tasks[index];
        let attempts = self.nodes[index].attempts;
        if attempts <= task.retries && !self.is_over_for(index) {
            let due = now.saturating_add(rest(task.backoff, attempts));
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

    /// Will a spec not run any more?
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

    /// The attempt that was refused never was.
    fn end_refused(&mut self, index: usize) {
        self.nodes[index].attempts -= 1;
        if self.nodes[index].attempts == 0 { self.skip(index) } else { self.end_cancelled(index) }
    }

    /// Ends a spec, and with it those that it takes along.
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

    /// Why what comes after a spec that ended so is skipped, if it is.
    fn obstacle(&self, index: usize, state: SpecState, error: Option<&Arc<str>>) -> Option<Arc<str>> {
        let task = &self.tasks[index];
        let how = match state {
            SpecState::Passed => return None,
            SpecState::Failed | SpecState::TimedOut if task.allow_failure => return None,
            SpecState::Failed => "failed",
            SpecState::TimedOut => "timed out",
            SpecState::Cancelled => "was cancelled",
            // Whatever kept this one from running keeps the next one, too.
            SpecState::Skipped => return error.cloned(),
        };
        Some(format!("skipped: {} {how}", quoted(&task.name)).into())
    }
}

/// How long the longest path from each spec to an end takes: what is not remembered counts as the mean of what
/// is, and as 1 when nothing is.
fn weights(before: &Edges, order: &[usize], durations: &[Option<u64>]) -> Vec<u64> {
    let known: Vec<u64> = durations.iter().copied().flatten().collect();
    let sum: u128 = known.iter().map(|duration| u128::from(*duration)).sum();
    let mean = sum.checked_div(known.len() as u128).map_or(1, |mean| mean as u64);
    let mut weights = vec![0; before.len()];
    for index in order.iter().rev() {
        let rest = before.of(*index).iter().map(|dependent| weights[*dependent]).max().unwrap_or(0);
        weights[*index] = durations[*index].unwrap_or(mean).max(1).saturating_add(rest);
    }
    weights
}

/// How long to wait after so many failed attempts.
fn rest(backoff: Backoff, attempts: u32) -> u64 {
    let doublings = (attempts - 1).min(63);
    let first = u64::try_from(backoff.first.as_nanos()).unwrap_or(u64::MAX);
    let most = u64::try_from(backoff.most.as_nanos()).unwrap_or(u64::MAX);
    first.saturating_mul(1 << doublings).min(most)
}
