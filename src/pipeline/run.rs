//! [`Run`]: a pipeline under way, its options, and a look at it.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use super::engine::Engine;
use super::result::RunReport;
use super::scheduler::{Plan, RunMode};
use super::spec::Pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Subscription;
use crate::process::Service;
use crate::runtime::{Deadline, is_in_callback};
use crate::sys::clock::Stamp;
use crate::sys::fork;

/// How many specs run at a time, at the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// What the pipeline says; there, as many as there are processors.
    #[default]
    Default,
    /// So many, at least 1.
    At(usize),
    /// All of them.
    None,
}

/// What a failure that is not allowed does to what does not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// What the pipeline says; there, [`OnFailure::KeepGoing`].
    #[default]
    Default,
    /// Nothing.
    KeepGoing,
    /// Cancels it: what runs is stopped, the rest skipped.
    FailFast,
}

/// How to run a pipeline.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// In which order.
    pub mode: RunMode,
    /// How many at a time; [`RunMode::Sequential`] is one.
    pub limit: Limit,
    /// What a failure does. [`RunMode::Sequential`] stops at the first one.
    pub on_failure: OnFailure,
    /// Cancels the run when it has taken so long.
    pub deadline: Option<Duration>,
    /// How long specs took before, by name: what begins the longest path starts first. A spec that is not in
    /// here counts as the mean of those that are.
    pub durations: HashMap<String, Duration>,
    /// Subscriptions that get its events, and those of its processes; needed for those with a named scope.
    pub subscriptions: Vec<Subscription>,
}

impl Pipeline {
    /// Checks it, and starts it on threads of its own, `coreproc-run`, at most two a processor, which end with
    /// it. The pipeline is copied: it can be changed, and run again.
    ///
    /// # Errors
    /// Those of [`Pipeline::check`], and nothing was started; [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn start(&self, service: &Service, options: RunOptions) -> Result<Run> {
        const OPERATION: &str = "start run";
        fork::check(OPERATION)?;
        let plan = self.plan(&options)?;
        let graph = self.graph(OPERATION)?;
        Ok(Run(Engine::start(self, graph, plan, service, &options)?))
    }

    /// Runs it as [`RunMode::All`] says, and waits for its end.
    ///
    /// # Errors
    /// Those of [`Pipeline::start`] and [`Run::wait`]. A spec that fails is none: the report says so.
    pub fn run_all(&self, service: &Service) -> Result<Arc<RunReport>> {
        self.run(service, RunMode::All)
    }

    /// Runs it as [`RunMode::Sequential`] says, and waits for its end.
    ///
    /// # Errors
    /// As of [`Pipeline::run_all`].
    pub fn run_sequential(&self, service: &Service) -> Result<Arc<RunReport>> {
        self.run(service, RunMode::Sequential)
    }

    /// Runs it as [`RunMode::Parallel`] says, and waits for its end.
    ///
    /// # Errors
    /// As of [`Pipeline::run_all`].
    pub fn run_parallel(&self, service: &Service) -> Result<Arc<RunReport>> {
        self.run(service, RunMode::Parallel)
    }

    fn run(&self, service: &Service, mode: RunMode) -> Result<Arc<RunReport>> {
        if is_in_callback() {
            // The run would go on with nobody to wait for it.
            return Err(Error::new(ErrorKind::Deadlock, "run", "would wait inside a callback"));
        }
        self.start(service, RunOptions { mode, ..RunOptions::default() })?.wait(None)
    }

    fn plan(&self, options: &RunOptions) -> Result<Plan> {
        let limit = match (options.mode, options.limit, self.limit) {
            (RunMode::Sequential, ..) => 1,
            (_, Limit::At(0), _) => return Err(Error::invalid("start run", "limit: is 0")),
            (_, Limit::At(limit), _) => limit,
            (_, Limit::None, _) | (_, Limit::Default, Some(0)) => usize::MAX,
            (_, Limit::Default, Some(limit)) => limit,
            (_, Limit::Default, None) => processors(),
        };
        let fail_fast = match options.on_failure {
            OnFailure::Default => self.fail_fast.unwrap_or(false),
            OnFailure::KeepGoing => false,
            OnFailure::FailFast => true,
        };
        Ok(Plan { mode: options.mode, limit, fail_fast })
    }
}

/// How many this process may use.
pub(super) fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// A pipeline under way, or what became of it. Cheap to clone; thread-safe.
///
/// Dropping it does not cancel the run, which goes on to its end, and keeps its service open until then.
#[derive(Clone)]
pub struct Run(Arc<Engine>);

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Not started: something they come after has not ended, or no place was free.
    pub waiting: usize,
    /// Each has a process, or is just getting one.
    pub running: usize,
    /// Failed, and waiting for their next attempt.
    pub retrying: usize,
    /// Ended so.
    pub passed: usize,
    /// Ended so.
    pub failed: usize,
    /// Ended so.
    pub skipped: usize,
    /// Ended so.
    pub cancelled: usize,
    /// Ended so.
    pub timed_out: usize,
    /// Those that run, in the order of the pipeline.
    pub now: Vec<RunningSpec>,
    /// The report is there.
    pub ended: bool,
}

/// A spec that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningSpec {
    /// Its index in the pipeline.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The number of its process.
    pub process_id: u64,
    /// When this attempt was started.
    pub started: Stamp,
}

impl Progress {
    /// How many specs there are.
    pub fn total(&self) -> usize {
        self.waiting + self.running + self.retrying + self.done()
    }

    /// How many have ended, however.
    pub fn done(&self) -> usize {
        self.passed + self.failed + self.skipped + self.cancelled + self.timed_out
    }
}

impl Run {
    /// Its number in its service, of the same count as those of processes; its events carry it.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// When it was started.
    pub fn started(&self) -> Stamp {
        self.0.started_at()
    }

    /// How many specs it has.
    pub fn spec_count(&self) -> usize {
        self.0.specs().len()
    }

    /// The name of a spec; None beyond the last.
    pub fn spec_name(&self, index: usize) -> Option<&str> {
        self.0.specs().get(index).map(|spec| spec.name())
    }

    /// Waits until every spec has ended and every process of the run is closed. None waits for ever, zero only
    /// looks.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut); [`ErrorKind::Deadlock`](crate::ErrorKind::Deadlock)
    /// inside a callback; [`ErrorKind::Panic`](crate::ErrorKind::Panic) when the run, or its service, broke.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Arc<RunReport>> {
        fork::check("wait")?;
        self.0.wait(Deadline::after(timeout))
    }

    /// Cancels it, without waiting: what runs is stopped as its command says, what waits is skipped. Specs that
    /// always run are neither. A second call ends those too, and kills what has not stopped yet. Nothing to do,
    /// and fine, once the run has ended.
    pub fn cancel(&self) -> Result<()> {
        fork::check("cancel")?;
        self.0.cancel();
        Ok(())
    }

    /// Where it is now.
    pub fn progress(&self) -> Result<Progress> {
        fork::check("progress")?;
        Ok(self.0.progress())
    }

    /// How much longer it will take, by the durations that its options gave; None without any. The longest path
    /// or, if that is more, all that is left divided among the places.
    pub fn time_left(&self) -> Option<Duration> {
        // In a child of fork the lock may be held for ever.
        fork::check("time left").ok()?;
        self.0.time_left()
    }

    pub(super) fn has_subscription(&self, subscription: &Subscription) -> bool {
        self.0.has_subscription(subscription.queue())
    }

    /// Was it cancelled, by whatever?
    pub(super) fn is_halted(&self) -> bool {
        self.0.is_halted()
    }

    #[cfg(feature = "fault-injection")]
    pub(crate) fn panic_at_next_job(&self) {
        self.0.panic_at_next_job();
    }
}
