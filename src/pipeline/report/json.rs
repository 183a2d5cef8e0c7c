//! The report as JSON; `docs/reports.md` describes it.

use serde::Serialize;

use super::words::{signal_name, state_name};
use crate::pipeline::{RunReport, SpecResult, SpecState};
use crate::sys::pidfd::ExitStatus;
use crate::util::duration::nanoseconds;
use crate::util::rfc3339;

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    name: Option<&'a str>,
    success: bool,
    started: String,
    duration_ns: u64,
    limit: usize,
    totals: Totals,
    critical_path: Vec<&'a str>,
    critical_path_ns: u64,
    specs: Vec<Spec<'a>>,
}

#[derive(Default, Serialize)]
struct Totals {
    specs: usize,
    passed: usize,
    failed: usize,
    timed_out: usize,
    cancelled: usize,
    skipped: usize,
    /// How many specs failed or timed out, which was allowed.
    allowed_failures: usize,
}

#[derive(Serialize)]
struct Spec<'a> {
    name: &'a str,
    state: &'static str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    signal_name: Option<String>,
    core_dumped: bool,
    attempts: u32,
    started: Option<String>,
    start_ns: Option<u64>,
    duration_ns: u64,
    allow_failure: bool,
    after: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_base64: Option<String>,
    dropped_bytes: u64,
    error: Option<&'a str>,
}

pub(super) fn render(report: &RunReport) -> String {
    let path = report.critical_path();
    let whole = Report {
        version: VERSION,
        name: Some(report.name.as_str()).filter(|name| !name.is_empty()),
        success: report.success(),
        started: rfc3339::format_with_nanoseconds(report.started.realtime_ns),
        duration_ns: nanoseconds(report.duration),
        limit: report.limit,
        totals: totals(report),
        critical_path: path.iter().map(|index| report.specs[*index].name.as_str()).collect(),
        critical_path_ns: nanoseconds(report.critical_duration(&path)),
        specs: report.specs.iter().map(|result| spec(report, result)).collect(),
    };
    // Text and numbers are always accepted.
    serde_json::to_string(&whole).unwrap_or_default()
}

fn totals(report: &RunReport) -> Totals {
    let mut totals = Totals { specs: report.specs.len(), ..Totals::default() };
    for spec in &report.specs {
        match spec.state {
            SpecState::Passed => totals.passed += 1,
            SpecState::Failed => totals.failed += 1,
            SpecState::TimedOut => totals.timed_out += 1,
            SpecState::Cancelled => totals.cancelled += 1,
            SpecState::Skipped => totals.skipped += 1,
        }
        totals.allowed_failures += usize::from(spec.is_allowed_failure());
    }
    totals
}

fn spec<'a>(report: &'a RunReport, result: &'a SpecResult) -> Spec<'a> {
    let (exit_code, signal, core_dumped) = match result.status {
        Some(ExitStatus::Code(code)) => (Some(code), None, false),
        Some(ExitStatus::Signal { signal, core_dumped }) => (None, Some(signal), core_dumped),
        Some(ExitStatus::Unknown) | None => (None, None, false),
    };
    let output = std::str::from_utf8(&result.output);
    let after = result.after.iter().filter_map(|index| report.specs.get(*index));
    Spec {
        name: &result.name,
        state: state_name(result.state),
        exit_code,
        signal,
        signal_name: signal.map(signal_name),
        core_dumped,
        attempts: result.attempts,
        started: result.started.map(|stamp| rfc3339::format_with_nanoseconds(stamp.realtime_ns)),
        start_ns: report.offset(result).map(nanoseconds),
        duration_ns: nanoseconds(result.duration),
        allow_failure: result.allow_failure,
        after: after.map(|spec| spec.name.as_str()).collect(),
        output: output.ok(),
        output_base64: output.is_err().then(|| base64(&result.output)),
        dropped_bytes: result.dropped_bytes,
        error: result.error.as_deref(),
    }
}

/// Encodes bytes in the Base64 of RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { DIGITS[value as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let coded: Vec<String> = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes())).into();
        assert_eq!(coded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
