//! The events of a run under way.

use super::{end_of, spec, start};
use crate::{pipeline, quiet, spec_after};
use coreproc::{
    CloseMode, ErrorKind, EventKind, ExitStatus, RunOptions, Service, SpecState, State, SubscriptionOptions,
    SubscriptionScope,
};
use std::time::Duration;
use support::fifo::Talk;
use support::*;

#[test]
fn the_processes_of_a_run_are_had_from_their_events_also_when_they_are_closed() {
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let specs = ["a", "b"].map(|name| spec_after(name, script(&format!("text 1 {name}\\n")), &[]));
    let run = start(&service, &pipeline(specs), RunOptions::default());
    end_of(&run);

    let mut outputs = Vec::new();
    let mut last = None;
    while let Ok(batch) = subscription.take(0, Some(Duration::ZERO)) {
        if batch.process_id() == run.id() {
            assert_eq!(batch.process().err().map(|error| error.kind()), Some(ErrorKind::NotFound), "a run is none");
            continue;
        }
        let process = batch.process().expect("process");
        assert_eq!(process.id(), batch.process_id());
        assert_eq!(process.info().expect("info").state, State::Closed);
        outputs.push(String::from_utf8(process.output().expect("output")).expect("text"));
        last = Some(batch);
    }
    outputs.sort();
    outputs.dedup();
    assert_eq!(outputs, ["a\n", "b\n"]);

    let held = last.expect("a batch");
    subscription.close().expect("close");
    assert_eq!(held.process().err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

#[test]
fn a_run_outlives_its_handle_and_that_of_its_service() {
    let mut talk = Talk::new();
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    let pipeline = pipeline([
        spec_after("a", talk.tool("await GATE exit 0"), &[]),
        spec_after("b", talk.tool("notify INBOX b exit 0"), &["a"]),
    ]);
    let run = start(&service, &pipeline, RunOptions::default());
    let id = run.id();
    drop((run, service));
    talk.gate.open(1);
    talk.inbox.expect("b");
    let mut ended = false;
    while let Ok(batch) = subscription.take(0, GUARDED) {
        for event in batch.events().filter(|event| event.process_id == id) {
            ended = ended || event.kind == EventKind::RunEnded { success: true };
        }
    }
    assert!(ended, "the stream ends after the run");
}

#[test]
fn waiting_inside_a_callback_is_refused_and_a_look_is_not() {
    let talk = Talk::new();
    let service = service();
    let late = pipeline([spec("late", "exit 0", &[])]);
    let pipeline = pipeline([spec_after("a", talk.tool("await GATE exit 0"), &[])]);
    let run = start(&service, &pipeline, RunOptions::default());
    let (told, kinds) = std::sync::mpsc::channel();
    let (inside, other) = (run.clone(), Service::new(Default::default()).expect("service"));
    let listener = service.listen(quiet(), move |_| {
        let whole = kind_of(late.run_all(&other));
        assert_eq!(other.count(), 0);
        told.send((kind_of(inside.wait(None)), kind_of(inside.wait(Some(Duration::ZERO))), whole)).expect("told");
    });
    finish(&script("exit 0").spawn(&service).expect("spawn"));
    assert_eq!(kinds.recv().expect("told"), (ErrorKind::Deadlock, ErrorKind::TimedOut, ErrorKind::Deadlock));
    listener.expect("listen").close().expect("close");
    talk.gate.open(1);
    assert!(end_of(&run).success());
}

#[test]
fn events_of_a_run_are_in_order_and_those_of_its_processes_name_their_spec() {
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let pipeline = pipeline([
        spec("build", "text 1 one\\n exit 0", &[]),
        spec("test", "text 1 two\\n exit 1", &["build"]),
        spec("ship", "exit 0", &["test"]),
    ]);
    let run = start(&service, &pipeline, RunOptions::default());
    end_of(&run);
    service.close(CloseMode::Leave).expect("close");
    let (mut story, mut lines) = (Vec::new(), Vec::new());
    while let Ok(batch) = subscription.take(0, GUARDED) {
        for event in batch.events() {
            let part = event.part.expect("all are of the run");
            assert_eq!(part.run_id, run.id());
            if event.process_id == run.id() {
                assert_eq!((event.pid, event.sequence), (0, story.len() as u64 + 1));
                story.push((event.kind, part.spec, part.attempt, lossy(event.data)));
            } else {
                assert_eq!(part.attempt, 1);
                if let EventKind::Output { .. } = event.kind {
                    lines.push((part.spec, lossy(event.data)));
                }
            }
        }
    }
    lines.sort();
    assert_eq!(lines, [(Some(0), "one".to_owned()), (Some(1), "two".to_owned())]);
    let ended = |state, status: Option<i32>| EventKind::SpecEnded { state, status: status.map(ExitStatus::Code) };
    let text = |text: &str| text.to_owned();
    assert_eq!(
        story,
        [
            (EventKind::RunStarted, None, 0, text("")),
            (EventKind::SpecStarted, Some(0), 1, text("build")),
            (ended(SpecState::Passed, Some(0)), Some(0), 1, text("")),
            (EventKind::SpecStarted, Some(1), 1, text("test")),
            (ended(SpecState::Failed, Some(1)), Some(1), 1, text("exit code 1")),
            (ended(SpecState::Skipped, None), Some(2), 0, text("skipped: \"test\" failed")),
            (EventKind::RunEnded { success: false }, None, 0, text("")),
        ]
    );
}

#[test]
fn a_named_subscription_gets_the_runs_that_name_it_with_their_processes_and_no_others() {
    let service = service();
    let named = SubscriptionOptions { scope: SubscriptionScope::Named, ..quiet() };
    let subscription = service.subscribe(named).expect("subscribe");
    let pipeline = pipeline([spec("a", "exit 0", &[])]);
    let (other, run) = (
        start(&service, &pipeline, RunOptions::default()),
        start(&service, &pipeline, RunOptions { subscriptions: vec![subscription.clone()], ..Default::default() }),
    );
    end_of(&other);
    end_of(&run);
    service.close(CloseMode::Leave).expect("close");
    let mut runs = Vec::new();
    let mut sources = Vec::new();
    while let Ok(batch) = subscription.take(0, GUARDED) {
        runs.extend(batch.events().map(|event| event.part.expect("a part").run_id));
        sources.push(batch.process_id());
    }
    assert!(runs.iter().all(|id| *id == run.id()), "{runs:?}");
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), 2, "the run and its process: {sources:?}");

    let elsewhere = support::service();
    let foreign = RunOptions { subscriptions: vec![subscription], ..Default::default() };
    assert_eq!(kind_of(pipeline.start(&elsewhere, foreign)), ErrorKind::InvalidArgument);
}

#[test]
fn processes_outside_runs_are_part_of_none() {
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    finish(&script("exit 0").spawn(&service).expect("spawn"));
    let batch = subscription.take(0, GUARDED).expect("events");
    assert!(batch.events().all(|event| event.part.is_none()));
}
