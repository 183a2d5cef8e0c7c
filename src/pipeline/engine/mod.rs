//! [`Engine`]: makes a run go. Worker threads ask the state what to do and do it; threads that see a process start, end
//! or close tell the state.
//!
//! Starting a process occupies a thread until exec, so a few workers start processes side by side. They wait in the
//! service's seat, so that the exit of a process is handled, and the specs that come after it are started, without a
//! hand-off between threads.
//!
//! Locks: a process's, then the run's, then a subscription's. So nothing here calls a process while it holds the run's.
//!
//! `state` is the state of a run, with a `slot` for each spec; `feeds` tells the subscriptions, `outcome` turns the end
//! of a process into an outcome, and `report` makes the report.

mod feeds;
mod outcome;
mod report;
mod slot;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use feeds::Feeds;
use outcome::outcome;
use state::{Attempt, Job, State};

use super::graph::{Edges, Graph};
use super::options::{RunMode, RunOptions};
use super::plan::{Plan, processors};
use super::result::RunReport;
use super::scheduler::{Halt, Scheduler};
use super::snapshot::Progress;
use super::spec::{Pipeline, Spec};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Cause, Ending, Queue, RunPart, RunRecord};
use crate::process::member::{Member, Observer};
use crate::process::{Process, Service, ServiceObserver, Supervisor};
use crate::runtime::{self, Deadline, Gate, Handler, lock, panic_message};
use crate::sys::clock::{Stamp, monotonic_ns};
use crate::sys::thread;
use crate::util::duration::{mean, nanoseconds};

/// A worker sleeps until its child has reached exec; with one worker for each processor, processors would idle
/// meanwhile.
const WORKERS_A_PROCESSOR: usize = 2;
/// More workers would only wait for the kernel.
const MOST_WORKERS: usize = 16;

pub(super) struct Engine {
    id: u64,
    /// The name of the pipeline.
    name: String,
    specs: Vec<Spec>,
    started: Stamp,
    limit: usize,
    /// How long each spec will take; None if nothing is known of any.
    estimates: Option<Vec<u64>>,
    /// The subscriptions that the options named.
    named: Vec<Weak<Queue>>,
    supervisor: Arc<Supervisor>,
    state: Mutex<State>,
    /// The gate at which workers wait for something to do.
    work: Gate,
    /// The gate at which callers wait for the end.
    end: Gate,
    #[cfg(feature = "fault-injection")]
    panic_next: std::sync::atomic::AtomicBool,
}

impl Engine {
    /// Fails in a child of fork.
    pub(super) fn check_fork(&self, operation: &'static str) -> Result<()> {
        self.supervisor.reactor().check_fork(operation)
    }

    /// Starts the run of a pipeline whose graph was checked.
    pub(super) fn start(
        pipeline: &Pipeline,
        graph: Graph,
        plan: Plan,
        service: &Service,
        options: &RunOptions,
    ) -> Result<Arc<Engine>> {
        let supervisor = Arc::clone(service.supervisor());
        let named: Vec<Arc<Queue>> = options.subscriptions.iter().map(|named| Arc::clone(named.queue())).collect();
        if !named.iter().all(|queue| queue.belongs_to(&*supervisor)) {
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
            let deadline = options.deadline.map(|time| started.monotonic_ns.saturating_add(nanoseconds(time)));
            Arc::new(Engine {
                id,
                name: pipeline.name.clone(),
                started,
                limit: plan.limit,
                estimates,
                named: named.iter().map(Arc::downgrade).collect(),
                supervisor: Arc::clone(&supervisor),
                state: Mutex::new(State::new(scheduler, after, started, deadline, Feeds::new(id, feeds))),
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

    /// Starts the workers. One is enough for the run to go on.
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

    // Workers.

    /// Runs a worker until the run has ended.
    fn run(self: &Arc<Self>, service: &Service) {
        let life = catch_unwind(AssertUnwindSafe(|| self.work(service)));
        let error = match life {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(payload) => Error::new(ErrorKind::Panic, "run", panic_message(payload.as_ref())),
        };
        let left = self.fail(error);
        // From now on no thread looks after these processes. If a cancel panics too, they are left alone.
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
                Some(Job::Start(attempt)) => self.start_attempt(service, attempt)?,
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
        if !state.is_going() {
            return Some(Job::Leave);
        }
        let now = monotonic_ns();
        if state.meet_deadline(now) {
            self.tell(state, now);
        }
        let job = state.next_job(now, until);
        if matches!(job, Some(Job::Start(_))) && state.scheduler.can_start() {
            // Another worker starts the next spec meanwhile.
            self.work.notify_one(self.supervisor.reactor());
        }
        job
    }

    /// Starts a process. Fails if the service is broken; a process that cannot be started is the spec's own failure.
    fn start_attempt(self: &Arc<Self>, service: &Service, attempt: Attempt) -> Result<()> {
        let part = RunPart { run_id: self.id, spec: Some(attempt.index), attempt: attempt.number };
        let member = Member { observer: Arc::clone(self) as Arc<dyn Observer>, part };
        let before = Stamp::now();
        let spec = &self.specs[attempt.index];
        let spawned = spec.command.spawn_for(service, member, |process, time| self.started(attempt, process, time));
        match spawned {
            Ok(process) => {
                let stops = lock(&self.state).stops_due(attempt);
                (0..stops).for_each(|_| process.cancel());
            }
            Err(error) if error.kind() == ErrorKind::Panic => return Err(error),
            Err(error) => {
                let mut state = lock(&self.state);
                let now = monotonic_ns();
                if state.start_failed(attempt, &spec.name, (before, now), &error) {
                    self.tell(&mut state, now);
                    self.go_on(&mut state);
                }
            }
        }
        Ok(())
    }

    /// Notes that an attempt's process runs; it is not watched yet.
    fn started(&self, attempt: Attempt, process: &Process, time: Stamp) {
        let mut state = lock(&self.state);
        if state.outcome().is_none() {
            state.started((attempt.index, attempt.number), process, &self.specs[attempt.index].name, time);
        }
    }

    /// Makes the report of a run whose specs have all ended.
    fn finish(&self) {
        let remains = lock(&self.state).take_remains();
        let report = RunReport {
            name: self.name.clone(),
            started: self.started,
            duration: Duration::from_nanos(remains.last_end.saturating_sub(self.started.monotonic_ns)),
            specs: remains.results(&self.specs),
            limit: if self.limit == usize::MAX { 0 } else { self.limit },
        };
        let success = report.success();
        let mut state = lock(&self.state);
        state.feeds.tell(RunRecord::Ended { success }, None, "", Stamp::now());
        self.settle(&mut state, Ok(Arc::new(report)));
    }

    /// Ends a run that cannot go on. Returns the processes that it leaves behind.
    fn fail(&self, error: Error) -> Vec<Process> {
        let mut state = lock(&self.state);
        state.feeds.tell(RunRecord::Ended { success: false }, None, &error.to_string(), Stamp::now());
        self.settle(&mut state, Err(error));
        state.take_processes()
    }

    fn settle(&self, state: &mut State, outcome: Result<Arc<RunReport>>) {
        state.settle(outcome);
        self.notify_all();
    }

    fn notify_all(&self) {
        self.work.notify_all(self.supervisor.reactor());
        self.end.notify_all(self.supervisor.reactor());
    }

    /// Tells the subscriptions what the scheduler decided.
    fn tell(&self, state: &mut State, now: u64) {
        if state.tell(now) {
            // Their waits must end at the repeated attempt at the latest.
            self.work.notify_all(self.supervisor.reactor());
        }
    }

    /// Wakes a worker if there is something to do.
    fn go_on(&self, state: &mut State) {
        if state.has_work() {
            self.work.notify_one(self.supervisor.reactor());
        }
    }

    // Calls of the host.

    pub(super) fn wait(&self, deadline: Deadline) -> Result<Arc<RunReport>> {
        const OPERATION: &str = "wait";
        let place = (&self.state, &self.end);
        let ended =
            runtime::wait_asleep(&*self.supervisor, OPERATION, place, deadline, |state| state.outcome().cloned())?;
        ended.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::TimedOut, OPERATION, "it has not ended in time").on(format!("run {}", self.id)))
        })
    }

    pub(super) fn cancel(&self) {
        let processes = {
            let mut state = lock(&self.state);
            if !state.is_going() {
                return;
            }
            state.cancel();
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
        lock(&self.state).progress(&self.specs)
    }

    /// Returns how much longer the run will take; None without estimates.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let estimates = self.estimates.as_ref()?;
        let state = lock(&self.state);
        Some(state.time_left(estimates, self.limit, monotonic_ns()))
    }

    pub(super) fn has_subscription(&self, queue: &Arc<Queue>) -> bool {
        self.named.iter().any(|named| named.as_ptr() == Arc::as_ptr(queue))
    }

    #[cfg(feature = "fault-injection")]
    pub(super) fn panic_at_next_job(&self) {
        self.panic_next.store(true, std::sync::atomic::Ordering::SeqCst);
        let _state = lock(&self.state);
        self.work.notify_all(self.supervisor.reactor());
    }
}

impl Observer for Engine {
    fn exited(&self, part: RunPart, ending: Ending, time: Stamp) {
        let Some(index) = part.spec else { return };
        let by_another = matches!(ending.cause, Cause::Stopped | Cause::Killed);
        let is_closing = by_another && self.supervisor.is_closing();
        let outcome = outcome(ending, is_closing, &self.specs[index].command);
        let mut state = lock(&self.state);
        if state.outcome().is_some() {
            return;
        }
        if is_closing {
            state.scheduler.halt(Halt::ServiceClosed);
        }
        state.exited((index, part.attempt), ending.status, outcome, time.monotonic_ns);
        self.tell(&mut state, time.monotonic_ns);
        self.go_on(&mut state);
    }

    fn closed(&self) {
        let mut state = lock(&self.state);
        state.closed();
        self.go_on(&mut state);
    }
}

impl ServiceObserver for Engine {
    fn service_closed(&self) {
        let mut state = lock(&self.state);
        if !state.is_going() {
            return;
        }
        state.scheduler.halt(Halt::ServiceClosed);
        self.tell(&mut state, monotonic_ns());
        self.go_on(&mut state);
    }

    fn wake_all(&self) {
        let _state = lock(&self.state);
        self.notify_all();
    }
}

/// Returns the durations, with the mean for those that are not known; None if none is known.
fn estimates(durations: &[Option<u64>]) -> Option<Vec<u64>> {
    let mean = mean(durations)?;
    Some(durations.iter().map(|duration| duration.unwrap_or(mean)).collect())
}
