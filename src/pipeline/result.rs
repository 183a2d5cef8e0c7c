//! [`RunReport`]: the result of a run, spec by spec.

use std::time::Duration;

use crate::event::SpecState;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

/// The result of a spec.
///
/// ```
/// use coreproc::{Command, ExitStatus, Pipeline, Service, ServiceOptions, Spec, SpecResult, SpecState};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// let mut shell = Command::new("sh");
/// shell.args(["-c", "echo no; exit 3"]);
/// pipeline.add(Spec::new("check", shell));
/// let report = pipeline.run_all(&service)?;
/// let check: &SpecResult = &report.specs[0];
/// assert_eq!((check.state, check.status), (SpecState::Failed, Some(ExitStatus::Code(3))));
/// assert_eq!(check.output, b"no\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SpecResult {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub state: SpecState,
    /// The exit status of its last attempt; None if no process was started.
    pub status: Option<ExitStatus>,
    /// How many attempts there were, failed starts included.
    pub attempts: u32,
    /// When its first attempt was started; None if there was none.
    pub started: Option<Stamp>,
    /// The time from the start of its first attempt to the end of its last.
    pub duration: Duration,
    /// The bytes in the capture of its last attempt: both streams in order of arrival.
    pub output: Vec<u8>,
    /// How many bytes of its output the capture does not hold.
    pub dropped_bytes: u64,
    /// Why it did not pass; None if it did.
    pub error: Option<String>,
    /// Whether it may fail.
    pub allow_failure: bool,
    /// Its dependencies, by their index in the report.
    pub after: Vec<usize>,
}

/// The result of a run.
///
/// ```
/// use coreproc::{Command, Pipeline, RunReport, Service, ServiceOptions, Spec, SpecState};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("build", Command::new("true")));
/// let mut test = Spec::new("test", Command::new("false"));
/// test.after("build");
/// pipeline.add(test);
/// let report: &RunReport = &*pipeline.run_all(&service)?;
/// assert!(!report.success());
/// assert_eq!(report.count(SpecState::Passed), 1);
/// assert_eq!(report.critical_path(), [0, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The pipeline's name; empty if it has none.
    pub name: String,
    /// The results of its specs, in the order of the pipeline.
    pub specs: Vec<SpecResult>,
    /// When the run was started.
    pub started: Stamp,
    /// The time from its start to the end of the last spec.
    pub duration: Duration,
    /// How many specs could run at a time; 0 means no limit.
    pub limit: usize,
}

impl SpecResult {
    /// Returns whether it failed or timed out, and that was allowed.
    pub(super) fn is_allowed_failure(&self) -> bool {
        self.allow_failure && matches!(self.state, SpecState::Failed | SpecState::TimedOut)
    }
}

impl RunReport {
    /// Returns how many specs ended in this state.
    pub fn count(&self, state: SpecState) -> usize {
        self.specs.iter().filter(|spec| spec.state == state).count()
    }

    /// Returns whether every spec passed, except for failures that were allowed. A skipped or cancelled spec is no
    /// success.
    pub fn success(&self) -> bool {
        self.specs.iter().all(|spec| match spec.state {
            SpecState::Passed => true,
            SpecState::Failed | SpecState::TimedOut => spec.allow_failure,
            SpecState::Skipped | SpecState::Cancelled => false,
        })
    }
}
