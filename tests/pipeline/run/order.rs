//! The order of specs, in each mode, under limits.

use super::{Story, end_of, error_of, spec, start, states, unlimited};
use crate::{pipeline, quiet, spec_after};
use coreproc::{ErrorKind, ExitStatus, Limit, Pipeline, Run, RunMode, RunOptions, Size, Spec, SpecState};
use std::collections::HashMap;
use std::time::Duration;
use support::fifo::Talk;
use support::*;

#[test]
fn specs_pass_with_their_output_and_results_are_in_the_order_of_the_pipeline() {
    let service = service();
    let pipeline = pipeline([
        spec("link", "text 1 linked exit 0", &["compile"]),
        spec("compile", "text 1 out text 2 err exit 0", &[]),
        spec("fail", "text 1 broken exit 7", &[]),
    ]);
    let report = pipeline.run_all(&service).expect("run");
    assert_eq!(
        states(&report),
        [("link", SpecState::Passed), ("compile", SpecState::Passed), ("fail", SpecState::Failed)]
    );
    assert_eq!(report.specs[0].output, b"linked");
    assert_eq!(report.specs[0].after, [1]);
    let mut both = report.specs[1].output.clone();
    both.sort_unstable();
    let mut expected = b"outerr".to_vec();
    expected.sort_unstable();
    assert_eq!(both, expected);
    let failed = &report.specs[2];
    assert_eq!((failed.status, failed.attempts), (Some(ExitStatus::Code(7)), 1));
    assert_eq!(failed.output, b"broken");
    assert_eq!(error_of(&report, "fail"), "exit code 7");
    assert_eq!(report.specs[0].error, None);
    assert!(!report.success());
    let (link, compile) = (report.specs[0].started.expect("ran"), report.specs[1].started.expect("ran"));
    assert!(link.monotonic_ns >= compile.monotonic_ns + report.specs[1].duration.as_nanos() as u64);
    assert!(report.duration >= report.specs[0].duration);
}

#[test]
fn a_spec_starts_when_its_own_dependencies_ended_and_waits_for_no_wave() {
    // Two chains of unequal steps: in waves, b2 would wait for a1, and a2 for b2.
    let mut talk = Talk::new();
    let gate = |name: &str| support::fifo::Gate::new(talk.dir.path(), name);
    let (a1, b2) = (gate("a1"), gate("b2"));
    let service = service();
    let verbs = |gate: &str, name: &str| talk.tool(&format!("notify INBOX {name} await {gate} exit 0"));
    let pipeline = pipeline([
        spec_after("a1", verbs(a1.path(), "a1"), &[]),
        spec_after("a2", talk.tool("notify INBOX a2 exit 0"), &["a1"]),
        spec_after("b1", talk.tool("notify INBOX b1 exit 0"), &[]),
        spec_after("b2", verbs(b2.path(), "b2"), &["b1"]),
        spec_after("b3", talk.tool("notify INBOX b3 exit 0"), &["b2"]),
    ]);
    let run = start(&service, &pipeline, unlimited());
    // a1 runs until told: the other chain comes to its second step meanwhile.
    let mut seen: Vec<String> = (0..3).map(|_| talk.inbox.message().0).collect();
    seen.sort();
    assert_eq!(seen, ["a1", "b1", "b2"]);
    // b2 runs until told: the first chain comes to its end meanwhile.
    a1.open(1);
    talk.inbox.expect("a2");
    b2.open(1);
    talk.inbox.expect("b3");
    let report = end_of(&run);
    assert!(report.success(), "{:?}", states(&report));
}

#[test]
fn at_most_so_many_run_at_a_time_and_the_longest_path_comes_first() {
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    // By their durations, c (9) and its follower (1) make 10, b is 8, a is 5.
    let pipeline = pipeline([
        spec("a", "exit 0", &[]),
        spec("b", "exit 0", &[]),
        spec("c", "exit 0", &[]),
        spec("d", "exit 0", &["c"]),
    ]);
    let durations = [("a", 5), ("b", 8), ("c", 9), ("d", 1)];
    let durations: HashMap<String, Duration> =
        durations.into_iter().map(|(name, s)| (name.to_owned(), Duration::from_secs(s))).collect();
    let run = start(&service, &pipeline, RunOptions { limit: Limit::At(1), durations, ..Default::default() });
    assert_eq!(Story::of(&subscription, &run).order(), "+2 -2 +1 -1 +0 -0 +3 -3");
    assert_eq!(end_of(&run).limit, 1);

    // Without durations each counts the same, so c, which has a dependent, is first.
    let run = start(&service, &pipeline, RunOptions { limit: Limit::At(1), ..Default::default() });
    assert_eq!(Story::of(&subscription, &run).order(), "+2 -2 +0 -0 +1 -1 +3 -3");
}

#[test]
fn a_sequence_keeps_the_order_of_the_pipeline_and_stops_at_the_first_failure() {
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    let pipeline = pipeline([
        spec("late", "exit 0", &["early"]),
        spec("first", "exit 0", &[]),
        spec("early", "exit 0", &[]),
        spec("allowed", "exit 1", &[]).allow_failure(true).clone(),
        spec("wrong", "exit 2", &[]),
        spec("rest", "exit 0", &[]),
        spec("clean", "exit 0", &["late"]).always_run(true).clone(),
    ]);
    let options = RunOptions { mode: RunMode::Sequential, limit: Limit::None, ..Default::default() };
    let run = start(&service, &pipeline, options);
    let order = Story::of(&subscription, &run).order();
    assert_eq!(order, "+1 -1 +2 -2 +0 -0 +3 -3 +4 -4 -5 +6 -6");
    let report = end_of(&run);
    assert_eq!(error_of(&report, "rest"), "skipped: \"wrong\" failed");
    assert_eq!(report.count(SpecState::Failed), 2);
    assert_eq!(report.limit, 1);
}

#[test]
fn in_parallel_nothing_waits_for_what_it_comes_after() {
    let mut talk = Talk::new();
    let service = service();
    let wait = |name: &str| talk.tool(&format!("notify INBOX {name} await GATE exit 0"));
    let pipeline = pipeline([
        spec_after("b", wait("b"), &["a"]),
        spec_after("a", wait("a"), &[]),
        spec_after("c", wait("c"), &["b"]),
    ]);
    let options = RunOptions { mode: RunMode::Parallel, limit: Limit::None, ..Default::default() };
    let run = start(&service, &pipeline, options);
    let mut seen: Vec<String> = (0..3).map(|_| talk.inbox.message().0).collect();
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    talk.gate.open(3);
    let report = end_of(&run);
    assert!(report.success() && report.specs.iter().all(|spec| spec.after.is_empty()));
}

#[test]
fn an_empty_pipeline_is_a_success() {
    let service = service();
    for mode in [RunMode::All, RunMode::Sequential, RunMode::Parallel] {
        let run = start(&service, &Pipeline::new(), RunOptions { mode, ..Default::default() });
        assert!(end_of(&run).success());
    }
}

#[test]
fn a_chain_and_a_fan_of_many_specs_run_to_their_end() {
    let service = service();
    let many = count("specs of a chain, and of a fan", 3_000) as usize;
    let command = script("exit 0");
    let chain = pipeline((0..many).map(|i| {
        let mut spec = Spec::new(format!("s{i}"), command.clone());
        if i > 0 {
            spec.after(format!("s{}", i - 1));
        }
        spec
    }));
    let report = chain.run_all(&service).expect("chain");
    assert_eq!(report.count(SpecState::Passed), many);
    let ends = |i: usize| report.specs[i].started.expect("ran").monotonic_ns;
    assert!((1..many).all(|i| ends(i - 1) <= ends(i)));

    let mut fan = Pipeline::new();
    fan.add(Spec::new("root", command.clone()));
    let mut last = Spec::new("last", command.clone());
    for i in 0..many {
        fan.add(spec_after(&format!("s{i}"), command.clone(), &["root"]));
        last.after(format!("s{i}"));
    }
    fan.add(last);
    assert!(fan.run_all(&service).expect("fan").success());

    // One failure skips all of them, one after the other.
    let mut chain = chain;
    chain.add(spec("x", "exit 0", &[&format!("s{}", many - 1)]));
    let mut failing = pipeline([spec("s", "exit 1", &[])]);
    for (i, spec) in chain.specs().iter().enumerate() {
        let mut spec = spec.clone();
        if i == 0 {
            spec.after("s");
        }
        failing.add(spec);
    }
    let report = failing.run_all(&service).expect("run");
    assert_eq!(report.count(SpecState::Skipped), many + 1);
    assert_eq!(error_of(&report, "x"), "skipped: \"s\" failed");
}

#[test]
fn a_background_process_that_holds_the_pipe_delays_the_end_of_the_run_but_no_other_spec() {
    let mut talk = Talk::new();
    let service = service();
    let mut leaves = talk.tool("fork plain await GATE text 1 late end text 1 early exit 0");
    leaves.drain(coreproc::Drain { silence: Duration::from_secs(3600), total: Duration::from_secs(3600) });
    let pipeline = pipeline([
        spec_after("leaves", leaves, &[]),
        spec_after("next", talk.tool("notify INBOX next exit 0"), &["leaves"]),
    ]);
    let run = start(&service, &pipeline, RunOptions::default());
    talk.inbox.expect("next");
    eventually("both have passed", || run.progress().expect("progress").passed == 2);
    assert_eq!(run.wait(Some(Duration::ZERO)).expect_err("its output goes on").kind(), ErrorKind::TimedOut);
    assert!(!run.progress().expect("progress").ended);
    talk.gate.open(1);
    assert_eq!(end_of(&run).specs[0].output, b"earlylate");
}

#[test]
fn captures_keep_the_last_bytes_of_each_spec_and_count_the_rest() {
    let service = service();
    let noisy = |size| {
        let mut command = script("piece 1 300000 1 piece 2 300000 2 text 1 END exit 0");
        command.capture(size);
        command
    };
    let pipeline = pipeline([
        spec_after("small", noisy(Size::Bytes(1000)), &[]),
        spec_after("none", noisy(Size::None), &[]),
        spec_after("all", noisy(Size::Default), &[]),
    ]);
    let report = pipeline.run_all(&service).expect("run");
    let sizes: Vec<_> = report.specs.iter().map(|spec| (spec.output.len(), spec.dropped_bytes)).collect();
    assert_eq!((sizes[0], sizes[2]), ((1000, 599_003), (600_003, 0)));
    assert_eq!(sizes[1].0, 0);
    assert!(report.specs[0].output.ends_with(b"END"), "both streams, the last bytes");
}

#[test]
fn one_pipeline_can_run_several_times_at_once() {
    let service = service();
    let pipeline = pipeline([spec("a", "text 1 a exit 0", &[]), spec("b", "text 1 b exit 0", &["a"])]);
    let runs: Vec<Run> = (0..20).map(|_| start(&service, &pipeline, RunOptions::default())).collect();
    let mut ids: Vec<u64> = runs.iter().map(Run::id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    for run in &runs {
        let report = end_of(run);
        assert!(report.success() && report.specs[1].output == b"b");
    }
    assert_eq!((runs[0].spec_count(), runs[0].spec_name(1), runs[0].spec_name(2)), (2, Some("b"), None));
}
