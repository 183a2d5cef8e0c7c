//! [`ReportFormat`]: how a [`RunReport`] is written. JSON, JUnit XML, a Chrome trace, a Gantt chart.
//!
//! `json`, `junit`, `trace` and `gantt` are the formats. `words` has the words that they share, `critical_path` and
//! `lanes` work out what they show, `xml` escapes text.

mod critical_path;
mod gantt;
mod json;
mod junit;
mod lanes;
mod trace;
mod words;
mod xml;

use super::result::RunReport;

/// How a report is written.
///
/// ```
/// use coreproc::{Command, Pipeline, ReportFormat, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.named("nightly").add(Spec::new("build", Command::new("true")));
/// let report = pipeline.run_all(&service)?;
/// assert!(report.render(ReportFormat::Junit).starts_with("<?xml"));
/// # Ok(())
/// # }
/// ```
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
    /// Writes the report as text in this format. See `docs/reports.md`.
    pub fn render(&self, format: ReportFormat) -> String {
        match format {
            ReportFormat::Json => json::render(self),
            ReportFormat::Junit => junit::render(self),
            ReportFormat::ChromeTrace => trace::render(self),
            ReportFormat::Svg => gantt::render(self),
        }
    }
}
