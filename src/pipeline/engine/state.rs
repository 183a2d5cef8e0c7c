//! [`State`]: the state of a run, under its lock. It decides what a worker does next, and calls no process, because a
//! process's lock comes before the run's.

use std::sync::Arc;
use std::time::Duration;

use super::feeds::Feeds;
use super::report::{Remains, SpecEnding};
use super::slot::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{RunRecord, SpecState};
use crate::pipeline::graph::Edges;
use crate::pipeline::result::RunReport;
use crate::pipeline::scheduler::{Change, Counts, Halt, Outcome, Relief, Scheduler};
use crate::pipeline::snapshot::{Progress, RunningSpec};
use crate::pipeline::spec::Spec;
use crate::process::Process;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

pub(super) struct State {
    pub(super) scheduler: Scheduler,
    /// A slot for each spec, until the report is made of them.
    slots: Vec<Slot>,
    /// The dependencies of each spec, until the report is made of them.
    after: Edges,
    /// Attempts under way: their processes are being started or are not closed.
    open: usize,
    /// Processes that have been closed.
    closed: u64,
    /// When the run is cancelled, on CLOCK_MONOTONIC.
    deadline: Option<u64>,
    is_cancelled: bool,
    /// When the last spec ended.
    last_end: u64,
    pub(super) feeds: Feeds,
    phase: Phase,
}

/// The phase of a run.
enum Phase {
    Going,
    /// Every spec has ended, and a worker makes the report.
    Finishing,
    Over(Result<Arc<RunReport>>),
}

/// The next job of a worker.
pub(super) enum Job {
    Start(Attempt),
    Stop(Vec<Process>),
    Finish,
    /// To wait anew, because there is an earlier deadline to wait for.
    Again,
    Leave,
}

/// An attempt of a spec.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    /// The index of the spec.
    pub(super) index: usize,
    /// The number of the attempt, from 1.
    pub(super) number: u32,
    /// How many processes of the run had been closed when the attempt was decided.
    closed: u64,
}

impl State {
    pub(super) fn new(
        scheduler: Scheduler,
        after: Edges,
        started: Stamp,
        deadline: Option<u64>,
        feeds: Feeds,
    ) -> State {
        State {
            scheduler,
            slots: (0..after.len()).map(|_| Slot::default()).collect(),
            after,
            open: 0,
            closed: 0,
            deadline,
            is_cancelled: false,
            last_end: started.monotonic_ns,
            feeds,
            phase: Phase::Going,
        }
    }

    /// Returns whether specs or processes of the run are still to be looked after.
    pub(super) fn is_going(&self) -> bool {
        matches!(self.phase, Phase::Going)
    }

    /// Returns the result of a run that has ended.
    pub(super) fn outcome(&self) -> Option<&Result<Arc<RunReport>>> {
        match &self.phase {
            Phase::Over(outcome) => Some(outcome),
            Phase::Going | Phase::Finishing => None,
        }
    }

    /// Returns when something is due without an event: the deadline, or the next attempt of a spec that has failed.
    pub(super) fn due(&self) -> Option<u64> {
        self.deadline.into_iter().chain(self.scheduler.due()).min()
    }

    /// Returns whether there is something to do for a worker.
    pub(super) fn has_work(&mut self) -> bool {
        self.scheduler.can_start() || self.scheduler.has_to_stop() || self.is_over()
    }

    fn is_over(&self) -> bool {
        self.scheduler.is_over() && self.open == 0
    }

    // Steps of a worker.

    /// Cancels the run if its deadline has passed. Returns whether it did.
    pub(super) fn meet_deadline(&mut self, now: u64) -> bool {
        let is_due = self.deadline.is_some_and(|at| at <= now);
        if is_due {
            self.deadline = None;
            self.scheduler.halt(Halt::Deadline);
        }
        is_due
    }

    /// Returns the next job, if there is one. `until` is when the worker's wait ends.
    pub(super) fn next_job(&mut self, now: u64, until: Option<u64>) -> Option<Job> {
        let processes = self.take_to_stop();
        if !processes.is_empty() {
            return Some(Job::Stop(processes));
        }
        if let Some(index) = self.scheduler.next(now) {
            let slot = &mut self.slots[index];
            // The output of an attempt that is repeated is not kept.
            *slot = Slot { first: slot.first, exited: slot.exited, ..Slot::default() };
            self.open += 1;
            let number = self.scheduler.attempts(index);
            return Some(Job::Start(Attempt { index, number, closed: self.closed }));
        }
        if self.is_over() {
            self.phase = Phase::Finishing;
            return Some(Job::Finish);
        }
        let is_earlier = self.due().is_some_and(|due| until.is_none_or(|until| due < until));
        is_earlier.then_some(Job::Again)
    }

    /// Takes the processes that have to be stopped, or stopped once more. If one is just being started, the worker that
    /// starts it will stop it.
    pub(super) fn take_to_stop(&mut self) -> Vec<Process> {
        let mut processes = Vec::new();
        for index in self.scheduler.take_to_stop() {
            let slot = &mut self.slots[index];
            match &slot.process {
                Some(process) => processes.push(process.clone()),
                None => slot.stops += 1,
            }
        }
        processes
    }

    /// Returns how often to stop a process that was being started meanwhile.
    pub(super) fn stops_due(&mut self, attempt: Attempt) -> u32 {
        let is_current = self.scheduler.attempts(attempt.index) == attempt.number;
        match self.slots.get_mut(attempt.index).filter(|_| is_current) {
            Some(slot) => std::mem::take(&mut slot.stops),
            // An earlier attempt has ended; or the run has failed, and has no slots and no processes to look after.
            None => u32::from(self.slots.is_empty()),
        }
    }

    /// Hands over what the report is made of: every spec has ended.
    pub(super) fn take_remains(&mut self) -> Remains {
        let slots = std::mem::take(&mut self.slots);
        let ending = |index| SpecEnding {
            state: self.scheduler.state(index).unwrap_or(SpecState::Skipped),
            attempts: self.scheduler.attempts(index),
            error: self.scheduler.error(index).cloned(),
        };
        Remains {
            endings: (0..slots.len()).map(ending).collect(),
            slots,
            after: std::mem::replace(&mut self.after, Edges::none(0)),
            last_end: self.last_end,
        }
    }

    /// Ends the run, unless it has ended before.
    pub(super) fn settle(&mut self, outcome: Result<Arc<RunReport>>) {
        if self.outcome().is_none() {
            self.phase = Phase::Over(outcome);
        }
        self.feeds.close();
    }

    /// Hands over the processes of a run that has failed: from now on nothing looks after them.
    pub(super) fn take_processes(&mut self) -> Vec<Process> {
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| slot.process).collect()
    }

    // News for the run.

    /// Notes that the process of an attempt has started.
    pub(super) fn started(&mut self, (index, attempt): (usize, u32), process: &Process, name: &str, time: Stamp) {
        self.slots[index].process = Some(process.clone());
        self.began(index, attempt, name, time);
    }

    fn began(&mut self, index: usize, attempt: u32, name: &str, time: Stamp) {
        let slot = &mut self.slots[index];
        slot.first.get_or_insert(time);
        slot.started = time;
        // The time is now, because the times of a run's events do not go back.
        self.feeds.tell(RunRecord::SpecStarted, Some((index, attempt)), name, Stamp::now());
    }

    /// Notes that the process of an attempt, tried since `before`, could not be started. False if all is known already:
    /// the process ended before it could be watched, or the run has failed.
    pub(super) fn start_failed(
        &mut self,
        attempt: Attempt,
        name: &str,
        (before, now): (Stamp, u64),
        error: &Error,
    ) -> bool {
        let Attempt { index, number, closed } = attempt;
        if self.slots.get(index).is_none_or(|slot| slot.exited >= number) {
            return false;
        }
        self.open -= 1;
        let is_short = matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM));
        let relief = match self.open {
            _ if self.closed != closed => Relief::Came,
            0 => Relief::Never,
            _ => Relief::WillCome,
        };
        if error.kind() == ErrorKind::Closed {
            self.scheduler.ended(index, Outcome::Refused, now);
        } else if !(is_short && self.scheduler.postpone(index, relief)) {
            if self.slots[index].process.is_none() {
                self.began(index, number, name, before);
            }
            self.slots[index].process = None;
            self.slots[index].ended = Some(now);
            self.scheduler.ended(index, Outcome::Failed(error.to_string()), now);
        }
        true
    }

    /// Notes that the process of an attempt has ended.
    pub(super) fn exited(&mut self, (index, attempt): (usize, u32), status: ExitStatus, outcome: Outcome, time: u64) {
        let slot = &mut self.slots[index];
        slot.exited = attempt;
        slot.status = Some(status);
        slot.ended = Some(time);
        self.scheduler.ended(index, outcome, time);
    }

    /// Notes that a process was closed.
    pub(super) fn closed(&mut self) {
        self.open -= 1;
        self.closed += 1;
        self.scheduler.relieved();
    }

    /// Cancels the run for the host; the second time, its clean-up too.
    pub(super) fn cancel(&mut self) {
        let again = std::mem::replace(&mut self.is_cancelled, true);
        self.scheduler.halt(if again { Halt::CancelledAgain } else { Halt::Cancelled });
    }

    /// Tells the subscriptions what the scheduler decided. True if an attempt will be repeated, for which a worker has
    /// to be there in time.
    pub(super) fn tell(&mut self, now: u64) -> bool {
        let changes = self.scheduler.take_changes();
        if changes.is_empty() {
            return false;
        }
        self.last_end = self.last_end.max(now);
        let is_repeating = changes.iter().any(|change| matches!(change, Change::Retrying(_)));
        if self.feeds.is_empty() {
            return is_repeating;
        }
        let time = Stamp::now();
        for change in changes {
            let index = change.index();
            let slot = &self.slots[index];
            let status = slot.status;
            let record = match change {
                Change::Retrying(_) => RunRecord::SpecRetrying { status, took_ns: slot.attempt_took() },
                Change::Ended(_, state) => RunRecord::SpecEnded { state, status, took_ns: slot.took() },
            };
            let spec = Some((index, self.scheduler.attempts(index)));
            let error = self.scheduler.error(index).map_or("", |error| error);
            self.feeds.tell(record, spec, error, time);
        }
        is_repeating
    }

    // Questions.

    pub(super) fn progress(&self, specs: &[Spec]) -> Progress {
        let Counts { waiting, running, resting, passed, failed, skipped, cancelled, timed_out } =
            self.scheduler.counts();
        let now = self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let process = slot.process.as_ref().filter(|_| self.scheduler.is_running(index))?;
            Some(RunningSpec {
                index,
                name: specs[index].name.clone(),
                attempt: self.scheduler.attempts(index),
                process_id: process.id(),
                started: slot.started,
            })
        });
        Progress {
            waiting,
            running,
            retrying: resting,
            passed,
            failed,
            skipped,
            cancelled,
            timed_out,
            now: now.collect(),
            ended: self.outcome().is_some(),
        }
    }

    /// Returns the time that is left if each spec takes as long as estimated, `limit` at a time: that of the longest
    /// path or, if that is more, of all the work divided among the places.
    pub(super) fn time_left(&self, estimates: &[u64], limit: usize, now: u64) -> Duration {
        let (mut path, mut work) = (0u64, 0u64);
        for (index, (estimate, slot)) in estimates.iter().zip(&self.slots).enumerate() {
            if self.scheduler.state(index).is_some() {
                continue;
            }
            let is_running = self.scheduler.is_running(index) && slot.process.is_some();
            let ran = if is_running { now.saturating_sub(slot.started.monotonic_ns).min(*estimate) } else { 0 };
            path = path.max(self.scheduler.weight(index).saturating_sub(ran));
            work = work.saturating_add(estimate - ran);
        }
        Duration::from_nanos(path.max(work / limit as u64))
    }
}
