//! Reports of runs: each format is read back by a parser that is not ours.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use coreproc::{ExitStatus, ReportFormat, RunReport, SpecResult, SpecState, Stamp};
use proptest::prelude::*;
use serde_json::Value;

const MS: u64 = 1_000_000;
const STARTED: Stamp = Stamp { monotonic_ns: 5_000 * MS, realtime_ns: 1_732_500_000_123_456_789 };

/// Makes the result of a spec that ran from `start` for `took`, in ms.
fn ran(name: &str, state: SpecState, start: u64, took: u64, after: &[usize]) -> SpecResult {
    let (status, error) = match state {
        SpecState::Passed => (Some(ExitStatus::Code(0)), None),
        SpecState::Failed => (Some(ExitStatus::Code(3)), Some("exit code 3".to_owned())),
        _ => (Some(ExitStatus::Signal { signal: 15, core_dumped: false }), Some("stopped".to_owned())),
    };
    SpecResult {
        name: name.to_owned(),
        state,
        status,
        attempts: 1,
        started: Some(Stamp {
            monotonic_ns: STARTED.monotonic_ns + start * MS,
            realtime_ns: STARTED.realtime_ns + start * MS,
        }),
        duration: Duration::from_millis(took),
        output: Vec::new(),
        dropped_bytes: 0,
        error,
        allow_failure: false,
        after: after.to_vec(),
    }
}

fn skipped(name: &str, reason: &str, after: &[usize]) -> SpecResult {
    SpecResult {
        status: None,
        attempts: 0,
        started: None,
        duration: Duration::ZERO,
        error: Some(reason.to_owned()),
        ..ran(name, SpecState::Skipped, 0, 0, after)
    }
}

fn report(specs: Vec<SpecResult>) -> RunReport {
    let ends = specs.iter().filter_map(|spec| {
        Some(Duration::from_nanos(spec.started?.monotonic_ns - STARTED.monotonic_ns) + spec.duration)
    });
    let duration = ends.max().unwrap_or_default();
    RunReport { name: String::new(), specs, started: STARTED, duration, limit: 2 }
}

/// Makes a report with every state, an allowed failure, a retried one, awkward names and output.
fn everything() -> RunReport {
    use SpecState::{Cancelled, Failed, Passed, TimedOut};
    let mut specs = vec![
        ran("configure", Passed, 0, 120, &[]),
        ran("build <lib> & \"tests\"", Passed, 121, 1900, &[0]),
        ran("lint", Failed, 121, 400, &[0]),
        ran("test: größere 建造 \u{1b}[31m", Failed, 2022, 900, &[1]),
        ran("bench", TimedOut, 522, 1000, &[0]),
        ran("flaky network download with quite a long name that has to be cut somewhere", Passed, 2022, 1300, &[1]),
        skipped("deploy", "skipped: \"test\" failed", &[3, 5]),
        ran("follow", Cancelled, 1523, 500, &[]),
        ran("clean", Passed, 3323, 4, &[6]),
    ];
    specs[2].allow_failure = true;
    specs[5].attempts = 3;
    specs[1].output = b"compiling ]]> <done> & \x1b[32mok\x1b[0m\r\n\ttab \0 nul\n".to_vec();
    specs[3].output = vec![0xff, 0xfe, b'a', 0];
    specs[3].dropped_bytes = 17;
    report(specs)
}

/// Makes a report of two hundred specs in layers, some of which fail.
fn many() -> RunReport {
    let mut specs: Vec<SpecResult> = Vec::new();
    let mut free = [0u64; 8];
    for index in 0..200usize {
        let after: Vec<usize> = if index < 8 { vec![] } else { vec![index - 8 + (index * 7) % 5, (index * 3) / 4] };
        let lane = (0..8).min_by_key(|lane| free[*lane]).unwrap_or(0);
        let ready = after.iter().map(|i| match specs[*i].started {
            Some(at) => (at.monotonic_ns - STARTED.monotonic_ns) / MS + specs[*i].duration.as_millis() as u64,
            None => 0,
        });
        let start = ready.max().unwrap_or(0).max(free[lane]);
        let took = 50 + (index as u64 * 7919) % 700;
        free[lane] = start + took;
        let name = format!("module-{index:03}/{}", ["build", "test", "lint", "package"][index % 4]);
        specs.push(match index % 41 {
            7 => skipped(&name, "skipped: \"module-003/package\" failed", &after),
            11 => ran(&name, SpecState::Failed, start, took, &after),
            _ => ran(&name, SpecState::Passed, start, took, &after),
        });
    }
    report(specs)
}

/// Runs a Python program on `text`; the JSON that it prints.
fn python(script: &str, text: &str) -> Value {
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("write");
    let output = child.wait_with_output().expect("python3");
    assert!(output.status.success(), "{script}\n{text}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn json_tells_everything_of_every_spec() {
    let json: Value = serde_json::from_str(&everything().render(ReportFormat::Json)).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["success"], false);
    assert_eq!(json["started"], "2024-11-25T02:00:00.123456789Z");
    assert_eq!(json["limit"], 2);
    assert_eq!(json["duration_ns"], 3_327 * MS);
    let totals = serde_json::json!({"specs": 9, "passed": 4, "failed": 2, "timed_out": 1, "cancelled": 1, "skipped": 1,
        "allowed_failures": 1});
    assert_eq!(json["totals"], totals);
    let flaky = everything().specs.swap_remove(5).name;
    let path = ["configure", "build <lib> & \"tests\"", flaky.as_str(), "clean"];
    assert_eq!(json["critical_path"], serde_json::json!(path));
    assert_eq!(json["critical_path_ns"], 3_324 * MS);
    let build = &json["specs"][1];
    assert_eq!(build["output"], "compiling ]]> <done> & \u{1b}[32mok\u{1b}[0m\r\n\ttab \0 nul\n");
    assert_eq!(build["after"], serde_json::json!(["configure"]));
    assert_eq!((&build["start_ns"], &build["duration_ns"]), (&(121 * MS).into(), &(1900 * MS).into()));
    assert_eq!(build["started"], "2024-11-25T02:00:00.244456789Z");
    let test = &json["specs"][3];
    assert_eq!(test["name"], "test: größere 建造 \u{1b}[31m");
    assert_eq!((&test["state"], &test["exit_code"], &test["signal"]), (&"failed".into(), &3.into(), &Value::Null));
    assert_eq!((&test["output"], &test["output_base64"]), (&Value::Null, &"//5hAA==".into()));
    assert_eq!((&test["dropped_bytes"], &test["error"]), (&17.into(), &"exit code 3".into()));
    let bench = &json["specs"][4];
    assert_eq!(
        (&bench["state"], &bench["signal"], &bench["signal_name"]),
        (&"timed_out".into(), &15.into(), &"SIGTERM".into())
    );
    let deploy = &json["specs"][6];
    assert_eq!((&deploy["started"], &deploy["start_ns"], &deploy["attempts"]), (&Value::Null, &Value::Null, &0.into()));
    assert_eq!(json["specs"][5]["attempts"], 3);
}

/// Python's expat is strict about what XML can hold.
const READ_JUNIT: &str = r#"
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
suite = root.find("testsuite")
cases = [{"name": case.get("name"), "time": case.get("time"), "output": case.findtext("system-out"),
          "verdicts": [[part.tag, part.get("type"), part.get("message"), part.text] for part in case if part.tag != "system-out"]}
         for case in suite.findall("testcase")]
json.dump({"suites": root.attrib, "suite": suite.attrib, "cases": cases}, sys.stdout)
"#;

#[test]
fn junit_is_valid_and_says_what_failed_and_why() {
    let junit = python(READ_JUNIT, &everything().render(ReportFormat::Junit));
    for (key, value) in [("tests", "9"), ("failures", "2"), ("errors", "1"), ("skipped", "2"), ("time", "3.327000")] {
        assert_eq!(junit["suite"][key], value, "{key}");
        assert_eq!(junit["suites"][key], value, "{key}");
    }
    assert_eq!(junit["suite"]["timestamp"], "2024-11-25T02:00:00");
    let verdict = |index: usize| &junit["cases"][index]["verdicts"];
    assert_eq!(*verdict(0), serde_json::json!([]));
    assert_eq!(*verdict(2), serde_json::json!([["skipped", null, "allowed to fail: exit code 3", null]]));
    assert_eq!(*verdict(3), serde_json::json!([["failure", "exit code 3", "exit code 3", "exit code 3"]]));
    assert_eq!(*verdict(4), serde_json::json!([["failure", "timed out", "stopped", "stopped"]]));
    assert_eq!(*verdict(6), serde_json::json!([["skipped", null, "skipped: \"test\" failed", null]]));
    assert_eq!(*verdict(7), serde_json::json!([["error", "cancelled", "stopped", "stopped"]]));
    assert_eq!(junit["cases"][1]["name"], "build <lib> & \"tests\"");
    assert_eq!(junit["cases"][3]["name"], "test: größere 建造 \u{fffd}[31m");
    let output = "compiling ]]> <done> & \u{fffd}[32mok\u{fffd}[0m\r\n\ttab \u{fffd} nul\n";
    assert_eq!(junit["cases"][1]["output"], output);
    assert_eq!(junit["cases"][3]["output"], "[17 bytes before this were not kept]\n\u{fffd}\u{fffd}a\u{fffd}");
}

#[test]
fn the_pipelines_name_is_in_every_format() {
    let named =
        |name: &str| RunReport { name: name.to_owned(), ..report(vec![ran("a", SpecState::Passed, 0, 1, &[])]) };
    const NAME: &str = "nightly <\"linux\">";
    let read = |report: &RunReport| {
        let junit = report.render(ReportFormat::Junit);
        let classes = junit.matches(r#"classname="nightly &lt;&quot;linux&quot;&gt;""#).count();
        let junit = python(READ_JUNIT, &junit);
        let json: Value = serde_json::from_str(&report.render(ReportFormat::Json)).expect("JSON");
        let trace: Value = serde_json::from_str(&report.render(ReportFormat::ChromeTrace)).expect("JSON");
        let process = trace["traceEvents"][0]["args"]["name"].clone();
        ([junit["suite"]["name"].clone(), junit["suites"]["name"].clone(), process, json["name"].clone()], classes)
    };
    assert_eq!(read(&named(NAME)), ([NAME, NAME, NAME, NAME].map(Value::from), 1));
    let unnamed = ["pipeline".into(), "pipeline".into(), "pipeline".into(), Value::Null];
    assert_eq!(read(&named("")), (unnamed, 0));
    let svg = |name| named(name).render(ReportFormat::Svg);
    assert!(svg(NAME).contains(">Pipeline nightly &lt;&quot;linux&quot;&gt; succeeded in "), "{}", svg(NAME));
    assert!(svg("").contains(">Pipeline succeeded in "));
}

#[test]
fn a_spec_that_could_not_start_is_an_error_of_junit() {
    let mut failed = ran("missing", SpecState::Failed, 0, 1, &[]);
    failed.status = None;
    failed.error = Some("spawn \"gti\": lookup: no such program in PATH".to_owned());
    let junit = python(READ_JUNIT, &report(vec![failed]).render(ReportFormat::Junit));
    let message = "spawn \"gti\": lookup: no such program in PATH";
    assert_eq!(junit["cases"][0]["verdicts"], serde_json::json!([["error", "not started", message, message]]));
}

/// Returns the complete events by name, and the flows as pairs.
fn trace(report: &RunReport) -> (Vec<Value>, Vec<(Value, Value)>) {
    let trace: Value = serde_json::from_str(&report.render(ReportFormat::ChromeTrace)).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events").clone();
    let of = |phase: &str| -> Vec<Value> { events.iter().filter(|event| event["ph"] == phase).cloned().collect() };
    let flows = of("s").into_iter().zip(of("f")).collect();
    (of("X"), flows)
}

fn span(event: &Value) -> (f64, f64) {
    let start = event["ts"].as_f64().expect("ts");
    (start, start + event["dur"].as_f64().expect("dur"))
}

#[test]
fn slices_of_a_trace_never_overlap_in_their_lane() {
    for report in [everything(), many()] {
        let (slices, _) = trace(&report);
        assert_eq!(slices.len(), report.specs.iter().filter(|spec| spec.started.is_some()).count());
        for (index, one) in slices.iter().enumerate() {
            for other in &slices[..index] {
                let ((a, b), (c, d)) = (span(one), span(other));
                assert!(one["tid"] != other["tid"] || b <= c || d <= a, "{one}\n{other}");
            }
        }
    }
}

#[test]
fn flows_of_a_trace_lead_from_the_slice_before_into_the_one_after() {
    let report = everything();
    let (slices, flows) = trace(&report);
    let within = |event: &Value| {
        let at = event["ts"].as_f64().expect("ts");
        let inside = |slice: &&Value| slice["tid"] == event["tid"] && span(slice).0 <= at && at < span(slice).1;
        let name = |slice: &Value| slice["name"].as_str().map(str::to_owned);
        slices.iter().find(inside).and_then(name).expect("a slice around the end of a flow")
    };
    let led: Vec<(String, String)> = flows
        .iter()
        .map(|(from, to)| {
            assert_eq!((&from["id"], &to["bp"]), (&to["id"], &"e".into()));
            (within(from), within(to))
        })
        .collect();
    let mut expected = Vec::new();
    for spec in report.specs.iter().filter(|spec| spec.started.is_some()) {
        let started = spec.after.iter().map(|index| &report.specs[*index]).filter(|spec| spec.started.is_some());
        expected.extend(started.map(|before| (before.name.clone(), spec.name.clone())));
    }
    assert_eq!(led, expected);
}

#[test]
fn the_critical_path_is_the_longest_chain() {
    use SpecState::Passed;
    let chain = |specs| report(specs).critical_path();
    assert_eq!(chain(vec![]), [0usize; 0]);
    assert_eq!(chain(vec![ran("a", Passed, 0, 5, &[]), ran("b", Passed, 0, 6, &[])]), [1]);
    // The diamond's long side, at any place in the list.
    let diamond = vec![
        ran("end", Passed, 80, 10, &[1, 2]),
        ran("long", Passed, 10, 70, &[3]),
        ran("short", Passed, 10, 20, &[3]),
        ran("start", Passed, 0, 10, &[]),
    ];
    assert_eq!(chain(diamond), [3, 1, 0]);
    // A skipped spec took no time.
    assert_eq!(chain(vec![ran("a", Passed, 0, 5, &[]), skipped("b", "no", &[0])]), [0]);
    assert_eq!(everything().critical_path(), [0, 1, 5, 8]);
}

#[test]
fn a_report_made_by_hand_may_be_nonsense() {
    let mut specs = vec![
        ran("a", SpecState::Passed, 0, 5, &[1]),
        ran("b", SpecState::Passed, 0, 5, &[0]),
        ran("c", SpecState::Passed, 0, 5, &[77, 2]),
        ran("d", SpecState::Passed, 0, 0, &[]),
    ];
    specs[2].duration = Duration::MAX;
    specs[3].started = Some(Stamp::default());
    let report = RunReport { name: String::new(), specs, started: STARTED, duration: Duration::ZERO, limit: 0 };
    for format in [ReportFormat::Json, ReportFormat::Junit, ReportFormat::ChromeTrace, ReportFormat::Svg] {
        assert!(!report.render(format).is_empty());
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_is_no_recursion() {
    let chain = (0..100_000u64).map(|i| {
        let after: &[usize] = if i == 0 { &[] } else { &[i as usize - 1] };
        ran(&i.to_string(), SpecState::Passed, i, 1, after)
    });
    assert_eq!(report(chain.collect()).critical_path().len(), 100_000);
}

/// Texts, tool tips, and bars by their class; anything that loads or runs something is an error.
const READ_SVG: &str = r#"
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
name = lambda part: part.tag.split("}")[1]
allowed = {"svg", "title", "style", "defs", "pattern", "path", "circle", "rect", "text", "g"}
for part in root.iter():
    assert name(part) in allowed, part.tag
    for key, value in part.attrib.items():
        assert not key.startswith("on") and "href" not in key and "://" not in value, (key, value)
style = "".join(part.text for part in root.iter() if name(part) == "style")
assert "@" not in style and "url(" not in style.replace("url(#", ""), style
groups = [part for part in root if name(part) == "g"]
rows = [{"tip": [x.text for x in row if name(x) == "title"][0], "texts": [x.text for x in row if name(x) == "text"],
         "bar": [x.get("class") for x in row if name(x) == "rect"]} for row in groups]
json.dump({"width": float(root.get("width")), "height": float(root.get("height")), "rows": rows,
           "texts": [x.text for x in root if name(x) == "text"], "links": len([x for x in root if x.get("class") == "l"]),
           "right": max([float(x.get("x")) + float(x.get("width")) for x in root.iter() if name(x) == "rect"] or [0])},
          sys.stdout)
"#;

#[test]
fn the_chart_shows_each_spec_and_the_critical_path() {
    let chart = python(READ_SVG, &everything().render(ReportFormat::Svg));
    let rows = chart["rows"].as_array().expect("rows");
    let bars: Vec<&Value> = rows.iter().map(|row| &row["bar"]).collect();
    let expected = [&["ok c"][..], &["ok c"], &["al"], &["to"], &["ca"], &["no"], &["ok c"], &["ok c"], &[]];
    assert_eq!(serde_json::json!(bars), serde_json::json!(expected));
    assert_eq!(chart["links"], 3);
    assert_eq!(rows[1]["texts"], serde_json::json!(["build <lib> & \"tests\"", "1.90 s"]));
    assert_eq!(rows[5]["texts"][0], "test: größere 建造 \\u{1b}[31m");
    assert_eq!(rows[8]["texts"][1], "skipped: \"test\" failed");
    let long = rows[6]["texts"][0].as_str().expect("name");
    assert!(long.ends_with('…') && long.starts_with("flaky network download"), "{long}");
    assert!(rows[6]["tip"].as_str().expect("tip").starts_with(&everything().specs[5].name), "whole in the tool tip");
    assert_eq!(chart["texts"][0], "Pipeline did not succeed in 3.33 s");
}

#[test]
fn two_hundred_specs_make_a_light_chart_within_its_edges() {
    let svg = many().render(ReportFormat::Svg);
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
    let chart = python(READ_SVG, &svg);
    assert_eq!(chart["rows"].as_array().map(Vec::len), Some(200));
    assert!(chart["right"].as_f64() <= chart["width"].as_f64());
    python(READ_SVG, &report(vec![]).render(ReportFormat::Svg));
}

#[test]
fn any_name_output_and_error_survive_every_format() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 12, ..ProptestConfig::default() });
    let texts = proptest::collection::vec((any::<String>(), any::<String>(), any::<Vec<u8>>()), 1..100);
    let outcome = runner.run(&texts, |texts| {
        let specs: Vec<SpecResult> = texts
            .iter()
            .map(|(name, error, output)| SpecResult {
                error: Some(error.clone()),
                output: output.clone(),
                ..ran(name, SpecState::Failed, 0, 1, &[])
            })
            .collect();
        let report = report(specs);
        let json: Value = serde_json::from_str(&report.render(ReportFormat::Json)).expect("JSON");
        let (slices, _) = trace(&report);
        let junit = python(READ_JUNIT, &report.render(ReportFormat::Junit));
        let chart = python(READ_SVG, &report.render(ReportFormat::Svg));
        for (index, (name, error, output)) in texts.iter().enumerate() {
            prop_assert_eq!(&json["specs"][index]["name"], name);
            prop_assert_eq!(&json["specs"][index]["error"], error);
            prop_assert_eq!(json["specs"][index]["output"].as_str(), std::str::from_utf8(output).ok());
            prop_assert_eq!(&slices[index]["name"], name);
            prop_assert_eq!(&junit["cases"][index]["name"], &without_controls(name));
            prop_assert_eq!(&junit["cases"][index]["verdicts"][0][2], &without_controls(error));
        }
        prop_assert_eq!(chart["rows"].as_array().map(Vec::len), Some(texts.len()));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Returns what XML leaves of a text.
fn without_controls(text: &str) -> String {
    let kept = |c: char| matches!(c, '\t' | '\n' | '\r') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if kept(c) { c } else { '\u{fffd}' }).collect()
}
