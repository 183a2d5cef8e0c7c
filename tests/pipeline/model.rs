//! Random pipelines, of real processes, against a simple model: every spec ends in exactly one state, the right one;
//! nothing starts before what it comes after has ended; the limit is kept; a cancel leaves no process.

use crate::quiet;
use coreproc::{
    Backoff, CloseMode, Command, EventKind, Limit, OnFailure, Pipeline, Run, RunMode, RunOptions, RunReport, Service,
    Spec, SpecState, StopOptions, Subscription,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;
use support::*;

/// How a spec would end if it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Passes,
    Fails,
    Dies,
    Missing,
    TimesOut,
}

impl Own {
    fn state(self) -> SpecState {
        match self {
            Own::Passes => SpecState::Passed,
            Own::Fails | Own::Dies | Own::Missing => SpecState::Failed,
            Own::TimesOut => SpecState::TimedOut,
        }
    }
}

#[derive(Clone, Debug)]
struct Node {
    own: Own,
    delay_ms: u64,
    /// The picks of its dependencies among the others.
    after: Vec<prop::sample::Index>,
    allow_failure: bool,
    always_run: bool,
    retries: u32,
}

#[derive(Clone, Debug)]
struct Plan {
    nodes: Vec<Node>,
    /// The order in which they are added, so that dependencies point both ways.
    order: Vec<usize>,
    mode: RunMode,
    limit: usize,
    fail_fast: bool,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Itself,
    /// After this many events of the run.
    Cancel(usize),
    /// Twice at once.
    CancelTwice(usize),
    Deadline(u64),
}

fn node() -> impl Strategy<Value = Node> {
    let own = prop_oneof![
        12 => Just(Own::Passes),
        2 => Just(Own::Fails),
        1 => Just(Own::Dies),
        1 => Just(Own::Missing),
        1 => Just(Own::TimesOut),
    ];
    let after = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (own, 0u64..4, after, prop::bool::weighted(0.2), prop::bool::weighted(0.1), 0u32..3).prop_map(
        |(own, delay_ms, after, allow_failure, always_run, retries)| Node {
            own,
            delay_ms,
            after,
            allow_failure,
            always_run,
            retries: retries.saturating_sub(1),
        },
    )
}

fn plan(ending: impl Strategy<Value = Ending>) -> impl Strategy<Value = Plan> {
    let nodes = prop::collection::vec(node(), 1..16).prop_flat_map(|nodes| {
        let order: Vec<usize> = (0..nodes.len()).collect();
        (Just(nodes), Just(order).prop_shuffle())
    });
    let mode = prop_oneof![4 => Just(RunMode::All), 1 => Just(RunMode::Sequential), 1 => Just(RunMode::Parallel)];
    (nodes, mode, 1usize..5, any::<bool>(), ending).prop_map(|((nodes, order), mode, limit, fail_fast, ending)| Plan {
        nodes,
        order,
        mode,
        limit: if mode == RunMode::Sequential { 1 } else { limit },
        fail_fast,
        ending,
    })
}

impl Plan {
    /// Returns the dependencies of a node, by their places in `nodes`: always before it, so that there is no cycle.
    fn after(&self, index: usize) -> Vec<usize> {
        let mut after: Vec<usize> =
            self.nodes[index].after.iter().filter(|_| index > 0).map(|pick| pick.index(index)).collect();
        after.sort_unstable();
        after.dedup();
        after
    }

    fn pipeline(&self) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for index in self.order.iter().copied() {
            let node = &self.nodes[index];
            let delay = node.delay_ms;
            let mut command = match node.own {
                Own::Passes => script(&format!("sleep {delay} exit 0")),
                Own::Fails => script(&format!("sleep {delay} exit 7")),
                Own::Dies => script(&format!("sleep {delay} raise 9")),
                Own::Missing => Command::new("/does/not/exist"),
                Own::TimesOut => script("pause"),
            };
            if node.own == Own::TimesOut {
                command.timeout(Duration::from_millis(delay + 1));
            }
            command.stop_options(StopOptions { grace: Some(Duration::from_millis(500)), ..Default::default() });
            let mut spec = Spec::new(format!("s{index}"), command);
            self.after(index).into_iter().for_each(|after| {
                spec.after(format!("s{after}"));
            });
            let backoff = Backoff { first: Duration::from_millis(1), most: Duration::from_millis(2) };
            spec.allow_failure(node.allow_failure).always_run(node.always_run).retries(node.retries, backoff);
            pipeline.add(spec);
        }
        pipeline
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            mode: self.mode,
            limit: Limit::At(self.limit),
            on_failure: if self.fail_fast { OnFailure::FailFast } else { OnFailure::KeepGoing },
            deadline: match self.ending {
                Ending::Deadline(ms) => Some(Duration::from_millis(ms)),
                _ => None,
            },
            ..RunOptions::default()
        }
    }

    /// Returns where a node is in the pipeline.
    fn place(&self, index: usize) -> usize {
        self.order.iter().position(|other| *other == index).expect("it is in there")
    }

    /// Returns the states that must come, unless they depend on time.
    fn expected(&self) -> Option<Vec<SpecState>> {
        if self.ending != Ending::Itself || (self.fail_fast && self.mode != RunMode::Sequential) {
            return None;
        }
        let mut states: Vec<Option<SpecState>> = vec![None; self.nodes.len()];
        let mut halted = false;
        let bad = |index: usize, state: SpecState| {
            !(state == SpecState::Passed || (state != SpecState::Skipped && self.nodes[index].allow_failure))
        };
        while let Some(index) = self.next(&states) {
            let node = &self.nodes[index];
            let blocked = self.mode != RunMode::Parallel
                && self.after(index).into_iter().any(|after| bad(after, states[after].expect("ended")));
            let state = if (blocked || halted) && !node.always_run { SpecState::Skipped } else { node.own.state() };
            halted |= self.mode == RunMode::Sequential && state != SpecState::Skipped && bad(index, state);
            states[index] = Some(state);
        }
        states.into_iter().collect()
    }

    /// Returns the next spec to start, in the order of the pipeline.
    fn next(&self, states: &[Option<SpecState>]) -> Option<usize> {
        let is_next = |index: &usize| {
            states[*index].is_none()
                && (self.mode == RunMode::Parallel
                    || self.after(*index).into_iter().all(|after| states[after].is_some()))
        };
        self.order.iter().copied().find(is_next)
    }
}

/// Runs a plan, and checks what its events tell on the way.
fn run(service: &Service, subscription: &Subscription, plan: &Plan) -> std::sync::Arc<RunReport> {
    let run = plan.pipeline().start(service, plan.options()).expect("start");
    watch(subscription, &run, plan);
    let report = run.wait(GUARDED).expect("the run ends");
    let progress = run.progress().expect("progress");
    assert_eq!((progress.done(), progress.total()), (plan.nodes.len(), plan.nodes.len()));
    assert_eq!(progress.passed, report.count(SpecState::Passed));
    assert_eq!(progress.cancelled, report.count(SpecState::Cancelled));
    report
}

fn watch(subscription: &Subscription, run: &Run, plan: &Plan) {
    let count = plan.nodes.len();
    let (mut ended, mut running, mut attempts) = (vec![false; count], vec![false; count], vec![0; count]);
    let (mut seen, mut sequence, mut time) = (0, 0, 0);
    loop {
        let batch = subscription.take(0, GUARDED).expect("events");
        for event in batch.events().filter(|event| event.process_id == run.id()) {
            sequence += 1;
            assert_eq!(event.sequence, sequence);
            assert!(event.time.monotonic_ns >= time, "the clock goes back");
            time = event.time.monotonic_ns;
            let part = event.part.expect("a part");
            let index = part.spec.map(|place| plan.order[place]);
            let node = index.unwrap_or(0);
            match event.kind {
                EventKind::RunStarted => assert_eq!(sequence, 1),
                EventKind::SpecStarted => {
                    assert!(!ended[node] && !running[node]);
                    let waits = plan.mode != RunMode::Parallel;
                    assert!(!waits || plan.after(node).into_iter().all(|after| ended[after]), "too early");
                    running[node] = true;
                    attempts[node] += 1;
                    assert_eq!(part.attempt, attempts[node]);
                    assert!(running.iter().filter(|running| **running).count() <= plan.limit, "above the limit");
                }
                EventKind::SpecRetrying { .. } => {
                    assert!(running[node] && part.attempt == attempts[node]);
                    running[node] = false;
                }
                EventKind::SpecEnded { state, .. } => {
                    assert!(!ended[node], "it ends twice");
                    assert!(state != SpecState::Skipped || attempts[node] == 0);
                    (ended[node], running[node]) = (true, false);
                }
                EventKind::RunEnded { .. } => {
                    assert!(ended.iter().all(|ended| *ended), "not all have ended");
                    return;
                }
                other => panic!("{other:?}"),
            }
            seen += 1;
            match plan.ending {
                Ending::Cancel(after) if after == seen => run.cancel().expect("cancel"),
                Ending::CancelTwice(after) if after == seen => {
                    run.cancel().expect("cancel");
                    run.cancel().expect("cancel");
                }
                _ => {}
            }
        }
    }
}

/// Checks what holds for every end.
fn check(plan: &Plan, report: &RunReport) {
    let cancelled = plan.ending != Ending::Itself;
    let again = matches!(plan.ending, Ending::CancelTwice(_));
    let stops = plan.fail_fast || plan.mode == RunMode::Sequential;
    let mut fine = true;
    for (index, node) in plan.nodes.iter().enumerate() {
        let result = &report.specs[plan.place(index)];
        assert_eq!(result.name, format!("s{index}"));
        assert_eq!(result.error.is_some(), result.state != SpecState::Passed);
        assert_eq!(result.attempts > 0, result.started.is_some());
        match result.state {
            SpecState::Passed | SpecState::Failed | SpecState::TimedOut => {
                assert_eq!(result.state, node.own.state());
                let all = if result.state == SpecState::Passed { 1 } else { node.retries + 1 };
                assert!(result.attempts == all || ((cancelled || stops) && result.attempts <= all));
            }
            SpecState::Skipped => {
                assert_eq!((result.attempts, result.status), (0, None));
                assert!(!node.always_run || again, "the clean-up was skipped");
            }
            SpecState::Cancelled => {
                assert!((cancelled || stops) && (!node.always_run || again), "{:?}", result.error);
            }
        }
        let allowed = node.allow_failure && matches!(result.state, SpecState::Failed | SpecState::TimedOut);
        fine &= result.state == SpecState::Passed || allowed;
    }
    assert_eq!(report.success(), fine);
    if let Some(expected) = plan.expected() {
        let states: Vec<SpecState> = (0..plan.nodes.len()).map(|i| report.specs[plan.place(i)].state).collect();
        assert_eq!(states, expected);
    }
}

fn against_the_model(cases: u64, ending: impl Strategy<Value = Ending>) {
    let service = service();
    let config = Config { cases: cases as u32, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&plan(ending), |plan| {
            let subscription = service.subscribe(quiet()).expect("subscribe");
            let report = run(&service, &subscription, &plan);
            subscription.close().expect("close");
            check(&plan, &report);
            assert_eq!(service.count(), 0, "a process is left");
            Ok(())
        })
        .expect("the model holds");
}

#[test]
fn random_graphs_end_as_the_model_says() {
    against_the_model(count("random graphs", 1_000), Just(Ending::Itself));
}

#[test]
fn random_graphs_that_are_cancelled_keep_the_rules() {
    let ending = prop_oneof![
        2 => (1usize..40).prop_map(Ending::Cancel),
        1 => (1usize..40).prop_map(Ending::CancelTwice),
        1 => (1u64..20).prop_map(Ending::Deadline),
    ];
    against_the_model(count("random graphs that are cancelled", 1_000), ending);
}

hosted! {
    fn a_cancel_at_any_moment_leaves_no_process() {
        let service = service();
        let total = count("cancels at random moments", 1_000);
        let mut random = 42u64;
        for round in 0..total {
            let mut next = |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let mut pipeline = Pipeline::new();
            let specs = 1 + next(12);
            for i in 0..specs {
                let verbs = ["pause", "fork plain pause end pause", "exit 0", "sleep 1 exit 0"][next(4) as usize];
                let mut command = script(verbs);
                command.stop_options(StopOptions { grace: Some(Duration::from_millis(200)), ..Default::default() });
                let mut spec = Spec::new(format!("s{i}"), command);
                if i > 0 && next(2) == 0 {
                    spec.after(format!("s{}", next(i)));
                }
                pipeline.add(spec);
            }
            let limit = if next(2) == 0 { Limit::None } else { Limit::Default };
            let run = pipeline.start(&service, RunOptions { limit, ..Default::default() }).expect("start");
            // Some cancels come before the first start, some in the middle of one, some late.
            for _ in 0..next(4) * next(20_000) {
                std::hint::spin_loop();
            }
            run.cancel().expect("cancel");
            let report = run.wait(GUARDED).expect("it ends");
            assert_eq!(report.specs.len() as u64, specs);
            assert_eq!(service.count(), 0, "round {round}");
            assert!(os::has_no_child(), "round {round}: a child is left");
        }
        service.close(CloseMode::Leave).expect("close");
        println!("cancels at random moments: {total}, survivors 0");
    }
}
