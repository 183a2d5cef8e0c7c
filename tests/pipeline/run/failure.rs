//! Failures: what they skip, what is tried again, what runs all the same.

use super::{Story, end_of, error_of, spec, start, states, unlimited};
use crate::{pipeline, quiet, spec_after};
use coreproc::{Backoff, Command, ExitStatus, OnFailure, RunMode, RunOptions, Scope, SpecState};
use std::time::Duration;
use support::fifo::Talk;
use support::*;

#[test]
fn a_failure_skips_what_comes_after_it_through_others_too_and_nothing_else() {
    let service = service();
    let pipeline = pipeline([
        spec("bad", "exit 3", &[]),
        spec("next", "exit 0", &["bad"]),
        spec("next but one", "exit 0", &["next", "good"]),
        spec("good", "exit 0", &[]),
        spec("after good", "exit 0", &["good"]),
    ]);
    let report = pipeline.run_all(&service).expect("run");
    assert_eq!(
        states(&report),
        [
            ("bad", SpecState::Failed),
            ("next", SpecState::Skipped),
            ("next but one", SpecState::Skipped),
            ("good", SpecState::Passed),
            ("after good", SpecState::Passed),
        ]
    );
    assert_eq!(error_of(&report, "next"), "skipped: \"bad\" failed");
    assert_eq!(error_of(&report, "next but one"), "skipped: \"bad\" failed");
    let skipped = &report.specs[1];
    assert_eq!((skipped.status, skipped.attempts, skipped.started), (None, 0, None));
    assert!(!report.success());
}

#[test]
fn an_allowed_failure_counts_but_skips_nothing_and_is_no_obstacle_to_success() {
    let service = service();
    let mut allowed = spec("flaky", "exit 3", &[]);
    allowed.allow_failure(true);
    let report = pipeline([allowed, spec("next", "exit 0", &["flaky"])]).run_all(&service).expect("run");
    assert_eq!(states(&report), [("flaky", SpecState::Failed), ("next", SpecState::Passed)]);
    assert!(report.success() && report.specs[0].allow_failure);
}

#[test]
fn a_start_that_fails_a_signal_and_a_timeout_say_what_happened() {
    let service = service();
    let mut slow = script("pause");
    slow.timeout(Duration::from_millis(20));
    let mut polite = script("on 15 0 pause");
    polite.timeout(Duration::from_millis(200));
    let pipeline = pipeline([
        spec_after("missing", Command::new("/does/not/exist"), &[]),
        spec("killed", "raise 9", &[]),
        spec_after("slow", slow, &[]),
        spec_after("polite", polite, &[]),
        spec("next", "exit 0", &["slow"]),
    ]);
    let report = pipeline.run_all(&service).expect("run");
    assert_eq!(
        states(&report),
        [
            ("missing", SpecState::Failed),
            ("killed", SpecState::Failed),
            ("slow", SpecState::TimedOut),
            ("polite", SpecState::TimedOut),
            ("next", SpecState::Skipped),
        ]
    );
    assert!(error_of(&report, "missing").starts_with("spawn \"/does/not/exist\": exec: "), "{report:?}");
    let missing = &report.specs[0];
    assert_eq!((missing.status, missing.attempts, missing.started.is_some()), (None, 1, true));
    assert_eq!(error_of(&report, "killed"), "signal 9 (SIGKILL)");
    assert_eq!(report.specs[1].status, Some(ExitStatus::Signal { signal: 9, core_dumped: false }));
    assert_eq!(error_of(&report, "slow"), "timed out after 20 ms");
    assert_eq!(report.specs[3].status, Some(ExitStatus::Code(0)));
    assert_eq!(error_of(&report, "next"), "skipped: \"slow\" timed out");
}

#[test]
fn fail_fast_stops_what_runs_and_skips_the_rest_but_not_the_clean_up() {
    let mut talk = Talk::new();
    let service = service();
    let mut clean = spec_after("clean", talk.tool("notify INBOX cleaned exit 0"), &["long", "bad"]);
    clean.always_run(true);
    let pipeline = pipeline([
        spec_after("long", talk.tool("notify INBOX long pause"), &[]),
        spec_after("bad", talk.tool("await GATE exit 1"), &[]),
        spec("other", "exit 0", &["long"]),
        clean,
    ]);
    let options = RunOptions { on_failure: OnFailure::FailFast, ..unlimited() };
    let run = start(&service, &pipeline, options);
    talk.inbox.expect("long");
    talk.gate.open(1);
    talk.inbox.expect("cleaned");
    let report = end_of(&run);
    assert_eq!(
        states(&report),
        [
            ("long", SpecState::Cancelled),
            ("bad", SpecState::Failed),
            ("other", SpecState::Skipped),
            ("clean", SpecState::Passed),
        ]
    );
    assert_eq!(error_of(&report, "long"), "cancelled: \"bad\" failed");
    assert_eq!(error_of(&report, "other"), "skipped: \"bad\" failed");
}

#[test]
fn attempts_are_repeated_while_they_fail_and_each_is_a_process() {
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    let dir = tempfile::tempdir().expect("tempdir");
    let counter = dir.path().join("count");
    // The third attempt finds two lines.
    let third = sh(&format!("echo x >> {0}; echo attempt; test $(wc -l < {0}) = 3", counter.display()));
    let mut flaky = spec_after("flaky", third, &[]);
    flaky.retries(5, Backoff { first: Duration::from_millis(1), most: Duration::from_millis(2) });
    let mut hopeless = spec("hopeless", "exit 4", &["flaky"]);
    hopeless.retries(2, Backoff { first: Duration::ZERO, most: Duration::ZERO });
    let mut missing = spec_after("missing", Command::new("/does/not/exist"), &["hopeless"]);
    missing.always_run(true).retries(1, Backoff { first: Duration::ZERO, most: Duration::ZERO });
    let run = start(&service, &pipeline([flaky, hopeless, missing]), RunOptions::default());
    let story = Story::of(&subscription, &run);
    assert_eq!(story.order(), "+0 ~0 +0 ~0 +0 -0 +1 ~1 +1 ~1 +1 -1 +2 ~2 +2 -2");
    let attempts: Vec<u32> = story.0.iter().filter(|(_, spec, _)| *spec == Some(0)).map(|(.., n)| *n).collect();
    assert_eq!(attempts, [1, 1, 2, 2, 3, 3]);
    let report = end_of(&run);
    let of = |i: usize| (report.specs[i].state, report.specs[i].attempts);
    assert_eq!([of(0), of(1), of(2)], [(SpecState::Passed, 3), (SpecState::Failed, 3), (SpecState::Failed, 2)]);
    assert_eq!(report.specs[0].output, b"attempt\n", "of the last attempt");
}

#[test]
fn in_a_sequence_the_next_spec_waits_until_an_attempt_is_repeated() {
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    let mut first = spec("first", "exit 1", &[]);
    first.retries(1, Backoff { first: Duration::from_millis(20), most: Duration::from_secs(1) }).allow_failure(true);
    let options = RunOptions { mode: RunMode::Sequential, ..Default::default() };
    let run = start(&service, &pipeline([first, spec("second", "exit 0", &[])]), options);
    assert_eq!(Story::of(&subscription, &run).order(), "+0 ~0 +0 -0 +1 -1");
}

#[test]
fn clean_up_runs_after_a_failure_and_what_comes_after_it_goes_by_it() {
    let service = service();
    let mut clean = spec("clean", "exit 0", &["skipped"]);
    clean.always_run(true);
    let pipeline = pipeline([
        spec("bad", "exit 1", &[]),
        spec("skipped", "exit 0", &["bad"]),
        clean,
        spec("after clean", "exit 0", &["clean"]),
    ]);
    let report = pipeline.run_all(&service).expect("run");
    assert_eq!(
        states(&report),
        [
            ("bad", SpecState::Failed),
            ("skipped", SpecState::Skipped),
            ("clean", SpecState::Passed),
            ("after clean", SpecState::Passed),
        ]
    );
    assert!(!report.success());
}

#[test]
fn a_process_that_another_stops_or_kills_has_failed() {
    let mut talk = Talk::new();
    let service = service();
    let pipeline = pipeline([
        spec_after("stopped", talk.tool("on 15 0 notify INBOX stopped pause"), &[]),
        spec_after("killed", talk.tool("notify INBOX killed pause"), &[]),
    ]);
    let run = start(&service, &pipeline, unlimited());
    for _ in 0..2 {
        let (name, pid) = talk.inbox.message();
        let mut id = None;
        // The process can be faster than the return of its spawn.
        eventually("it is known to run", || {
            let now = run.progress().expect("progress").now;
            id = now.iter().find(|spec| spec.name == name).map(|spec| spec.process_id);
            id.is_some()
        });
        let process = service.process(id.expect("an id")).expect("process");
        assert_eq!(process.pid(), pid);
        if name == "stopped" { process.stop(None) } else { process.kill(Scope::Default) }.expect("sent");
    }
    let report = end_of(&run);
    assert_eq!(states(&report), [("stopped", SpecState::Failed), ("killed", SpecState::Failed)]);
    assert_eq!(error_of(&report, "stopped"), "stopped by another: exit code 0");
    assert_eq!(error_of(&report, "killed"), "killed by another: signal 9 (SIGKILL)");
}
