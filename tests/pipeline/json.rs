//! Pipelines and commands from JSON: what is accepted, and the answer to each mistake.

use proptest::prelude::*;

use coreproc::{Command, ErrorKind, ExitStatus, Pipeline, Service, ServiceOptions, Stream};

/// Returns the message of a refusal, without the operation with which every message starts.
#[track_caller]
fn refused(text: &str) -> String {
    let error = Pipeline::from_json(text).map(|_| ()).expect_err("is refused");
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert_eq!(error.operation(), "parse pipeline");
    error.to_string().strip_prefix("parse pipeline: ").expect("operation").to_owned()
}

/// Like [`refused`], for a pipeline whose second spec is this.
#[track_caller]
fn refused_spec(spec: &str) -> String {
    refused(&format!(r#"{{"version": 1, "specs": [{{"name": "build", "command": ["true"]}}, {spec}]}}"#))
}

/// Like [`refused_spec`], for a spec whose command has this in addition.
#[track_caller]
fn refused_command(fields: &str) -> String {
    refused_spec(&format!(r#"{{"name": "x", "command": {{"program": "true", {fields}}}}}"#))
}

#[test]
fn a_mistake_in_the_document_is_named_with_its_place() {
    let table = [
        ("", "line 1, column 0: EOF while parsing a value"),
        ("\u{feff}{}", "line 1, column 1: a byte order mark, which JSON has not"),
        ("{\"version\": 1,\n  \"specs\": [}", "line 2, column 13: expected value"),
        (r#"{"version": 1, "specs": []} x"#, "line 1, column 29: trailing characters"),
        ("[]", "expected an object, found a list"),
        ("3", "expected an object, found 3"),
        ("{}", "version: is missing"),
        (r#"{"version": 2, "specs": [], "later": 1}"#, "version: 2 is not known, known is 1"),
        (r#"{"version": "1"}"#, r#"version: expected a whole number of at least 0, found "1""#),
        (r#"{"version": 1.0}"#, "version: expected a whole number of at least 0, found 1.0"),
        (r#"{"version": 1}"#, "specs: is missing"),
        (r#"{"version": 1, "version": 1, "specs": []}"#, "version: given twice"),
        (r#"{"version": 1, "specs": [], "specs": []}"#, "specs: given twice"),
        (r#"{"version": 1, "specs": {}}"#, "specs: expected a list of specs, found an object"),
        (r#"{"version": 1, "specs": null}"#, "specs: expected a list of specs, found null"),
        (r#"{"version": 1, "spec": []}"#, r#"spec: unknown field, did you mean "specs"?"#),
        (
            r#"{"version": 1, "jobs": 3, "specs": []}"#,
            r#"jobs: unknown field, known are "version", "name", "limit", "fail_fast", "specs""#,
        ),
        (
            r#"{"version": 1, "a b": 3, "specs": []}"#,
            r#"["a b"]: unknown field, known are "version", "name", "limit", "fail_fast", "specs""#,
        ),
        (
            r#"{"version": 1, "limit": -1, "specs": []}"#,
            "limit: expected a whole number from 0 to 4294967295, found -1",
        ),
        (r#"{"version": 1, "name": "", "specs": []}"#, "name: is empty"),
        (r#"{"version": 1, "name": null, "specs": []}"#, "name: expected a string, found null"),
        (r#"{"version": 1, "fail_fast": 1, "specs": []}"#, "fail_fast: expected true or false, found 1"),
        (r#"{"version": 1, "specs": [3]}"#, "specs[0]: expected an object, found 3"),
    ];
    for (text, message) in table {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn a_mistake_in_a_spec_is_named_with_its_path() {
    let table = [
        (r#"{}"#, "specs[1].name: is missing"),
        (r#"{"name": "x"}"#, "specs[1].command: is missing"),
        (r#"{"name": "", "command": ["true"]}"#, "specs[1].name: is empty"),
        (r#"{"name": "a\u0000b", "command": ["true"]}"#, "specs[1].name: has a NUL byte"),
        (r#"{"name": 5, "command": ["true"]}"#, "specs[1].name: expected a string, found 5"),
        (r#"{"name": "x", "name": "y", "command": ["true"]}"#, "specs[1].name: given twice"),
        (r#"{"name": "x", "timeout_s": 3}"#, r#"specs[1].timeout_s: unknown field, did you mean "timeout_ms"?"#),
        (r#"{"name": "x", "timeout": 3}"#, r#"specs[1].timeout: unknown field, did you mean "timeout_ms"?"#),
        (r#"{"name": "x", "comand": []}"#, r#"specs[1].comand: unknown field, did you mean "command"?"#),
        (
            r#"{"name": "x", "command": "make all"}"#,
            r#"specs[1].command: expected a list of strings or an object, found "make all""#,
        ),
        (r#"{"name": "x", "command": []}"#, "specs[1].command: is empty: the first item is the program"),
        (r#"{"name": "x", "command": [""]}"#, "specs[1].command[0]: is empty"),
        (r#"{"name": "x", "command": ["echo", "a", 3]}"#, "specs[1].command[2]: expected a string, found 3"),
        (r#"{"name": "x", "command": ["echo", "a\u0000"]}"#, "specs[1].command[1]: has a NUL byte"),
        (
            r#"{"name": "x", "command": ["true"], "after": "build"}"#,
            r#"specs[1].after: expected a list of names, found "build""#,
        ),
        (
            r#"{"name": "x", "command": ["true"], "after": [["build"]]}"#,
            "specs[1].after[0]: expected a string, found a list",
        ),
        (r#"{"name": "x", "command": ["true"], "after": [""]}"#, "specs[1].after[0]: is empty"),
        (
            r#"{"name": "x", "command": ["true"], "allow_failure": "yes"}"#,
            r#"specs[1].allow_failure: expected true or false, found "yes""#,
        ),
        (
            r#"{"name": "x", "command": ["true"], "always_run": 0}"#,
            "specs[1].always_run: expected true or false, found 0",
        ),
        (
            r#"{"name": "x", "command": ["true"], "timeout_ms": 0}"#,
            "specs[1].timeout_ms: expected a whole number of at least 1, found 0",
        ),
        (
            r#"{"name": "x", "command": ["true"], "timeout_ms": 1e3}"#,
            "specs[1].timeout_ms: expected a whole number of at least 1, found 1000.0",
        ),
        (
            r#"{"name": "x", "command": {"program": "true", "timeout_ms": 1}, "timeout_ms": 2}"#,
            "specs[1].timeout_ms: the command has one, too",
        ),
        (
            r#"{"name": "x", "command": ["true"], "retries": 4294967296}"#,
            "specs[1].retries: expected a whole number from 0 to 4294967295, found 4294967296",
        ),
        (r#"{"name": "x", "command": ["true"], "backoff": 3}"#, "specs[1].backoff: expected an object, found 3"),
        (
            r#"{"name": "x", "command": ["true"], "backoff": {"first": 3}}"#,
            r#"specs[1].backoff.first: unknown field, did you mean "first_ms"?"#,
        ),
        (
            r#"{"name": "x", "command": ["true"], "backoff": {"first_ms": 3, "max_ms": 2}}"#,
            "specs[1].backoff.max_ms: 2 is less than first_ms, 3",
        ),
    ];
    for (spec, message) in table {
        assert_eq!(refused_spec(spec), message, "{spec}");
    }
}

#[test]
fn a_mistake_in_a_command_is_named_with_its_path() {
    let table = [
        (r#""args": ["a", "b", 3]"#, "specs[1].command.args[2]: expected a string, found 3"),
        (r#""args": "a""#, r#"specs[1].command.args: expected a list of strings, found "a""#),
        (r#""argv": []"#, r#"specs[1].command.argv: unknown field, did you mean "args"?"#),
        (r#""arg0": true"#, "specs[1].command.arg0: expected a string, found true"),
        (r#""env": ["A=b"]"#, "specs[1].command.env: expected an object of strings, found a list"),
        (r#""env": {"A": 1}"#, "specs[1].command.env.A: expected a string, found 1"),
        (r#""env": {"A": "1", "A": "2"}"#, "specs[1].command.env.A: given twice"),
        (r#""env": {"A=B": "1"}"#, r#"specs[1].command.env["A=B"]: the name is empty, or has a "=" or a NUL byte"#),
        (r#""env": {"": "1"}"#, r#"specs[1].command.env[""]: the name is empty, or has a "=" or a NUL byte"#),
        (r#""env": {"A": "\u0000"}"#, "specs[1].command.env.A: has a NUL byte"),
        (r#""env_clear": null"#, "specs[1].command.env_clear: expected true or false, found null"),
        (r#""cwd": """#, "specs[1].command.cwd: is empty"),
        (r#""search_path": "a\u0000""#, "specs[1].command.search_path: has a NUL byte"),
        (r#""stdin": "pip""#, r#"specs[1].command.stdin: unknown value "pip", did you mean "pipe"?"#),
        (
            r#""stdin": "merge""#,
            r#"specs[1].command.stdin: unknown value "merge", known are "null", "pipe", "inherit""#,
        ),
        (r#""stdin": 3"#, r#"specs[1].command.stdin: expected "null", "pipe" or "inherit", found 3"#),
        (r#""stdin": {"file": ""}"#, "specs[1].command.stdin.file: is empty"),
        (
            r#""stdin": {"file": "a", "append": true}"#,
            r#"specs[1].command.stdin.append: unknown field, known are "file", "data""#,
        ),
        (r#""stdin": {}"#, "specs[1].command.stdin.file: is missing"),
        (r#""descriptors": {"x": "output"}"#, "specs[1].command.descriptors.x: the name is no number of a descriptor"),
        (r#""descriptors": {"2": "output"}"#, "specs[1].command: descriptor 2: is a standard stream"),
        (
            r#""descriptors": {"3": "outpt"}"#,
            r#"specs[1].command.descriptors.3: unknown value "outpt", did you mean "output"?"#,
        ),
        (
            r#""descriptors": {"3": {"data": "", "mode": "read"}}"#,
            r#"specs[1].command.descriptors.3.mode: stands beside "data""#,
        ),
        (r#""descriptors": {"3": {}}"#, "specs[1].command.descriptors.3.file: is missing"),
        (r#""stdin": {"data": 1}"#, "specs[1].command.stdin.data: expected a string, found 1"),
        (
            r#""stdin": {"file": "a", "data": "b"}"#,
            r#"specs[1].command.stdin.data: stands beside "file": only one of them can be the input"#,
        ),
        (
            r#""stdout": "merge""#,
            r#"specs[1].command.stdout: unknown value "merge", known are "pipe", "null", "inherit", "spool""#,
        ),
        (r#""stdout": {}"#, "specs[1].command.stdout.file: is missing"),
        (r#""stdout": {"path": "a"}"#, r#"specs[1].command.stdout.path: unknown field, known are "file", "append""#),
        (
            r#""stderr": {"file": "a", "append": "a"}"#,
            r#"specs[1].command.stderr.append: expected true or false, found "a""#,
        ),
        (
            r#""capture_bytes": 9223372036854775808"#,
            "specs[1].command.capture_bytes: expected a whole number from 0 to 9223372036854775807, found 9223372036854775808",
        ),
        (r#""capture": 1"#, r#"specs[1].command.capture: unknown field, did you mean "capture_bytes"?"#),
        (
            r#""group": "none""#,
            r#"specs[1].command.group: unknown value "none", known are "own", "inherit", "session""#,
        ),
        (r#""detach": "no""#, r#"specs[1].command.detach: expected true or false, found "no""#),
        (r#""spool_max_bytes": 0"#, "specs[1].command.spool_max_bytes: expected a whole number of at least 1, found 0"),
        (r#""timeout_ms": -5"#, "specs[1].command.timeout_ms: expected a whole number of at least 1, found -5"),
        (r#""stop": "SIGTERM""#, r#"specs[1].command.stop: expected an object, found "SIGTERM""#),
        (
            r#""stop": {"signal": "SIGTREM"}"#,
            r#"specs[1].command.stop.signal: unknown signal "SIGTREM", did you mean "SIGTERM"?"#,
        ),
        (
            r#""stop": {"signal": "TREM"}"#,
            r#"specs[1].command.stop.signal: unknown signal "TREM", did you mean "TERM"?"#,
        ),
        (r#""stop": {"signal": 65}"#, "specs[1].command.stop.signal: expected a whole number from 1 to 64, found 65"),
        (r#""stop": {"signal": 0}"#, "specs[1].command.stop.signal: expected a whole number from 1 to 64, found 0"),
        (r#""stop": {"scope": "grup"}"#, r#"specs[1].command.stop.scope: unknown value "grup", did you mean "group"?"#),
        (
            r#""stop": {"grace_ms": "5"}"#,
            r#"specs[1].command.stop.grace_ms: expected a whole number of at least 0, found "5""#,
        ),
        (r#""drain": {"silence": 5}"#, r#"specs[1].command.drain.silence: unknown field, did you mean "silence_ms"?"#),
        (
            r#""drain": {"total_ms": false}"#,
            "specs[1].command.drain.total_ms: expected a whole number of at least 0, found false",
        ),
        (
            r#""detach": true, "stderr": "pipe""#,
            "specs[1].command: stderr: a pipe would not outlive the host: use a file or a spool",
        ),
        (
            r#""stop": {"steps": [{"signal": "INT"}, {"signal": "TREM"}]}"#,
            r#"specs[1].command.stop.steps[1].signal: unknown signal "TREM", did you mean "TERM"?"#,
        ),
        (
            r#""stop": {"steps": [{"signal": "KILL"}, {"signal": "TERM"}]}"#,
            "specs[1].command: steps[1]: nothing can follow SIGKILL",
        ),
        (r#""stop": {"steps": []}"#, "specs[1].command: steps: is empty"),
        (
            r#""stop": {"signal": "INT", "steps": [{}]}"#,
            r#"specs[1].command.stop.steps: are in place of "signal" and "grace_ms""#,
        ),
        (r#""user": -1"#, "specs[1].command.user: expected a whole number from 0 to 4294967294, found -1"),
        (r#""user": """#, "specs[1].command.user: is empty"),
        (
            r#""supplementary_groups": "adm""#,
            r#"specs[1].command.supplementary_groups: expected a list of groups, found "adm""#,
        ),
        (r#""umask": "8""#, r#"specs[1].command.umask: is no octal number, such as "027""#),
        (r#""umask": "1777""#, "specs[1].command: umask: 0o1777 is above 0777"),
        (r#""umask": 18"#, "specs[1].command.umask: expected a string, found 18"),
        (r#""drop_capabilities": ["cap_fly"]"#, r#"specs[1].command: capabilities: "cap_fly" is none"#),
        (r#""keep_ignored": ["KILL"]"#, "specs[1].command: signals: 9 is none that can be ignored"),
        (r#""limits": {"nofil": 1}"#, r#"specs[1].command.limits.nofil: unknown field, did you mean "nofile"?"#),
        (
            r#""limits": {"core": [1]}"#,
            "specs[1].command.limits.core: expected the soft and the hard limit, found a list",
        ),
        (r#""limits": {"core": [2, 1]}"#, "specs[1].command: limit core: the soft limit 2 is above the hard limit 1"),
        (
            r#""die_with_host": "KILL", "detach": true"#,
            "specs[1].command: die with host: a detached process outlives the host",
        ),
        (r#""nice": 20"#, "specs[1].command.nice: expected a whole number from -20 to 19, found 20"),
        (
            r#""scheduling": "rr""#,
            r#"specs[1].command.scheduling: unknown value "rr", known are "other", "batch", "idle""#,
        ),
        (
            r#""scheduling": {"fifo": 1, "round_robin": 1}"#,
            r#"specs[1].command.scheduling: has to have one of "fifo" and "round_robin""#,
        ),
        (
            r#""io_priority": {"best_effort": 8}"#,
            "specs[1].command.io_priority.best_effort: expected a whole number from 0 to 7, found 8",
        ),
        (r#""cpu_affinity": []"#, "specs[1].command: cpu affinity: names no processor"),
        (
            r#""chroot": "/srv""#,
            r#"specs[1].command: chroot: "/srv" is no boundary: a process with privileges leaves it; use a container, or a launcher such as bwrap"#,
        ),
        (
            r#""stop": {"scope": "group"}, "group": "inherit""#,
            "specs[1].command: stop: scope: the process would not lead a group of its own",
        ),
    ];
    for (fields, message) in table {
        let refused = refused_command(fields);
        assert_eq!(refused, message, "{fields}");
    }
}

#[test]
fn a_graph_that_cannot_run_is_named_with_its_path() {
    let table = [
        (
            r#"{"name": "test", "command": ["true"], "after": ["biuld"]}"#,
            r#"specs[1].after[0]: unknown spec "biuld", did you mean "build"?"#,
        ),
        (
            r#"{"name": "test", "command": ["true"], "after": ["deploy"]}"#,
            r#"specs[1].after[0]: unknown spec "deploy""#,
        ),
    ];
    for (spec, message) in table {
        assert_eq!(refused_spec(spec), message, "{spec}");
    }
    for (spec, place) in [
        (r#"{"name": "build", "command": ["true"]}"#, "specs[1].name: "),
        (r#"{"name": "x", "command": ["true"], "after": ["x"]}"#, "specs[1].after[0]: "),
        (r#"{"name": "x", "command": ["true"], "after": ["build", "build"]}"#, "specs[1].after[1]: "),
        (
            r#"{"name": "x", "command": ["true"], "after": ["y"]}, {"name": "y", "command": ["true"], "after": ["x"]}"#,
            "specs",
        ),
    ] {
        let refused = refused_spec(spec);
        assert!(refused.starts_with(place), "{refused}");
    }
}

/// Runs a pipeline as its JSON says.
fn run(text: &str) -> std::sync::Arc<coreproc::RunReport> {
    Pipeline::from_json(text).expect("pipeline").run_all(&support::service()).expect("run")
}

#[test]
fn everything_that_is_documented_runs() {
    let report = run(include_str!("everything.json"));
    assert!(report.success());
    assert_eq!((report.specs.len(), report.limit), (3, 4));
    assert_eq!(report.specs[2].after, [0, 1]);
    assert!(report.specs[1].allow_failure);
}

#[test]
fn a_run_is_named_as_its_pipeline() {
    assert_eq!(run(r#"{"version": 1, "name": "nightly", "specs": []}"#).name, "nightly");
    assert_eq!(run(r#"{"version": 1, "specs": []}"#).name, "");
}

#[test]
fn a_specs_options_are_those_of_its_json() {
    let report = run(r#"{"version": 1, "limit": 0, "specs": [
        {"name": "slow", "command": ["sleep", "600"], "timeout_ms": 1},
        {"name": "fails", "command": ["false"], "retries": 2, "backoff": {"first_ms": 1}},
        {"name": "may fail", "command": ["false"], "allow_failure": true},
        {"name": "after it", "command": ["true"], "after": ["may fail"]},
        {"name": "skipped", "command": ["true"], "after": ["fails"]},
        {"name": "clean", "command": ["true"], "after": ["skipped"], "always_run": true}]}"#);
    use coreproc::SpecState::{Failed, Passed, Skipped, TimedOut};
    let states: Vec<coreproc::SpecState> = report.specs.iter().map(|spec| spec.state).collect();
    assert_eq!(states, [TimedOut, Failed, Failed, Passed, Skipped, Passed]);
    assert_eq!((report.specs[1].attempts, report.limit), (3, 0));
}

#[test]
fn each_deadline_of_a_spec_is_told_as_its_outcome() {
    let report = run(r#"{"version": 1, "limit": 0, "specs": [
        {"name": "start", "command": {"program": "sleep", "args": ["600"], "start_timeout_ms": 20}},
        {"name": "silent", "command": {"program": "sleep", "args": ["600"], "silence_timeout_ms": 30}},
        {"name": "busy", "command": {"program": "sh", "args": ["-c", "while :; do :; done"], "cpu_time_limit_ms": 40}},
        {"name": "loud", "command": {"program": "yes", "output_limit_bytes": 1000}}]}"#);
    use coreproc::SpecState::{Failed, TimedOut};
    let ends: Vec<_> =
        report.specs.iter().map(|spec| (spec.state, spec.error.as_deref().unwrap_or_default())).collect();
    let expected = [
        (TimedOut, "wrote nothing in its first 20 ms"),
        (TimedOut, "wrote nothing for 30 ms"),
        (TimedOut, "used more than 40 ms of CPU time"),
        (Failed, "wrote more than 1000 bytes"),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn fail_fast_in_json_holds_unless_the_options_of_a_run_say_otherwise() {
    let text = |fast| {
        format!(
            r#"{{"version": 1, "limit": 1, "fail_fast": {fast}, "specs": [
        {{"name": "fails", "command": ["false"]}}, {{"name": "other", "command": ["true"]}}]}}"#
        )
    };
    let passed = |report: &coreproc::RunReport| report.count(coreproc::SpecState::Passed);
    assert_eq!((passed(&run(&text(true))), passed(&run(&text(false)))), (0, 1));
    let pipeline = Pipeline::from_json(&text(true)).expect("pipeline");
    let options = coreproc::RunOptions { on_failure: coreproc::OnFailure::KeepGoing, ..Default::default() };
    let run = pipeline.start(&support::service(), options).expect("start");
    assert_eq!(passed(&run.wait(support::GUARDED).expect("wait")), 1);
}

proptest! {
    #[test]
    fn any_name_and_argument_survives_json(name in "[^\\x00]{1,40}", argument in "[^\\x00]{0,40}", key in "[^\\x00=]{1,20}") {
        let text = serde_json::json!({"version": 1, "specs": [{"name": name, "command": {
            "program": "sh", "args": ["-c", "printf %s \"$0\"", argument], "env": {key: "v"}}}]});
        let pipeline = Pipeline::from_json(&text.to_string()).expect("pipeline");
        prop_assert_eq!(pipeline.specs()[0].name(), name);
        let report = pipeline.run_all(&support::service()).expect("run");
        prop_assert_eq!(support::lossy(&report.specs[0].output), argument);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = Pipeline::from_json(&text);
        let _ = Command::from_json(&text);
    }
}

#[test]
fn an_unknown_field_near_nothing_is_answered_with_all_that_are_known() {
    assert_eq!(
        refused_command(r#""version": 1"#),
        "specs[1].command.version: unknown field, known are \"program\", \"args\", \"arg0\", \"env\", \"env_clear\", \
         \"cwd\", \"search_path\", \"stdin\", \"stdout\", \"stderr\", \"descriptors\", \"capture_bytes\", \
         \"capture_head_bytes\", \"capture_lines\", \"capture_apart\", \"pty\", \"group\", \"contain\", \
         \"memory_max_bytes\", \"processes_max\", \"cpu_max_thousandths\", \"detach\", \
         \"spool_max_bytes\", \"timeout_ms\", \"start_timeout_ms\", \"silence_timeout_ms\", \"cpu_time_limit_ms\", \
         \"output_limit_bytes\", \"report_stops_ms\", \"stop\", \"drain\", \"user\", \"primary_group\", \"supplementary_groups\", \"umask\", \
         \"no_new_privileges\", \"drop_capabilities\", \"keep_ignored\", \"limits\", \"nice\", \"scheduling\", \
         \"io_priority\", \"cpu_affinity\", \"oom_score\", \"chroot\", \"die_with_host\""
    );
}

#[test]
fn a_huge_text_is_cut_in_the_message_and_control_characters_are_escaped() {
    let long = "x".repeat(100_000);
    assert!(refused_command(&format!(r#""stdin": "{long}""#)).len() < 300);
    assert!(refused_command(&format!(r#""{long}": 1"#)).len() < 1000);
    let message = refused_command(r#""stdin": "\u001b[31mred\r""#);
    assert!(message.contains(r#""\u{1b}[31mred\r""#), "{message}");
}

#[test]
fn depth_is_bounded() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(refused(&deep), "line 1, column 128: recursion limit exceeded");
}

#[test]
fn many_keys_are_checked_in_linear_time() {
    let env: Vec<String> = (0..support::count("env keys", 100_000)).map(|i| format!(r#""K{i}": "v""#)).collect();
    let text = format!(
        r#"{{"version": 1, "specs": [{{"name": "a", "command": {{"program": "b", "env": {{{}}}}}}}]}}"#,
        env.join(",")
    );
    Pipeline::from_json(&text).expect("is taken");
}

#[test]
fn everything_that_is_documented_is_taken() {
    Pipeline::from_json(include_str!("everything.json")).expect("is taken");
    Pipeline::from_json(r#"{"version": 1, "specs": []}"#).expect("is taken");
}

#[test]
fn a_command_runs_as_its_json_says() {
    let service = Service::new(ServiceOptions::default()).expect("service");
    let dir = tempfile::tempdir().expect("directory");
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&input, "given\n").expect("write");
    std::fs::write(&output, "old\n").expect("write");
    let text = serde_json::json!({
        "version": 1,
        "program": "sh",
        "args": ["-c", "read line; echo $0 $line $KEY $PATH $(pwd); echo no >&2; exit 3"],
        "arg0": "named",
        "env_clear": true,
        "env": {"KEY": "value", "PATH": "/usr/bin:/bin"},
        "cwd": "/",
        "stdin": {"file": input},
        "stdout": {"file": output, "append": true},
        "stderr": "pipe",
    });
    let process = Command::from_json(&text.to_string()).expect("command").spawn(&service).expect("spawn");
    let ended = support::finish(&process);
    assert_eq!((ended.code(), ended.text().as_str()), (3, "no\n"));
    let written = std::fs::read_to_string(&output).expect("read");
    assert_eq!(written, "old\nnamed given value /usr/bin:/bin /\n");
}

#[test]
fn a_command_reads_the_data_of_its_json() {
    let service = Service::new(ServiceOptions::default()).expect("service");
    for data in ["", "line\n", "\0", &"ä".repeat(100_000)] {
        let text = serde_json::json!({"version": 1, "program": "cat", "stdin": {"data": data}});
        let process = Command::from_json(&text.to_string()).expect("command").spawn(&service).expect("spawn");
        assert_eq!(support::finish(&process).text(), data);
    }
}

#[test]
fn a_command_gets_the_descriptors_of_its_json() {
    let service = Service::new(ServiceOptions::default()).expect("service");
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("file");
    std::fs::write(&path, "kept\n").expect("write");
    let text = serde_json::json!({
        "version": 1,
        "program": "bash",
        "args": ["-c", "cat <&10; cat <&11; echo told >&12; echo added >&13"],
        "descriptors": {
            "10": {"data": "given\n"}, "11": {"file": path}, "12": "output", "13": {"file": path, "mode": "append"},
        },
    });
    let process = Command::from_json(&text.to_string()).expect("command").spawn(&service).expect("spawn");
    assert_eq!(support::finish(&process).text(), "given\nkept\n");
    assert_eq!(process.captured(Some(Stream::Descriptor(12))).expect("output").tail, b"told\n");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "kept\nadded\n");
}

#[test]
fn a_command_runs_as_whom_and_with_what_its_json_says() {
    let service = Service::new(ServiceOptions::default()).expect("service");
    let text = r#"{"version": 1, "program": "/bin/sh",
        "args": ["-c", "umask; ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status"],
        "umask": "0031", "limits": {"nofile": [20, 30], "core": 0}, "oom_score": 1000, "no_new_privileges": true, "nice": 19,
        "scheduling": "idle", "io_priority": "idle", "cpu_affinity": [0], "die_with_host": "KILL"}"#;
    let process = Command::from_json(text).expect("command").spawn(&service).expect("spawn");
    assert_eq!(support::finish(&process).text(), "0031\n20\n30\n0\n1000\nNoNewPrivs:\t1\n");
    if support::os::is_root() {
        let text = r#"{"version": 1, "program": "id", "user": "nobody", "primary_group": 1, "supplementary_groups": ["adm", 2],
            "drop_capabilities": ["all"], "keep_ignored": ["HUP"]}"#;
        let process = Command::from_json(text).expect("command").spawn(&service).expect("spawn");
        let said = support::finish(&process).text();
        assert!(said.starts_with("uid=65534(nobody) gid=1(daemon) groups=1(daemon),2(bin),4(adm)"), "{said}");
    }
}

#[test]
fn a_commands_timeout_and_stop_are_those_of_its_json() {
    let service = Service::new(ServiceOptions::default()).expect("service");
    for signal in [r#""SIGUSR1""#, r#""USR1""#, "10"] {
        let text = format!(
            r#"{{"version": 1, "program": "sleep", "args": ["600"], "timeout_ms": 1,
                "stop": {{"signal": {signal}, "scope": "process", "grace_ms": null}}}}"#
        );
        let process = Command::from_json(&text).expect("command").spawn(&service).expect("spawn");
        let info = process.wait(None).expect("wait");
        assert_eq!(info.status(), Some(ExitStatus::Signal { signal: 10, core_dumped: false }));
    }
}

#[test]
fn the_steps_of_a_stop_are_those_of_its_json() {
    let service = Service::new(ServiceOptions::default()).expect("service");
    // SIGURG and SIGWINCH are ignored by default, so only the third step ends it.
    let text = r#"{"version": 1, "program": "sleep", "args": ["600"], "timeout_ms": 1, "stop": {"steps": [
        {"signal": "URG", "grace_ms": 10}, {"signal": "WINCH", "grace_ms": 10}, {"signal": "USR1", "grace_ms": null},
        {"signal": "KILL"}]}}"#;
    let process = Command::from_json(text).expect("command").spawn(&service).expect("spawn");
    let info = process.wait(None).expect("wait");
    assert_eq!(info.status(), Some(ExitStatus::Signal { signal: 10, core_dumped: false }));
}

#[test]
fn a_commands_mistake_is_named_without_a_path_before_it() {
    let error = Command::from_json(r#"{"version": 1, "program": "true", "arg": 1}"#).map(|_| ()).expect_err("refused");
    assert_eq!(error.to_string(), r#"parse command: arg: unknown field, did you mean "args"?"#);
    let error = Command::from_json(r#"{"program": "true"}"#).map(|_| ()).expect_err("refused");
    assert_eq!(error.to_string(), "parse command: version: is missing");
}
