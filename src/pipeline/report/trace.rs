//! The report in the Trace Event Format of Chrome, which Perfetto and `about:tracing` load. Each spec that started is a
//! complete event in a lane (for the viewer, a thread) in which it overlaps no other spec, and flows lead from each
//! spec to those that came after it.

use std::time::Duration;

use serde_json::{Value, json};

use super::lanes::lanes;
use super::words::{outcome, state_name};
use crate::pipeline::RunReport;
use crate::util::rfc3339;

const PID: u32 = 1;

pub(super) fn render(report: &RunReport) -> String {
    let lanes = lanes(report);
    let mut events = vec![metadata("process_name", 0, report.title())];
    let used = lanes.iter().flatten().max().map_or(0, |highest| highest + 1);
    events.extend((0..used).map(|lane| metadata("thread_name", lane, &format!("lane {}", lane + 1))));
    let critical: Vec<usize> = report.critical_path();
    let mut is_critical = vec![false; report.specs.len()];
    critical.iter().for_each(|index| is_critical[*index] = true);
    let mut flows = 0u64;
    for (index, spec) in report.specs.iter().enumerate() {
        let (Some(start), Some(lane)) = (report.offset(spec), lanes[index]) else { continue };
        events.push(json!({
            "ph": "X", "cat": "spec", "name": spec.name, "pid": PID, "tid": lane,
            "ts": microseconds(start), "dur": microseconds(spec.duration),
            "args": {
                "state": state_name(spec.state), "outcome": outcome(spec), "attempts": spec.attempts,
                "allow_failure": spec.allow_failure, "critical": is_critical[index], "error": spec.error,
            },
        }));
        for &dependency in &spec.after {
            let Some(before) = report.specs.get(dependency) else { continue };
            let (Some(began), Some(from)) = (report.offset(before), lanes[dependency]) else { continue };
            // A flow must start within the slice, and the end is not within it.
            let end = began.saturating_add(before.duration.saturating_sub(Duration::from_nanos(1)));
            let flow = |phase: &str, at: Duration, lane: usize| {
                json!({"ph": phase, "cat": "after", "name": "after", "id": flows, "pid": PID, "tid": lane,
                    "ts": microseconds(at)})
            };
            events.push(flow("s", end, from));
            let mut arrival = flow("f", start, lane);
            // This binds the flow to the slice that begins here, not to the one that follows.
            arrival["bp"] = json!("e");
            events.push(arrival);
            flows += 1;
        }
    }
    let not_started: Vec<&str> =
        report.specs.iter().filter(|spec| spec.started.is_none()).map(|spec| spec.name.as_str()).collect();
    json!({
        "displayTimeUnit": "ms",
        "otherData": {"started": rfc3339::format_with_nanoseconds(report.started.realtime_ns), "not_started": not_started},
        "traceEvents": events,
    })
    .to_string()
}

fn metadata(what: &str, lane: usize, name: &str) -> Value {
    json!({"ph": "M", "name": what, "pid": PID, "tid": lane, "args": {"name": name}})
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}
