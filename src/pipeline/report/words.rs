//! The words that all formats of the report share: names of states, outcomes and signals.

use std::time::Duration;

use crate::pipeline::{RunReport, SpecResult, SpecState};
use crate::sys::pidfd::ExitStatus;
use crate::sys::signal;

impl RunReport {
    /// Returns the name of the pipeline, for formats that need one.
    pub(super) fn title(&self) -> &str {
        if self.name.is_empty() { "pipeline" } else { &self.name }
    }

    /// Returns the time from the start of the run to the start of the spec; None if it did not start.
    pub(super) fn offset(&self, spec: &SpecResult) -> Option<Duration> {
        let start = spec.started?.monotonic_ns.saturating_sub(self.started.monotonic_ns);
        Some(Duration::from_nanos(start))
    }
}

/// Returns the name of a state in reports.
pub(super) fn state_name(state: SpecState) -> &'static str {
    match state {
        SpecState::Passed => "passed",
        SpecState::Failed => "failed",
        SpecState::Skipped => "skipped",
        SpecState::Cancelled => "cancelled",
        SpecState::TimedOut => "timed_out",
    }
}

/// Returns how a spec ended, in a few words: `exit code 3`, `SIGKILL`, `timed out`.
pub(super) fn outcome(spec: &SpecResult) -> String {
    match (spec.state, spec.status) {
        (SpecState::Failed, Some(ExitStatus::Code(code))) => format!("exit code {code}"),
        (SpecState::Failed, Some(ExitStatus::Signal { signal, .. })) => signal_name(signal),
        (SpecState::Failed, Some(ExitStatus::Unknown)) => "unknown status".to_owned(),
        (SpecState::Failed, None) => "not started".to_owned(),
        (state, _) => state_name(state).replace('_', " "),
    }
}

/// Returns `SIGKILL`; `signal 40` if the signal has no name.
pub(super) fn signal_name(number: i32) -> String {
    signal::name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}
