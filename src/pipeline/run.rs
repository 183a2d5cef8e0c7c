//! [`Run`]: a pipeline under way. [`Pipeline::start`] and the calls that also wait for the end.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::options::{RunMode, RunOptions};
use super::plan::Plan;
use super::result::RunReport;
use super::snapshot::Progress;
use super::spec::Pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Subscription;
use crate::process::Service;
use crate::runtime::{Deadline, is_in_callback};
use crate::sys::clock::Stamp;

impl Pipeline {
    /// Checks the pipeline, and starts it on threads of its own, `coreproc-run`, at most two for each processor, which
    /// end with the run. The pipeline is copied, so it can be changed, and run again.
    ///
    /// # Errors
    ///
    /// Those of [`Pipeline::check`]; then nothing was started. `InvalidArgument` also if the limit is 0, or a
    /// subscription belongs to another service. `Closed` if the service is closed.
    pub fn start(&self, service: &Service, options: RunOptions) -> Result<Run> {
        const OPERATION: &str = "start run";
        service.check_fork(OPERATION)?;
        let plan = Plan::new(OPERATION, self, &options)?;
        let graph = self.graph(OPERATION)?;
        Ok(Run(Engine::start(self, graph, plan, service, &options)?))
    }

    /// Runs the pipeline in [`RunMode::All`], and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`Pipeline::start`] and [`Run::wait`]. The failure of a spec is no error: the report tells it.
    pub fn run_all(&self, service: &Service) -> Result<Arc<RunReport>> {
        self.run(service, RunMode::All)
    }

    /// Runs the pipeline in [`RunMode::Sequential`], and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`Pipeline::run_all`].
    pub fn run_sequential(&self, service: &Service) -> Result<Arc<RunReport>> {
        self.run(service, RunMode::Sequential)
    }

    /// Runs the pipeline in [`RunMode::Parallel`], and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`Pipeline::run_all`].
    pub fn run_parallel(&self, service: &Service) -> Result<Arc<RunReport>> {
        self.run(service, RunMode::Parallel)
    }

    fn run(&self, service: &Service, mode: RunMode) -> Result<Arc<RunReport>> {
        if is_in_callback() {
            // It is refused before the start; else the run would go on, and no caller would wait for it.
            return Err(Error::new(ErrorKind::Deadlock, "run", "would wait inside a callback"));
        }
        self.start(service, RunOptions { mode, ..RunOptions::default() })?.wait(None)
    }
}

/// A pipeline under way, or its result. Cheap to clone; thread-safe.
///
/// Dropping it does not cancel the run, which goes on to its end, and keeps its service open until then.
///
/// ```
/// use coreproc::{Command, Pipeline, RunOptions, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("sleep", { let mut sleep = Command::new("sleep"); sleep.arg("60"); sleep }));
/// let run = pipeline.start(&service, RunOptions::default())?;
/// run.cancel()?;
/// let report = run.wait(None)?;
/// assert!(!report.success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Run(Arc<Engine>);

impl Run {
    /// Fails in a child of fork of the process that started it.
    pub(crate) fn check_fork(&self, operation: &'static str) -> Result<()> {
        self.0.check_fork(operation)
    }

    /// Returns its id in its service, from the same count as the ids of processes. Its events carry it.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// Returns when it was started.
    pub fn started(&self) -> Stamp {
        self.0.started_at()
    }

    /// Returns how many specs it has.
    pub fn spec_count(&self) -> usize {
        self.0.specs().len()
    }

    /// Returns the name of the spec with this index; None if there is none.
    pub fn spec_name(&self, index: usize) -> Option<&str> {
        self.0.specs().get(index).map(|spec| spec.name())
    }

    /// Waits until every spec has ended and every process of the run is closed. None waits without limit, zero only
    /// looks.
    ///
    /// # Errors
    ///
    /// `TimedOut` if it has not ended in time. `Deadlock` inside a callback. `Panic` if the run, or its service, broke.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Arc<RunReport>> {
        self.0.check_fork("wait")?;
        self.0.wait(Deadline::after(timeout))
    }

    /// Cancels the run, without waiting: specs that run are stopped by the stop policy of their command, and specs that
    /// wait are skipped. Specs that always run are neither stopped nor skipped. A second call ends those too, and kills
    /// processes that have not stopped yet. Once the run has ended, there is nothing to do.
    ///
    /// # Errors
    ///
    /// `Forked` in a child of fork.
    pub fn cancel(&self) -> Result<()> {
        self.0.check_fork("cancel")?;
        self.0.cancel();
        Ok(())
    }

    /// Returns where the run is now.
    ///
    /// # Errors
    ///
    /// `Forked` in a child of fork.
    pub fn progress(&self) -> Result<Progress> {
        self.0.check_fork("progress")?;
        Ok(self.0.progress())
    }

    /// Returns how much longer the run will take, by the durations in its options: the longest path or, if that is
    /// more, all the work that is left divided among the places. None if the options have no durations of its specs.
    pub fn time_left(&self) -> Option<Duration> {
        // In a child of fork the lock may never be given back.
        self.0.check_fork("time left").ok()?;
        self.0.time_left()
    }

    pub(super) fn has_subscription(&self, subscription: &Subscription) -> bool {
        self.0.has_subscription(subscription.queue())
    }

    /// Returns whether the run was cancelled: by the host, its deadline, a failure, or the close of its service.
    pub(super) fn is_halted(&self) -> bool {
        self.0.is_halted()
    }

    #[cfg(feature = "fault-injection")]
    pub(crate) fn panic_at_next_job(&self) {
        self.0.panic_at_next_job();
    }
}
