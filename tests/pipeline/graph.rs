//! Pipelines: what is checked before anything starts, the order in which specs run, and how each ends.

use coreproc::{
    Backoff, Cause, CloseMode, Command, Delivery, ErrorKind, EventKind, ExitStatus, Group, Limit, OnFailure, Pipeline,
    ProblemKind, Run, RunMode, RunOptions, RunReport, Scope, Service, Size, Spec, SpecState, State, StopOptions,
    Subscription, SubscriptionOptions, SubscriptionScope,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use support::events::Kept;
use support::fifo::Talk;
use support::*;

/// A spec that runs the child program.
fn spec(name: &str, verbs: &str, after: &[&str]) -> Spec {
    of(name, script(verbs), after)
}

fn of(name: &str, command: Command, after: &[&str]) -> Spec {
    let mut spec = Spec::new(name, command);
    for name in after {
        spec.after(*name);
    }
    spec
}

fn pipeline(specs: impl IntoIterator<Item = Spec>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for spec in specs {
        pipeline.add(spec);
    }
    pipeline
}

fn unlimited() -> RunOptions {
    RunOptions { limit: Limit::None, ..Default::default() }
}

fn start(service: &Service, pipeline: &Pipeline, options: RunOptions) -> Run {
    pipeline.start(service, options).expect("start")
}

fn end_of(run: &Run) -> Arc<RunReport> {
    run.wait(GUARDED).expect("the run ends")
}

fn states(report: &RunReport) -> Vec<(&str, SpecState)> {
    report.specs.iter().map(|spec| (spec.name.as_str(), spec.state)).collect()
}

#[track_caller]
fn error_of<'a>(report: &'a RunReport, name: &str) -> &'a str {
    let spec = report.specs.iter().find(|spec| spec.name == name).expect("a spec of this name");
    spec.error.as_deref().unwrap_or("")
}

/// The events of one run, its first to its last.
struct Story(Vec<(Kept, Option<usize>, u32)>);

impl Story {
    #[track_caller]
    fn of(subscription: &Subscription, run: &Run) -> Story {
        let mut story = Vec::new();
        loop {
            let batch = subscription.take(0, GUARDED).expect("events");
            if batch.process_id() != run.id() {
                continue;
            }
            for event in batch.events() {
                let part = event.part.expect("a part");
                assert_eq!(part.run_id, run.id());
                story.push((Kept::of(&event), part.spec, part.attempt));
                if matches!(event.kind, EventKind::RunEnded { .. }) {
                    return Story(story);
                }
            }
        }
    }

    /// `+0` for the start of an attempt of the first spec, `~0` for one that is to be repeated, `-0` for its end.
    fn order(&self) -> String {
        let steps = self.0.iter().filter_map(|(event, spec, _)| {
            let sign = match event.kind {
                EventKind::SpecStarted => '+',
                EventKind::SpecRetrying { .. } => '~',
                EventKind::SpecEnded { .. } => '-',
                _ => return None,
            };
            Some(format!("{sign}{}", spec.expect("a spec")))
        });
        steps.collect::<Vec<_>>().join(" ")
    }
}

// The graph.

#[track_caller]
fn problem(pipeline: &Pipeline) -> String {
    let error = pipeline.check().expect_err("a problem");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let text = error.to_string();
    text.strip_prefix("check pipeline: ").expect("the operation").to_owned()
}

#[test]
fn each_mistake_in_a_graph_is_named_with_its_place() {
    let build = || spec("build", "exit 0", &[]);
    for (specs, expected) in [
        (
            vec![build(), spec("test", "exit 0", &["biuld"])],
            "specs[1].after[0]: unknown spec \"biuld\", did you mean \"build\"?",
        ),
        (vec![build(), spec("test", "exit 0", &["deploy"])], "specs[1].after[0]: unknown spec \"deploy\""),
        (vec![build(), build()], "specs[1].name: \"build\" is the name of specs[0] already"),
        (vec![build(), spec("", "exit 0", &[])], "specs[1].name: is empty"),
        (vec![build(), spec("test", "exit 0", &["build", ""])], "specs[1].after[1]: is empty"),
        (vec![build(), spec("test", "exit 0", &["build", "build"])], "specs[1].after[1]: \"build\" is named twice"),
        (vec![spec("test", "exit 0", &["test"])], "specs[0].after[0]: \"test\" is the spec itself"),
        (vec![build(), of("test", Command::new(""), &[])], "specs[1].command: program: is empty"),
    ] {
        let pipeline = pipeline(specs);
        assert_eq!(problem(&pipeline), expected);
        let service = service();
        let refused = pipeline.start(&service, RunOptions::default()).err().expect("refused");
        assert_eq!(refused.to_string(), format!("start run: {expected}"));
        assert_eq!(service.count(), 0);
    }
}

#[test]
fn a_dependency_that_is_named_twice_is_refused_as_such_known_or_not() {
    let pipeline = pipeline([spec("a", "exit 0", &[]), spec("b", "exit 0", &["nobody", "a", "nobody", "a", "nobody"])]);
    let found: Vec<_> = pipeline.problems().into_iter().map(|p| (p.kind, p.place, p.message)).collect();
    let place = |number: usize| format!("specs[1].after[{number}]");
    let twice = |name: &str| format!("{name:?} is named twice");
    assert_eq!(
        found,
        [
            (ProblemKind::UnknownDependency, place(0), "unknown spec \"nobody\"".to_owned()),
            (ProblemKind::DuplicateDependency, place(2), twice("nobody")),
            (ProblemKind::DuplicateDependency, place(3), twice("a")),
            (ProblemKind::DuplicateDependency, place(4), twice("nobody")),
        ]
    );
}

#[test]
fn a_cycle_is_named_spec_by_spec() {
    let pipeline = pipeline([
        spec("lone", "exit 0", &[]),
        spec("a", "exit 0", &["b"]),
        spec("b", "exit 0", &["lone", "c"]),
        spec("c", "exit 0", &["a"]),
        spec("behind", "exit 0", &["c"]),
    ]);
    assert_eq!(problem(&pipeline), "specs[1].after: cycle: \"a\" -> \"b\" -> \"c\" -> \"a\", each after the next");
    let problems = pipeline.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].kind, ProblemKind::Cycle);
    assert_eq!(problems[0].specs, [1, 2, 3]);
}

#[test]
fn every_problem_is_told_each_knot_of_cycles_once() {
    let pipeline = pipeline([
        spec("a", "exit 0", &["b", "c"]),
        spec("b", "exit 0", &["a"]),
        spec("c", "exit 0", &["b", "nobody"]),
        spec("x", "exit 0", &["y"]),
        spec("y", "exit 0", &["x", "x"]),
    ]);
    let found: Vec<_> = pipeline.problems().into_iter().map(|p| (p.kind, p.specs, p.place)).collect();
    let place = |text: &str| text.to_owned();
    assert_eq!(
        found,
        [
            (ProblemKind::UnknownDependency, vec![2], place("specs[2].after[1]")),
            (ProblemKind::DuplicateDependency, vec![4, 3], place("specs[4].after[1]")),
            (ProblemKind::Cycle, vec![0, 1, 2], place("specs[0].after")),
            (ProblemKind::Cycle, vec![3, 4], place("specs[3].after")),
        ]
    );
    assert!(problem(&pipeline).ends_with("(and 3 more problems)"), "{}", problem(&pipeline));
}

#[test]
fn a_chain_and_a_cycle_of_a_hundred_thousand_specs_need_no_deep_stack() {
    let count = 100_000;
    let checked = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        let command = script("exit 0");
        let link = |i: usize, after: usize| of(&format!("s{i}"), command.clone(), &[&format!("s{after}")]);
        // Backwards, so that what a naive walk comes to first is deepest.
        let mut chain = pipeline((0..count - 1).map(|i| link(i, i + 1)));
        chain.add(of(&format!("s{}", count - 1), command.clone(), &[]));
        chain.check().expect("a chain is fine");
        let ring = pipeline((0..count).map(|i| link(i, (i + 1) % count)));
        let problems = ring.problems();
        assert_eq!((problems.len(), problems[0].specs.len()), (1, count));
        assert!(problems[0].message.contains(&format!("({} more) -> \"s0\"", count - 50)), "{}", problems[0].message);
    });
    checked.expect("thread").join().expect("checked");
}

// Order.

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
        of("a1", verbs(a1.path(), "a1"), &[]),
        of("a2", talk.tool("notify INBOX a2 exit 0"), &["a1"]),
        of("b1", talk.tool("notify INBOX b1 exit 0"), &[]),
        of("b2", verbs(b2.path(), "b2"), &["b1"]),
        of("b3", talk.tool("notify INBOX b3 exit 0"), &["b2"]),
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
    // By durations: c (9) and its follower (1) make 10, b is 8, a is 5.
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

    // Without durations each counts the same: c, which something comes after, is first.
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
    let pipeline = pipeline([of("b", wait("b"), &["a"]), of("a", wait("a"), &[]), of("c", wait("c"), &["b"])]);
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
        fan.add(of(&format!("s{i}"), command.clone(), &["root"]));
        last.after(format!("s{i}"));
    }
    fan.add(last);
    assert!(fan.run_all(&service).expect("fan").success());

    // One failure skips them all, one after the other.
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

// Failure.

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
        of("missing", Command::new("/does/not/exist"), &[]),
        spec("killed", "raise 9", &[]),
        of("slow", slow, &[]),
        of("polite", polite, &[]),
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
    let mut clean = of("clean", talk.tool("notify INBOX cleaned exit 0"), &["long", "bad"]);
    clean.always_run(true);
    let pipeline = pipeline([
        of("long", talk.tool("notify INBOX long pause"), &[]),
        of("bad", talk.tool("await GATE exit 1"), &[]),
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
    let mut flaky = of("flaky", third, &[]);
    flaky.retries(5, Backoff { first: Duration::from_millis(1), most: Duration::from_millis(2) });
    let mut hopeless = spec("hopeless", "exit 4", &["flaky"]);
    hopeless.retries(2, Backoff { first: Duration::ZERO, most: Duration::ZERO });
    let mut missing = of("missing", Command::new("/does/not/exist"), &["hopeless"]);
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

// Cancel and deadline.

#[test]
fn cancel_stops_what_runs_skips_the_rest_and_runs_the_clean_up() {
    let mut talk = Talk::new();
    let service = service();
    let mut resting = spec("resting", "exit 1", &[]);
    resting.retries(1, Backoff { first: Duration::from_secs(3600), most: Duration::from_secs(3600) });
    let mut clean = of("clean", talk.tool("notify INBOX cleaned exit 0"), &["waiting"]);
    clean.always_run(true);
    let pipeline = pipeline([
        of("running", talk.tool("notify INBOX up pause"), &[]),
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
fn the_processes_of_a_run_are_had_from_their_events_also_when_they_are_closed() {
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let specs = ["a", "b"].map(|name| of(name, script(&format!("text 1 {name}\\n")), &[]));
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
fn a_stop_that_is_cancelled_takes_the_whole_stop_policy_and_its_cause_is_told() {
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let mut stubborn = script("ignore 15 text 1 up\\n pause");
    stubborn.stop_options(StopOptions { grace: Some(Duration::from_millis(10)), ..Default::default() });
    let run = start(&service, &pipeline([of("stubborn", stubborn, &[])]), RunOptions::default());
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
    let mut clean = of("clean", talk.tool("notify INBOX clean pause"), &[]);
    clean.always_run(true);
    let mut never = spec("never", "exit 0", &["clean"]);
    never.always_run(true);
    let mut stubborn = talk.tool("ignore 15 notify INBOX stubborn pause");
    stubborn.stop_options(StopOptions { grace: None, ..Default::default() });
    let pipeline = pipeline([clean, never, of("stubborn", stubborn, &[])]);
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
    let options = RunOptions { deadline: Some(Duration::from_millis(30)), ..Default::default() };
    let report = end_of(&start(&service, &pipeline, options));
    assert_eq!(
        states(&report),
        [("long", SpecState::Cancelled), ("next", SpecState::Skipped), ("clean", SpecState::Passed)]
    );
    assert_eq!(error_of(&report, "long"), "cancelled: the deadline of the run passed");
    assert_eq!(error_of(&report, "next"), "skipped: the deadline of the run passed");
}

#[test]
fn a_process_that_another_stops_or_kills_has_failed() {
    let mut talk = Talk::new();
    let service = service();
    let pipeline = pipeline([
        of("stopped", talk.tool("on 15 0 notify INBOX stopped pause"), &[]),
        of("killed", talk.tool("notify INBOX killed pause"), &[]),
    ]);
    let run = start(&service, &pipeline, unlimited());
    for _ in 0..2 {
        let (name, pid) = talk.inbox.message();
        let mut id = None;
        // It can be faster than the spawn's return.
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

// The service.

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
        let pipeline =
            pipeline([of("running", talk.tool("await GATE exit 0"), &[]), spec("next", "exit 0", &["running"]), clean]);
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

#[test]
fn a_stop_that_could_reach_nobody_is_refused_before_anything_starts() {
    let mut command = script("pause");
    command.group(Group::Inherit).stop_options(StopOptions { scope: Scope::Group, ..Default::default() });
    let service = service();
    assert_eq!(
        problem(&pipeline([spec("first", "exit 0", &[]), of("inherits", command.clone(), &[])])),
        "specs[1].command: stop: scope: the process would not lead a group of its own"
    );
    // A detached one leads a session.
    command.detach();
    pipeline([of("detached", command, &[])]).check().expect("fine");
    assert_eq!(service.count(), 0);
}

#[test]
fn a_run_outlives_its_handle_and_that_of_its_service() {
    let mut talk = Talk::new();
    let service = service();
    let subscription = service.subscribe(quiet()).expect("subscribe");
    let pipeline =
        pipeline([of("a", talk.tool("await GATE exit 0"), &[]), of("b", talk.tool("notify INBOX b exit 0"), &["a"])]);
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
    let pipeline = pipeline([of("a", talk.tool("await GATE exit 0"), &[])]);
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
fn a_limit_of_nothing_is_refused() {
    let service = service();
    let options = RunOptions { limit: Limit::At(0), ..Default::default() };
    assert_eq!(kind_of(Pipeline::new().start(&service, options)), ErrorKind::InvalidArgument);
}

// Output and events.

fn quiet() -> SubscriptionOptions {
    SubscriptionOptions { delivery: Delivery::None, ..Default::default() }
}

#[test]
fn a_background_process_that_holds_the_pipe_delays_the_end_of_the_run_but_no_other_spec() {
    let mut talk = Talk::new();
    let service = service();
    let mut leaves = talk.tool("fork plain await GATE text 1 late end text 1 early exit 0");
    leaves.drain(coreproc::Drain { silence: Duration::from_secs(3600), total: Duration::from_secs(3600) });
    let pipeline =
        pipeline([of("leaves", leaves, &[]), of("next", talk.tool("notify INBOX next exit 0"), &["leaves"])]);
    let run = start(&service, &pipeline, RunOptions::default());
    talk.inbox.expect("next");
    eventually("both have passed", || run.progress().expect("progress").passed == 2);
    assert_eq!(run.wait(Some(Duration::ZERO)).expect_err("its output goes on").kind(), ErrorKind::TimedOut);
    assert!(!run.progress().expect("progress").ended);
    talk.gate.open(1);
    assert_eq!(end_of(&run).specs[0].output, b"earlylate");
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

#[test]
fn captures_keep_the_last_bytes_of_each_spec_and_count_the_rest() {
    let service = service();
    let noisy = |size| {
        let mut command = script("piece 1 300000 1 piece 2 300000 2 text 1 END exit 0");
        command.capture(size);
        command
    };
    let pipeline = pipeline([
        of("small", noisy(Size::Bytes(1000)), &[]),
        of("none", noisy(Size::None), &[]),
        of("all", noisy(Size::Default), &[]),
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
