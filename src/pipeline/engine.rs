//! What makes a run go: worker threads that ask the scheduler what to do, and the life of its processes, told
//! by the threads that see it.
//!
//! Starting a process takes the thread that does it until exec, so a few workers start them side by side; they
//! wait in the service's seat, so that an exit is handled, and what comes after it started, without a hand-off.
//!
//! Locks: a process's, then the run's, then a subscription's. So nothing here calls a process under the run's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::graph::{Edges, Graph};
use super::result::{RunReport, SpecResult};
use super::run::{Progress, RunOptions, RunningSpec, processors};
use super::scheduler::{Change, Counts, Halt, Outcome, Plan, Relief, RunMode, Scheduler};
use super::spec::{Pipeline, Spec};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Cause, Ending, Queue, RunPart, RunRecord, SpecState};
use crate::process::member::{Member, Observer};
use crate::process::{Process, Service, ServiceObserver, Supervisor};
use crate::runtime::{self, Deadline, Gate, Handler, lock, panic_message};
use crate::sys::clock::{Stamp, exact, monotonic_ns};
use crate::sys::pidfd::ExitStatus;
use crate::sys::{signal, thread};

/// A worker sleeps while its child gets to its exec: with one for each processor those would idle meanwhile.
const WORKERS_A_PROCESSOR: usize = 2;
/// More would only wait for the kernel.
const MOST_WORKERS: usize = 16;

pub(super) struct Engine {
    id: u64,
    /// Of the pipeline.
    name: String,
    specs: Vec<Spec>,
    started: Stamp,
    limit: usize,
    /// How long each spec will take; None when nothing is known of any.
    estimates: Option<Vec<u64>>,
    /// Those that its options named.
    named: Vec<Weak<Queue>>,
    supervisor: Arc<Supervisor>,
    state: Mutex<State>,
    /// On the state: workers.
    work: Gate,
    /// On the state: those who wait for the end.
    end: Gate,
    #[cfg(feature = "fault-injection")]
    panic_next: std::sync::atomic::AtomicBool,
}

struct State {
    scheduler: Scheduler,
    /// Of each spec, until the report is made of them.
    slots: Vec<Slot>,
    /// What each spec comes after.
    after: Edges,
    /// Attempts under way: their processes are not closed, or being started.
    open: usize,
    /// Processes that were closed.
    closed: u64,
    deadline: Option<u64>,
    cancelled: bool,
    /// When a spec ended last.
    last_end: u64,
    feeds: Vec<Arc<Queue>>,
    /// A worker makes the report.
    finishing: bool,
    outcome: Option<Result<Arc<RunReport>>>,
}

/// What a run knows of a spec besides the scheduler.
#[derive(Default)]
struct Slot {
    /// Of the last attempt.
    process: Option<Process>,
    status: Option<ExitStatus>,
    /// The start of the first attempt.
    first: Option<Stamp>,
    /// The start of the last attempt.
    started: Stamp,
    /// The end of the last attempt.
    ended: Option<u64>,
    /// The last attempt whose process is known to have ended.
    exited: u32,
    /// Stops that came while its process was being started.
    stops: u32,
}

impl Slot {
    /// From the start of the first attempt to the end of the last.
    fn took(&self) -> u64 {
        self.first.zip(self.ended).map_or(0, |(first, ended)| ended.saturating_sub(first.monotonic_ns))
    }

    /// How long the last attempt took.
    fn attempt_took(&self) -> u64 {
        self.ended.map_or(0, |ended| ended.saturating_sub(self.started.monotonic_ns))
    }
}

/// What a worker does next.
enum Job {
    Start {
        index: usize,
        attempt: u32,
        /// Of the state, when it was decided.
        closed: u64,
    },
    Stop(Vec<Process>),
    Finish,
    /// There is an earlier deadline to wait for.
    Again,
    Leave,
}

impl Engine {
    pub(super) fn start(
        pipeline: &Pipeline,
        graph: Graph,
        plan: Plan,
        service: &Service,
        options: &RunOptions,
    ) -> Result<Arc<Engine>> {
        let supervisor = Arc::clone(service.supervisor());
        let named: Vec<Arc<Queue>> = options.subscriptions.iter().map(|named| Arc::clone(named.queue())).collect();
        if !named.iter().all(|core| core.belongs_to(&*supervisor)) {
            return Err(Error::invalid("start run", "subscription: belongs to another service"));
        }
        let mut specs = pipeline.specs.clone();
        for spec in &mut specs {
            named.iter().for_each(|queue| spec.command.subscribe_queue(queue));
        }
        let durations: Vec<Option<u64>> =
            specs.iter().map(|spec| options.durations.get(&spec.name).copied().map(nanoseconds)).collect();
        let after = if plan.mode == RunMode::Parallel { Edges::none(specs.len()) } else { graph.after.clone() };
        let estimates = estimates(&durations);
        let scheduler = Scheduler::new(&specs, graph, &plan, &durations);
        let workers = (WORKERS_A_PROCESSOR * processors()).min(plan.limit).min(specs.len()).clamp(1, MOST_WORKERS);
        let engine = supervisor.admit_run(&named, |id, feeds, started| {
            Arc::new(Engine {
                id,
                name: pipeline.name.clone(),
                started,
                limit: plan.limit,
                estimates,
                named: named.iter().map(Arc::downgrade).collect(),
                supervisor: Arc::clone(&supervisor),
                state: Mutex::new(State {
                    scheduler,
                    slots: specs.iter().map(|_| Slot::default()).collect(),
                    after,
                    open: 0,
                    closed: 0,
                    deadline: options
                        .deadline
                        .map(|deadline| started.monotonic_ns.saturating_add(nanoseconds(deadline))),
                    cancelled: false,
                    last_end: started.monotonic_ns,
                    feeds,
                    finishing: false,
                    outcome: None,
                }),
                specs,
                work: Gate::default(),
                end: Gate::default(),
                #[cfg(feature = "fault-injection")]
                panic_next: Default::default(),
            })
        })?;
        engine.start_workers(workers, service)?;
        Ok(engine)
    }

    /// One worker is enough for a run to go on.
    fn start_workers(self: &Arc<Self>, count: usize, service: &Service) -> Result<()> {
        for started in 0..count {
            let (engine, service) = (Arc::clone(self), service.clone());
            let worker = thread::start("coreproc-run", move || engine.run(&service));
            match worker {
                Err(error) if started == 0 => {
                    self.fail(error.clone());
                    return Err(error);
                }
                Err(_) => break,
                Ok(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn started_at(&self) -> Stamp {
        self.started
    }

    pub(super) fn specs(&self) -> &[Spec] {
        &self.specs
    }

    // The workers.

    fn run(self: &Arc<Self>, service: &Service) {
        let life = catch_unwind(AssertUnwindSafe(|| self.work(service)));
        let error = match life {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(payload) => Error::new(ErrorKind::Panic, "run", panic_message(payload.as_ref())),
        };
        let left = self.fail(error);
        // Nobody would look after them any more. What this cannot stop, nothing can.
        let _ = catch_unwind(AssertUnwindSafe(|| left.iter().for_each(Process::cancel)));
    }

    fn work(self: &Arc<Self>, service: &Service) -> Result<()> {
        loop {
            let until = lock(&self.state).due();
            let place = (&self.state, &self.work);
            let job = runtime::wait(&*self.supervisor, "run", place, Deadline::at(until), |state| {
                self.next_job(state, until)
            })?;
            match job {
                Some(Job::Start { index, attempt, closed }) => self.start_attempt(service, index, attempt, closed)?,
                Some(Job::Stop(processes)) => processes.iter().for_each(Process::cancel),
                Some(Job::Finish) => {
                    self.finish();
                    return Ok(());
                }
                Some(Job::Leave) => return Ok(()),
                Some(Job::Again) | None => {}
            }
        }
    }

    fn next_job(&self, state: &mut State, until: Option<u64>) -> Option<Job> {
        #[cfg(feature = "fault-injection")]
        if self.panic_next.swap(false, std::sync::atomic::Ordering::SeqCst) {
            panic!("injected into the run");
        }
        if state.outcome.is_some() || state.finishing {
            return Some(Job::Leave);
        }
        let now = monotonic_ns();
        if state.deadline.is_some_and(|at| at <= now) {
            state.deadline = None;
            state.scheduler.halt(Halt::Deadline);
            self.tell(state, now);
        }
        let processes = state.take_to_stop();
        if !processes.is_empty() {
            return Some(Job::Stop(processes));
        }
        if let Some(index) = state.scheduler.next(now) {
            let slot = &mut state.slots[index];
            // The output of an attempt that is repeated is not kept.
            *slot = Slot { first: slot.first, exited: slot.exited, ..Slot::default() };
            state.open += 1;
            if state.scheduler.can_start() {
                self.work.notify_one(self.supervisor.reactor());
            }
            return Some(Job::Start { index, attempt: state.scheduler.attempts(index), closed: state.closed });
        }
        if state.is_over() {
            state.finishing = true;
            return Some(Job::Finish);
        }
        let earlier = state.due().is_some_and(|due| until.is_none_or(|until| due < until));
        earlier.then_some(Job::Again)
    }

    /// Fails when the service is broken; a start that fails is the spec's own failure.
    fn start_attempt(self: &Arc<Self>, service: &Service, index: usize, attempt: u32, closed: u64) -> Result<()> {
        let part = RunPart { run_id: self.id, spec: Some(index), attempt };
        let member = Member { observer: Arc::clone(self) as Arc<dyn Observer>, part };
        let before = Stamp::now();
        let spawned = self.specs[index]
            .command
            .spawn_for(service, member, |process, time| self.started(index, attempt, process, time));
        match spawned {
            Ok(process) => {
                let stops = lock(&self.state).stops_due(index, attempt);
                (0..stops).for_each(|_| process.cancel());
            }
            Err(error) if error.kind() == ErrorKind::Panic => return Err(error),
            Err(error) => self.start_failed((index, attempt), before, closed, error),
        }
        Ok(())
    }

    /// An attempt's process runs, and is not watched yet.
    fn started(&self, index: usize, attempt: u32, process: &Process, time: Stamp) {
        let mut state = lock(&self.state);
        if state.outcome.is_none() {
            state.slots[index].process = Some(process.clone());
            self.began(&mut state, index, attempt, time);
        }
    }

    fn start_failed(&self, (index, attempt): (usize, u32), before: Stamp, closed: u64, error: Error) {
        let mut state = lock(&self.state);
        if state.slots.get(index).is_none_or(|slot| slot.exited >= attempt) {
            // It ended before it could be watched: all is known. Or the run has failed.
            return;
        }
        state.open -= 1;
        let is_short = matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM));
        let relief = match state.open {
            _ if state.closed != closed => Relief::Came,
            0 => Relief::Never,
            _ => Relief::WillCome,
        };
        let now = monotonic_ns();
        if error.kind() == ErrorKind::Closed {
            state.scheduler.ended(index, Outcome::Refused, now);
        } else if !(is_short && state.scheduler.postpone(index, relief)) {
            if state.slots[index].process.is_none() {
                self.began(&mut state, index, attempt, before);
            }
            state.slots[index].process = None;
            state.slots[index].ended = Some(now);
            let outcome = Outcome::Failed(error.to_string());
            state.scheduler.ended(index, outcome, now);
        }
        self.tell(&mut state, now);
        self.go_on(&mut state);
    }

    /// Makes the report of a run that is over.
    fn finish(&self) {
        let (slots, after, last_end) = {
            let mut state = lock(&self.state);
            (std::mem::take(&mut state.slots), std::mem::replace(&mut state.after, Edges::none(0)), state.last_end)
        };
        let mut specs = Vec::with_capacity(slots.len());
        for (index, slot) in slots.into_iter().enumerate() {
            let took = Duration::from_nanos(slot.took());
            let (output, dropped_bytes) = slot.process.as_ref().map_or((Vec::new(), 0), output_of);
            let state = lock(&self.state);
            let scheduler = &state.scheduler;
            specs.push(SpecResult {
                name: self.specs[index].name.clone(),
                state: scheduler.state(index).unwrap_or(SpecState::Skipped),
                status: slot.status,
                attempts: scheduler.attempts(index),
                started: slot.first,
                duration: took,
                output,
                dropped_bytes,
                error: scheduler.error(index).map(|error| (**error).to_owned()),
                allow_failure: self.specs[index].allow_failure,
                after: after.of(index).to_vec(),
            });
        }
        let report = RunReport {
            name: self.name.clone(),
            specs,
            started: self.started,
            duration: Duration::from_nanos(last_end.saturating_sub(self.started.monotonic_ns)),
            limit: if self.limit == usize::MAX { 0 } else { self.limit },
        };
        let success = report.success();
        let mut state = lock(&self.state);
        self.push(&state, RunRecord::Ended { success }, None, "", Stamp::now());
        self.settle(&mut state, Ok(Arc::new(report)));
    }

    /// Ends a run that cannot go on; returns the processes that it leaves behind.
    fn fail(&self, error: Error) -> Vec<Process> {
        let mut state = lock(&self.state);
        self.push(&state, RunRecord::Ended { success: false }, None, &error.to_string(), Stamp::now());
        self.settle(&mut state, Err(error));
        std::mem::take(&mut state.slots).into_iter().filter_map(|slot| slot.process).collect()
    }

    fn settle(&self, state: &mut State, outcome: Result<Arc<RunReport>>) {
        state.outcome.get_or_insert(outcome);
        state.feeds.clear();
        self.work.notify_all(self.supervisor.reactor());
        self.end.notify_all(self.supervisor.reactor());
    }

    // What is told.

    /// Notes what the scheduler decided, and tells the subscriptions.
    fn tell(&self, state: &mut State, now: u64) {
        let changes = state.scheduler.take_changes();
        if changes.is_empty() {
            return;
        }
        state.last_end = state.last_end.max(now);
        if changes.iter().any(|change| matches!(change, Change::Retrying(_))) {
            // Somebody has to be there when it is due.
            self.work.notify_all(self.supervisor.reactor());
        }
        if state.feeds.is_empty() {
            return;
        }
        let time = Stamp::now();
        for change in changes {
            let (index, ended) = match change {
                Change::Retrying(index) => (index, None),
                Change::Ended(index, state) => (index, Some(state)),
            };
            let slot = &state.slots[index];
            let status = slot.status;
            let record = match ended {
                None => RunRecord::SpecRetrying { status, took_ns: slot.attempt_took() },
                Some(state) => RunRecord::SpecEnded { state, status, took_ns: slot.took() },
            };
            let spec = Some((index, state.scheduler.attempts(index)));
            let error = state.scheduler.error(index).map_or("", |error| error);
            self.push(state, record, spec, error, time);
        }
    }

    fn began(&self, state: &mut State, index: usize, attempt: u32, time: Stamp) {
        let slot = &mut state.slots[index];
        slot.first.get_or_insert(time);
        slot.started = time;
        // The clock of a run's events does not go back.
        self.push(state, RunRecord::SpecStarted, Some((index, attempt)), &self.specs[index].name, Stamp::now());
    }

    fn push(&self, state: &State, record: RunRecord, spec: Option<(usize, u32)>, text: &str, time: Stamp) {
        for feed in &state.feeds {
            feed.push_run(self.id, record, spec, text, time);
        }
    }

    /// Wakes a worker if there is something to do.
    fn go_on(&self, state: &mut State) {
        if state.scheduler.can_start() || state.scheduler.has_to_stop() || state.is_over() {
            self.work.notify_one(self.supervisor.reactor());
        }
    }

    // What callers ask.

    pub(super) fn wait(&self, deadline: Deadline) -> Result<Arc<RunReport>> {
        const OPERATION: &str = "wait";
        let place = (&self.state, &self.end);
        let ended = runtime::wait_asleep(&*self.supervisor, OPERATION, place, deadline, |state| state.outcome.clone())?;
        ended.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::TimedOut, OPERATION, "it has not ended in time").on(format!("run {}", self.id)))
        })
    }

    pub(super) fn cancel(&self) {
        let processes = {
            let mut state = lock(&self.state);
            if state.finishing || state.outcome.is_some() {
                return;
            }
            let again = std::mem::replace(&mut state.cancelled, true);
            state.scheduler.halt(if again { Halt::CancelledAgain } else { Halt::Cancelled });
            self.tell(&mut state, monotonic_ns());
            let processes = state.take_to_stop();
            self.go_on(&mut state);
            processes
        };
        processes.iter().for_each(Process::cancel);
    }

    pub(super) fn is_halted(&self) -> bool {
        lock(&self.state).scheduler.is_halted()
    }

    pub(super) fn progress(&self) -> Progress {
        let state = lock(&self.state);
        let Counts { waiting, running, resting, passed, failed, skipped, cancelled, timed_out } =
            state.scheduler.counts();
        let now = state.slots.iter().enumerate().filter_map(|(index, slot)| {
            let process = slot.process.as_ref().filter(|_| state.scheduler.is_running(index))?;
            Some(RunningSpec {
                index,
                name: self.specs[index].name.clone(),
                attempt: state.scheduler.attempts(index),
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
            ended: state.outcome.is_some(),
        }
    }

    /// See [`Run::time_left`](super::run::Run::time_left).
    pub(super) fn time_left(&self) -> Option<Duration> {
        let estimates = self.estimates.as_ref()?;
        let state = lock(&self.state);
        let now = monotonic_ns();
        let (mut path, mut work) = (0u64, 0u64);
        for (index, (estimate, slot)) in estimates.iter().zip(&state.slots).enumerate() {
            if state.scheduler.state(index).is_some() {
                continue;
            }
            let is_running = state.scheduler.is_running(index) && slot.process.is_some();
            let ran = if is_running { now.saturating_sub(slot.started.monotonic_ns).min(*estimate) } else { 0 };
            path = path.max(state.scheduler.weight(index).saturating_sub(ran));
            work = work.saturating_add(estimate - ran);
        }
        Some(Duration::from_nanos(path.max(work / self.limit as u64)))
    }

    pub(super) fn has_subscription(&self, core: &Arc<Queue>) -> bool {
        self.named.iter().any(|named| named.as_ptr() == Arc::as_ptr(core))
    }

    #[cfg(feature = "fault-injection")]
    pub(super) fn panic_at_next_job(&self) {
        self.panic_next.store(true, std::sync::atomic::Ordering::SeqCst);
        let _state = lock(&self.state);
        self.work.notify_all(self.supervisor.reactor());
    }
}

impl State {
    /// When something happens by itself.
    fn due(&self) -> Option<u64> {
        self.deadline.into_iter().chain(self.scheduler.due()).min()
    }

    fn is_over(&self) -> bool {
        self.scheduler.is_over() && self.open == 0
    }

    /// How often a process is to be stopped that was being started meanwhile.
    fn stops_due(&mut self, index: usize, attempt: u32) -> u32 {
        let is_current = self.scheduler.attempts(index) == attempt;
        match self.slots.get_mut(index).filter(|_| is_current) {
            Some(slot) => std::mem::take(&mut slot.stops),
            // An earlier attempt has ended. A run that failed looks after nothing any more.
            None => u32::from(self.slots.is_empty()),
        }
    }

    /// The processes to be stopped, each once more than before; where one is just being started, whoever does
    /// that will.
    fn take_to_stop(&mut self) -> Vec<Process> {
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
}

impl Observer for Engine {
    fn exited(&self, part: RunPart, ending: Ending, time: Stamp) {
        let Some(index) = part.spec else { return };
        let by_another = matches!(ending.cause, Cause::Stopped | Cause::Killed);
        let closing = by_another && self.supervisor.is_closing();
        let outcome = match ending.cause {
            Cause::Cancelled => Outcome::Stopped,
            _ if closing => Outcome::Stopped,
            Cause::Timeout => {
                let limit = self.specs[index].command.time_limit().unwrap_or_default();
                Outcome::TimedOut(format!("timed out after {}", exact(limit)))
            }
            Cause::Natural if ending.status == ExitStatus::Code(0) => Outcome::Passed,
            Cause::Natural => Outcome::Failed(describe(ending.status)),
            Cause::Stopped => Outcome::Failed(format!("stopped by another: {}", describe(ending.status))),
            Cause::Killed => Outcome::Failed(format!("killed by another: {}", describe(ending.status))),
        };
        let mut state = lock(&self.state);
        if state.outcome.is_some() {
            return;
        }
        let slot = &mut state.slots[index];
        slot.exited = part.attempt;
        slot.status = Some(ending.status);
        slot.ended = Some(time.monotonic_ns);
        if closing {
            state.scheduler.halt(Halt::ServiceClosed);
        }
        state.scheduler.ended(index, outcome, time.monotonic_ns);
        self.tell(&mut state, time.monotonic_ns);
        self.go_on(&mut state);
    }

    fn closed(&self) {
        let mut state = lock(&self.state);
        state.open -= 1;
        state.closed += 1;
        state.scheduler.relieved();
        self.go_on(&mut state);
    }
}

impl ServiceObserver for Engine {
    fn service_closed(&self) {
        let mut state = lock(&self.state);
        if state.finishing || state.outcome.is_some() {
            return;
        }
        state.scheduler.halt(Halt::ServiceClosed);
        self.tell(&mut state, monotonic_ns());
        self.go_on(&mut state);
    }

    fn wake_all(&self) {
        let _state = lock(&self.state);
        self.work.notify_all(self.supervisor.reactor());
        self.end.notify_all(self.supervisor.reactor());
    }
}

/// What a capture holds, and what it does not. A copy that finds no memory is lost as a whole.
fn output_of(process: &Process) -> (Vec<u8>, u64) {
    let child = process.child();
    let info = child.info();
    match child.captured() {
        Ok(output) => (output, info.dropped_bytes),
        Err(_) => (Vec::new(), info.stdout_bytes + info.stderr_bytes),
    }
}

/// Durations, the mean where one is not known; None when none is.
fn estimates(durations: &[Option<u64>]) -> Option<Vec<u64>> {
    let known: Vec<u64> = durations.iter().copied().flatten().collect();
    let sum: u128 = known.iter().map(|duration| u128::from(*duration)).sum();
    let mean = u64::try_from(sum.checked_div(known.len() as u128)?).unwrap_or(u64::MAX);
    Some(durations.iter().map(|duration| duration.unwrap_or(mean)).collect())
}

/// `exit code 3`, `signal 9 (SIGKILL)`.
fn describe(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal { signal: number, .. } => match signal::name(number) {
            Some(name) => format!("signal {number} ({name})"),
            None => format!("signal {number}"),
        },
        ExitStatus::Unknown => "exit status unknown: the host reaped it".to_owned(),
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
