//! [`RunReport`]: what became of a run, spec by spec.

use std::time::Duration;

use crate::event::SpecState;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

/// What became of a spec.
#[derive(Clone, Debug)]
pub struct SpecResult {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub state: SpecState,
    /// How its last attempt ended; None when none was started.
    pub status: Option<ExitStatus>,
    /// How often it was started, failed starts included.
    pub attempts: u32,
    /// When its first attempt was started.
    pub started: Option<Stamp>,
    /// From the start of its first attempt to the end of its last.
    pub duration: Duration,
    /// What the capture of its last attempt holds: both streams in order of arrival.
    pub output: Vec<u8>,
    /// Bytes of its output that the capture does not hold any more.
    pub dropped_bytes: u64,
    /// Why it did not pass; None when it did.
    pub error: Option<String>,
    /// Its failure was allowed.
    pub allow_failure: bool,
    /// The specs that it came after, by their index in the report.
    pub after: Vec<usize>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The pipeline's name; empty if it has none.
    pub name: String,
    /// In the order of the pipeline.
    pub specs: Vec<SpecResult>,
    /// When the run was started.
    pub started: Stamp,
    /// From its start to the end of the last spec.
    pub duration: Duration,
    /// How many ran at a time at the most; 0: without limit.
    pub limit: usize,
}

impl SpecResult {
    /// A failure that counts as one, but was allowed.
    pub(super) fn is_allowed_failure(&self) -> bool {
        self.allow_failure && matches!(self.state, SpecState::Failed | SpecState::TimedOut)
    }
}

impl RunReport {
    /// How many specs ended so.
    pub fn count(&self, state: SpecState) -> usize {
        self.specs.iter().filter(|spec| spec.state == state).count()
    }

    /// Did every spec pass, but for those whose failure is allowed? A skipped or a cancelled spec is no success.
    pub fn success(&self) -> bool {
        self.specs.iter().all(|spec| match spec.state {
            SpecState::Passed => true,
            SpecState::Failed | SpecState::TimedOut => spec.allow_failure,
            SpecState::Skipped | SpecState::Cancelled => false,
        })
    }
}
