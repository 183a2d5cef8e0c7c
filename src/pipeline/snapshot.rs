//! [`Progress`]: the state of a run at one moment.

use crate::sys::clock::Stamp;

/// The state of a run at one moment: how many specs are in which state, and which of them run.
///
/// ```
/// use coreproc::{Command, Pipeline, Progress, RunOptions, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("greet", Command::new("true")));
/// let run = pipeline.start(&service, RunOptions::default())?;
/// run.wait(None)?;
/// let progress: Progress = run.progress()?;
/// assert_eq!((progress.done(), progress.total()), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Specs that have not started: a dependency has not ended, or no place was free.
    pub waiting: usize,
    /// Specs that have a process, or are about to get one.
    pub running: usize,
    /// Specs that have failed and wait for their next attempt.
    pub retrying: usize,
    /// Specs that have passed.
    pub passed: usize,
    /// Specs that have failed.
    pub failed: usize,
    /// Specs that were skipped.
    pub skipped: usize,
    /// Specs that were cancelled.
    pub cancelled: usize,
    /// Specs that have timed out.
    pub timed_out: usize,
    /// The specs that run, in the order of the pipeline.
    pub now: Vec<RunningSpec>,
    /// Whether the run has ended, and its report is ready.
    pub ended: bool,
}

/// A spec that runs.
///
/// ```
/// use std::time::Duration;
///
/// use coreproc::{Run, RunningSpec};
///
/// fn print_running(run: &Run) -> coreproc::Result<()> {
///     for spec in run.progress()?.now {
///         let RunningSpec { name, attempt, process_id, .. } = spec;
///         println!("{name}: attempt {attempt}, process {process_id}");
///     }
///     Ok(())
/// }
/// # use coreproc::{Command, Pipeline, RunOptions, Service, ServiceOptions, Spec};
/// # fn main() -> coreproc::Result<()> {
/// # let service = Service::new(ServiceOptions::default())?;
/// # let mut pipeline = Pipeline::new();
/// # pipeline.add(Spec::new("greet", Command::new("true")));
/// # let run = pipeline.start(&service, RunOptions::default())?;
/// # print_running(&run)?;
/// # run.wait(Some(Duration::from_secs(60)))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningSpec {
    /// Its index in the pipeline.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The number of its attempt, from 1.
    pub attempt: u32,
    /// The id of its process in the service.
    pub process_id: u64,
    /// When this attempt was started.
    pub started: Stamp,
}

impl Progress {
    /// Returns how many specs there are.
    pub fn total(&self) -> usize {
        self.waiting + self.running + self.retrying + self.done()
    }

    /// Returns how many specs have ended, in whatever state.
    pub fn done(&self) -> usize {
        self.passed + self.failed + self.skipped + self.cancelled + self.timed_out
    }
}
