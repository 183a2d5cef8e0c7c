//! What a [`RunReport`] looks like outside: JSON, JUnit XML, a Chrome trace, a Gantt chart.

mod critical_path;
mod gantt;
mod json;
mod junit;
mod lanes;
mod trace;
mod xml;

use std::time::Duration;

use super::{RunReport, SpecResult, SpecState};
use crate::sys::pidfd::ExitStatus;
use crate::sys::signal;

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// JSON, `"version": 1`: see `docs/reports.md`.
    Json,
    /// JUnit XML, as CI systems read it.
    Junit,
    /// A Chrome trace, for Perfetto or `about:tracing`.
    ChromeTrace,
    /// A Gantt chart with the critical path, as one self-contained SVG.
    Svg,
}

impl RunReport {
    /// The report as text. See `docs/reports.md`.
    pub fn render(&self, format: ReportFormat) -> String {
        match format {
            ReportFormat::Json => json::render(self),
            ReportFormat::Junit => junit::render(self),
            ReportFormat::ChromeTrace => trace::render(self),
            ReportFormat::Svg => gantt::render(self),
        }
    }

    /// What formats call it that cannot do without a name.
    fn title(&self) -> &str {
        if self.name.is_empty() { "pipeline" } else { &self.name }
    }

    /// From the run's start to the spec's.
    fn offset(&self, spec: &SpecResult) -> Option<Duration> {
        let start = spec.started?.monotonic_ns.saturating_sub(self.started.monotonic_ns);
        Some(Duration::from_nanos(start))
    }
}

impl SpecState {
    /// As reports name it.
    fn name(self) -> &'static str {
        match self {
            SpecState::Passed => "passed",
            SpecState::Failed => "failed",
            SpecState::Skipped => "skipped",
            SpecState::Cancelled => "cancelled",
            SpecState::TimedOut => "timed_out",
        }
    }
}

/// How a spec ended, in a few words: `exit code 3`, `SIGKILL`, `timed out`.
fn outcome(spec: &SpecResult) -> String {
    match (spec.state, spec.status) {
        (SpecState::Failed, Some(ExitStatus::Code(code))) => format!("exit code {code}"),
        (SpecState::Failed, Some(ExitStatus::Signal { signal, .. })) => signal_name(signal),
        (SpecState::Failed, Some(ExitStatus::Unknown)) => "unknown status".to_owned(),
        (SpecState::Failed, None) => "not started".to_owned(),
        (state, _) => state.name().replace('_', " "),
    }
}

fn signal_name(number: i32) -> String {
    signal::name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}
