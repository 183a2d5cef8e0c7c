//! Runs that are ended from outside: cancels, deadlines, a service that is closed.

use super::{end_of, error_of, spec, start, states, unlimited};
use crate::{pipeline, quiet, spec_after};
use coreproc::{
    Backoff, Cause, CloseMode, ErrorKind, EventKind, ExitStatus, RunOptions, SpecState, StopOptions,
    SubscriptionOptions,
};
use std::time::Duration;
use support::fifo::Talk;
use support::*;

#[test]
fn cancel_stops_what_runs_skips_the_rest_and_runs_the_clean_up() {
    let mut talk = Talk::new();
    let service = service();
    let mut resting = spec("resting", "exit 1", &[]);
    resting.retries(1, Backoff { first: Duration::from_secs(3600), most: Duration::from_secs(3600) });
    let mut clean = spec_after("clean", talk.tool("notify INBOX cleaned exit 0"), &["waiting"]);
    clean.always_run(true);
    let pipeline = pipeline([
        spec_after("running", talk.tool("notify INBOX up pause"), &[]),
        spec("waiting", "exit 0", &["running"]),
        resting,
        spec("done", "exit 0", &[]),
        clean,
    ]);
    let run = start(&service, &pipeline, unlimited());
    talk.inbox.expect("up");
    eventually("the others have come to where they wait", || {
        let progress = run.progress().expect("progress");
        let counts = (progress.retrying, progress.passed, progress.waiting, progress.running);
        counts == (1, 1, 2, 1) && progress.now.len() == 1
    });
    let now = run.progress().expect("progress").now;
    assert_eq!((now.len(), now[0].index, now[0].name.as_str(), now[0].attempt), (1, 0, "running", 1));
    assert!(service.process(now[0].process_id).is_ok());
    run.cancel().expect("cancel");
    talk.inbox.expect("cleaned");
    let report = end_of(&run);
    assert_eq!(
        states(&report),
        [
            ("running", SpecState::Cancelled),
            ("waiting", SpecState::Skipped),
            ("resting", SpecState::Cancelled),
            ("done", SpecState::Passed),
            ("clean", SpecState::Passed),
        ]
    );
    assert_eq!(error_of(&report, "running"), "cancelled: the run was cancelled");
    assert_eq!(error_of(&report, "waiting"), "skipped: the run was cancelled");
    assert_eq!(report.specs[0].status, Some(ExitStatus::Signal { signal: 15, core_dumped: false }));
    assert!(!report.success());
    run.cancel().expect("fine afterwards");
}

#[test]
fn a_stop_that_is_cancelled_takes_the_whole_stop_policy_and_its_cause_is_told() {
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let mut stubborn = script("ignore 15 text 1 up\\n pause");
    stubborn.stop_options(StopOptions { grace: Some(Duration::from_millis(10)), ..Default::default() });
    let run = start(&service, &pipeline([spec_after("stubborn", stubborn, &[])]), RunOptions::default());
    let mut ending = None;
    loop {
        let batch = subscription.take(0, GUARDED).expect("events");
        for event in batch.events() {
            match event.kind {
                EventKind::Output { .. } => run.cancel().expect("cancel"),
                EventKind::Exited(how) => ending = Some(how),
                _ => {}
            }
        }
        if ending.is_some() {
            break;
        }
    }
    let ending = ending.expect("ending");
    assert_eq!(ending.cause, Cause::Cancelled);
    assert_eq!(ending.status, ExitStatus::Signal { signal: 9, core_dumped: false });
    assert_eq!(end_of(&run).specs[0].state, SpecState::Cancelled);
}

#[test]
fn a_second_cancel_ends_the_clean_up_and_kills_what_has_not_stopped() {
    let mut talk = Talk::new();
    let service = service();
    let mut clean = spec_after("clean", talk.tool("notify INBOX clean pause"), &[]);
    clean.always_run(true);
    let mut never = spec("never", "exit 0", &["clean"]);
    never.always_run(true);
    let mut stubborn = talk.tool("ignore 15 notify INBOX stubborn pause");
    stubborn.stop_options(StopOptions { grace: None, ..Default::default() });
    let pipeline = pipeline([clean, never, spec_after("stubborn", stubborn, &[])]);
    let run = start(&service, &pipeline, unlimited());
    let mut up = [talk.inbox.message().0, talk.inbox.message().0];
    up.sort();
    assert_eq!(up, ["clean", "stubborn"]);
    run.cancel().expect("cancel");
    assert_eq!(run.wait(Some(Duration::from_millis(50))).expect_err("goes on").kind(), ErrorKind::TimedOut);
    run.cancel().expect("cancel again");
    let report = end_of(&run);
    assert_eq!(
        states(&report),
        [("clean", SpecState::Cancelled), ("never", SpecState::Skipped), ("stubborn", SpecState::Cancelled)]
    );
    assert_eq!(report.specs[2].status, Some(ExitStatus::Signal { signal: 9, core_dumped: false }));
}

#[test]
fn a_deadline_cancels_and_says_so() {
    let service = service();
    let mut clean = spec("clean", "exit 0", &["long"]);
    clean.always_run(true);
    let pipeline = pipeline([spec("long", "pause", &[]), spec("next", "exit 0", &["long"]), clean]);
    // On a busy machine a start may take long.
    let options = RunOptions { deadline: Some(Duration::from_secs(1)), ..Default::default() };
    let report = end_of(&start(&service, &pipeline, options));
    assert_eq!(
        states(&report),
        [("long", SpecState::Cancelled), ("next", SpecState::Skipped), ("clean", SpecState::Passed)]
    );
    assert_eq!(error_of(&report, "long"), "cancelled: the deadline of the run passed");
    assert_eq!(error_of(&report, "next"), "skipped: the deadline of the run passed");
}

#[test]
fn closing_the_service_ends_a_run_and_each_spec_says_why() {
    for (mode, state) in [
        (CloseMode::Stop, SpecState::Cancelled),
        (CloseMode::Kill, SpecState::Cancelled),
        (CloseMode::Leave, SpecState::Passed),
    ] {
        let talk = Talk::new();
        let service = service();
        let subscription = service.subscribe(quiet()).expect("subscribe");
        let mut clean = spec("clean", "exit 0", &["next"]);
        clean.always_run(true);
        let pipeline = pipeline([
            spec_after("running", talk.tool("await GATE exit 0"), &[]),
            spec("next", "exit 0", &["running"]),
            clean,
        ]);
        let run = start(&service, &pipeline, RunOptions::default());
        // A child can be up before its spawn has returned; a close then ends it only afterwards.
        let mut started = false;
        while !started {
            let batch = subscription.take(0, GUARDED).expect("events");
            started = batch.events().any(|event| matches!(event.kind, EventKind::SpecStarted));
        }
        service.close(mode).expect("close");
        talk.gate.open(1);
        let report = end_of(&run);
        let expected = [("running", state), ("next", SpecState::Skipped), ("clean", SpecState::Skipped)];
        assert_eq!(states(&report), expected, "{mode:?}");
        assert_eq!(error_of(&report, "next"), "skipped: the service was closed");
        assert_eq!(kind_of(pipeline.start(&service, RunOptions::default())), ErrorKind::Closed);
    }
}

#[test]
fn closing_the_service_ends_what_waits_for_another_attempt() {
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    let mut flaky = spec("flaky", "exit 3", &[]);
    let far = Duration::from_secs(3600);
    flaky.retries(1, Backoff { first: far, most: far });
    let pipeline = pipeline([flaky, spec("next", "exit 0", &["flaky"])]);
    let run = start(&service, &pipeline, RunOptions::default());
    let mut rests = false;
    while !rests {
        let batch = subscription.take(0, GUARDED).expect("events");
        rests = batch.events().any(|event| matches!(event.kind, EventKind::SpecRetrying { .. }));
    }
    service.close(CloseMode::Leave).expect("close");
    let report = end_of(&run);
    assert_eq!(states(&report), [("flaky", SpecState::Cancelled), ("next", SpecState::Skipped)]);
    assert_eq!(error_of(&report, "flaky"), "cancelled: the service was closed");
    assert_eq!(report.specs[0].status, Some(ExitStatus::Code(3)));
}
