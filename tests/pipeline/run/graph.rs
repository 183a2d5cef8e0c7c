//! The graph of a pipeline, checked before any spec starts.

use super::spec;
use crate::{pipeline, spec_after};
use coreproc::{Command, ErrorKind, Group, Limit, Pipeline, ProblemKind, RunOptions, Scope, StopOptions};
use support::*;

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
        (vec![build(), spec_after("test", Command::new(""), &[])], "specs[1].command: program: is empty"),
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
        let link = |i: usize, after: usize| spec_after(&format!("s{i}"), command.clone(), &[&format!("s{after}")]);
        // The chain is built backwards, so that a naive walk comes to the deepest spec first.
        let mut chain = pipeline((0..count - 1).map(|i| link(i, i + 1)));
        chain.add(spec_after(&format!("s{}", count - 1), command.clone(), &[]));
        chain.check().expect("a chain is fine");
        let ring = pipeline((0..count).map(|i| link(i, (i + 1) % count)));
        let problems = ring.problems();
        assert_eq!((problems.len(), problems[0].specs.len()), (1, count));
        assert!(problems[0].message.contains(&format!("({} more) -> \"s0\"", count - 50)), "{}", problems[0].message);
    });
    checked.expect("thread").join().expect("checked");
}

#[test]
fn a_stop_that_could_reach_nobody_is_refused_before_anything_starts() {
    let mut command = script("pause");
    command.group(Group::Inherit).stop_options(StopOptions { scope: Scope::Group, ..Default::default() });
    let service = service();
    assert_eq!(
        problem(&pipeline([spec("first", "exit 0", &[]), spec_after("inherits", command.clone(), &[])])),
        "specs[1].command: stop: scope: the process would not lead a group of its own"
    );
    // A detached command leads a session.
    command.detach();
    pipeline([spec_after("detached", command, &[])]).check().expect("fine");
    assert_eq!(service.count(), 0);
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let service = service();
    let options = RunOptions { limit: Limit::At(0), ..Default::default() };
    assert_eq!(kind_of(Pipeline::new().start(&service, options)), ErrorKind::InvalidArgument);
}
