//! The C examples of pipelines, as `make demo` runs them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::c_program::Linkage;
use support::lossy;
use support::tree::{Scratch, library, root};

/// Returns the example program, linked with the library of this build.
fn example(scratch: &Scratch) -> Command {
    let library = library();
    let source = root().join("bindings/c/examples/pipeline.c");
    let program = Linkage::plain(&library).compile(&source, "pipeline", scratch);
    let mut command = Command::new(program);
    command.current_dir(root()).env("DEMO_WORK", scratch.path().join("work"));
    command
}

fn run(command: &mut Command, file: &Path, rest: &[&Path]) -> Output {
    command.arg(file).args(rest).output().expect("the example")
}

#[test]
fn the_example_pipeline_ends_as_it_says_and_writes_its_chart() {
    let scratch = Scratch::new("example");
    let (chart, history) = (scratch.path().join("chart.svg"), scratch.path().join("history.json"));
    for _ in 0..2 {
        let ended = run(&mut example(&scratch), Path::new("examples/pipeline.json"), &[&chart, &history]);
        let said = lossy(&ended.stdout);
        assert_eq!((ended.status.code(), lossy(&ended.stderr).as_str()), (Some(1), ""), "{said}");
        let lines: Vec<&str> = said.lines().collect();
        let (rest, last) = lines.split_at(lines.len() - 4);
        assert_eq!(
            last,
            [
                "fetch: passed at attempt 2",
                "lint-c89: exit code 1 (allowed)",
                "sign: exit code 3",
                "publish: skipped: \"sign\" failed"
            ]
        );
        assert!(rest.iter().any(|line| line.ends_with(": 8 passed, 2 failed, 1 skipped, 1 of the failures allowed")));
        assert!(rest.contains(&"fetch       | fetched from the mirror"), "{said}");
        assert!(fs::read_to_string(&chart).expect("chart").starts_with("<svg "));
        assert!(fs::read_to_string(&history).expect("history").contains("\"compile\""));
        assert!(!scratch.path().join("work").exists(), "the clean-up ran");
    }
}

#[test]
fn what_was_skipped_or_cancelled_is_no_failure_that_was_allowed() {
    let scratch = Scratch::new("example-allowed");
    let file = scratch.path().join("pipeline.json");
    let specs = r#"{"version": 1, "specs": [
        {"name": "fails", "command": ["false"]},
        {"name": "lint", "command": ["false"], "allow_failure": true},
        {"name": "skipped", "command": ["true"], "after": ["fails"], "allow_failure": true}]}"#;
    fs::write(&file, specs).expect("write");
    let ended = run(&mut example(&scratch), &file, &[]);
    let said = lossy(&ended.stdout);
    let list = ["fails: exit code 1", "lint: exit code 1 (allowed)", "skipped: skipped: \"fails\" failed"];
    assert_eq!(said.lines().skip_while(|line| !line.starts_with("FAILED")).skip(1).collect::<Vec<_>>(), list);
}

#[test]
fn the_example_says_what_it_cannot_run() {
    let scratch = Scratch::new("example-bad");
    let file = scratch.path().join("pipeline.json");
    fs::write(&file, r#"{"version": 1, "spec": []}"#).expect("write");
    let ended = run(&mut example(&scratch), &file, &[]);
    let message = "pipeline: parse pipeline: spec: unknown field, did you mean \"specs\"?\n";
    assert_eq!((ended.status.code(), lossy(&ended.stderr).as_str()), (Some(2), message));
    assert_eq!(run(&mut example(&scratch), &scratch.path().join("missing"), &[]).status.code(), Some(2));
}

#[test]
fn an_interrupted_example_stops_what_runs_and_waits_for_what_always_runs() {
    let scratch = Scratch::new("example-interrupted");
    let file = scratch.path().join("pipeline.json");
    let specs = r#"{"version": 1, "specs": [
        {"name": "waits", "command": ["sh", "-c", "echo ready; exec sleep 1000"]},
        {"name": "clean", "after": ["waits"], "command": ["sh", "-c", "sleep 0.2; echo cleaned"], "always_run": true}]}"#;
    fs::write(&file, specs).expect("write");
    let mut command = example(&scratch);
    let mut host = command.arg(&file).stdout(Stdio::piped()).spawn().expect("the example");
    let mut said = String::new();
    let mut output = BufReader::new(host.stdout.take().expect("its output"));
    while !said.ends_with("waits | ready\n") {
        assert!(output.read_line(&mut said).expect("read") > 0, "{said}");
    }
    let interrupted = Command::new("kill").args(["-INT", &host.id().to_string()]).status().expect("kill");
    assert!(interrupted.success());
    output.read_to_string(&mut said).expect("read");
    assert_eq!(host.wait().expect("wait").code(), Some(1), "{said}");
    for line in ["clean | cleaned", "waits: cancelled: the run was cancelled"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
}
