//! The report as JUnit XML: a test suite whose test cases are the specs.
//!
//! There is no schema that all readers keep to; this is the part that Jenkins, GitLab and GitHub's actions share. A
//! failure that was allowed is a skipped test, so that it does not turn a run red that succeeded.

use std::fmt::Write;
use std::time::Duration;

use super::words::outcome;
use super::xml::{attribute, escaped};
use crate::pipeline::{RunReport, SpecResult, SpecState};
use crate::util::rfc3339;

/// The results that a test case of JUnit can have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failure,
    /// The process could not be started or was stopped, which says nothing about what it tests.
    Error,
    Skipped,
}

fn verdict(spec: &SpecResult) -> Verdict {
    match spec.state {
        SpecState::Passed => Verdict::Passed,
        SpecState::Skipped => Verdict::Skipped,
        _ if spec.is_allowed_failure() => Verdict::Skipped,
        SpecState::Failed if spec.status.is_none() => Verdict::Error,
        SpecState::Cancelled => Verdict::Error,
        SpecState::Failed | SpecState::TimedOut => Verdict::Failure,
    }
}

pub(super) fn render(report: &RunReport) -> String {
    let count = |wanted| report.specs.iter().filter(|spec| verdict(spec) == wanted).count();
    let suite = attribute(report.title());
    let totals = format!(
        "name=\"{suite}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\"",
        report.specs.len(),
        count(Verdict::Failure),
        count(Verdict::Error),
        count(Verdict::Skipped),
        seconds(report.duration),
    );
    // Readers expect the time without zone and fraction.
    let started = rfc3339::format_with_nanoseconds(report.started.realtime_ns);
    let started = started.split('.').next().unwrap_or_default();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites {totals}>\n<testsuite {totals} timestamp=\"{started}\">");
    for spec in &report.specs {
        test_case(&mut xml, &suite, spec);
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

fn test_case(xml: &mut String, suite: &str, spec: &SpecResult) {
    let (name, time) = (attribute(&spec.name), seconds(spec.duration));
    let _ = write!(xml, "<testcase classname=\"{suite}\" name=\"{name}\" time=\"{time}\"");
    let verdict = verdict(spec);
    if verdict == Verdict::Passed && spec.output.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    xml.push_str(">\n");
    let kind = outcome(spec);
    let reason = spec.error.as_deref().unwrap_or(&kind);
    let (kind, message) = (attribute(&kind), attribute(reason));
    match verdict {
        Verdict::Passed => {}
        Verdict::Skipped if spec.is_allowed_failure() => {
            let _ = writeln!(xml, "<skipped message=\"allowed to fail: {message}\"/>");
        }
        Verdict::Skipped => {
            let _ = writeln!(xml, "<skipped message=\"{message}\"/>");
        }
        Verdict::Failure | Verdict::Error => {
            let tag = if verdict == Verdict::Failure { "failure" } else { "error" };
            let _ = writeln!(xml, "<{tag} type=\"{kind}\" message=\"{message}\">{}</{tag}>", escaped(reason));
        }
    }
    if !spec.output.is_empty() {
        let dropped = match spec.dropped_bytes {
            0 => String::new(),
            bytes => format!("[{bytes} bytes before this were not kept]\n"),
        };
        let output = escaped(&String::from_utf8_lossy(&spec.output));
        let _ = writeln!(xml, "<system-out>{dropped}{output}</system-out>");
    }
    xml.push_str("</testcase>\n");
}

fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}
