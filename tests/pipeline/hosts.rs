//! What a run costs its host, and what a host can do to it. Each in a host of its own.
#![allow(unsafe_code)]

use coreproc::{
    Command, Delivery, Drain, ErrorKind, EventKind, Limit, OnFailure, Pipeline, RunMode, RunOptions, Spec, SpecState,
    Stream, SubscriptionOptions,
};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;
use support::census::{Census, memory_kb, reset_peak, switches, thread_count, warm_up};
use support::fifo::{Gate, Talk};
use support::pattern::pattern;
use support::*;

fn many(count: usize, command: &Command) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for i in 0..count {
        pipeline.add(Spec::new(format!("s{i}"), command.clone()));
    }
    pipeline
}

hosted! {
    fn a_thousand_specs_that_wait_cost_no_thread_and_no_wake_up_and_a_run_leaves_nothing_behind() {
        let mut talk = Talk::new();
        let service = service();
        warm_up(&service, &script("exit 0"));
        let before = Census::take();
        let mut pipeline = Pipeline::new();
        pipeline.add(Spec::new("gate", talk.tool("notify INBOX up await GATE exit 0")));
        for i in 0..1_000 {
            let mut spec = Spec::new(format!("s{i}"), script("exit 0"));
            spec.after("gate");
            pipeline.add(spec);
        }
        let run = pipeline.start(&service, RunOptions { limit: Limit::None, ..Default::default() }).expect("start");
        talk.inbox.expect("up");
        let processors = thread::available_parallelism().expect("processors").get();
        assert!(thread_count() <= before.threads + 2 * processors, "{} threads", thread_count());
        eventually("the threads have come to rest", || {
            let now = switches();
            thread::sleep(Duration::from_millis(200));
            switches() == now
        });
        let quiet = switches();
        thread::sleep(Duration::from_secs(2));
        assert_eq!(switches(), quiet, "wake-ups while nothing happens");
        talk.gate.open(1);
        let report = run.wait(GUARDED).expect("it ends");
        assert!(report.success());
        drop((run, report));
        before.assert_restored("a run of 1,001 specs");
    }

    fn eight_specs_that_write_much_at_once_stay_bounded_and_lose_nothing_of_what_is_promised() {
        let service = service();
        let each = count("bytes of each of 8 writers", 100_000_000);
        run_warm(&service);
        let subscription = service
            .subscribe(SubscriptionOptions { delivery: Delivery::Chunks, ..Default::default() })
            .expect("subscribe");
        let mut pipeline = Pipeline::new();
        for seed in 0..8 {
            pipeline.add(Spec::new(format!("w{seed}"), script(&format!("pattern 1 {each} {seed} exit 0"))));
        }
        reset_peak();
        let before = memory_kb("VmRSS");
        let run = pipeline.start(&service, RunOptions { limit: Limit::None, ..Default::default() }).expect("start");
        let mut bytes: HashMap<usize, u64> = HashMap::new();
        'events: loop {
            let batch = subscription.take(0, GUARDED).expect("events");
            for event in batch.events() {
                match event.kind {
                    EventKind::Output { stream, .. } if event.part.is_some() => {
                        assert_eq!(stream, Stream::Stdout);
                        assert!(!event.lost);
                        let spec = event.part.and_then(|part| part.spec).expect("a spec");
                        *bytes.entry(spec).or_default() += event.data.len() as u64;
                    }
                    EventKind::RunEnded { .. } => break 'events,
                    _ => {}
                }
            }
        }
        // The events of the processes come apart from those of the run.
        while let Ok(batch) = subscription.take(0, Some(Duration::ZERO)) {
            for event in batch.events().filter(|event| matches!(event.kind, EventKind::Output { .. })) {
                *bytes.entry(event.part.and_then(|part| part.spec).expect("a spec")).or_default() += event.data.len() as u64;
            }
        }
        let report = run.wait(GUARDED).expect("it ends");
        let grown = memory_kb("VmHWM").saturating_sub(before);
        println!("8 writers of {each} bytes: memory grew by {grown} kB at the most");
        // For each: a capture of 1 MiB and its copy, a queue of 1 MiB and a batch that is out, and some more.
        assert!(grown < 8 * 8 * 1024, "{grown} kB");
        for (seed, spec) in report.specs.iter().enumerate() {
            assert_eq!(spec.state, SpecState::Passed);
            assert_eq!(bytes[&seed], each);
            let expected = pattern(each as usize, seed as u64);
            let kept = expected.len().min(1 << 20);
            assert!(spec.output == expected[expected.len() - kept..], "the last MiB, byte by byte");
            assert_eq!(spec.dropped_bytes, each - kept as u64);
        }
    }

    fn specs_that_find_no_descriptor_wait_for_those_that_hold_them() {
        let service = service();
        run_warm(&service);
        let used = census::fds().len() as u64;
        // Room for a few children at a time: a start needs more descriptors than a running child keeps.
        os::set_limit(libc::RLIMIT_NOFILE, used + 30, used + 30).expect("setrlimit");
        let options = RunOptions { limit: Limit::None, ..Default::default() };
        let run = many(200, &script("sleep 5 text 1 done exit 0")).start(&service, options).expect("start");
        let report = run.wait(GUARDED).expect("it ends");
        let failed = report.specs.iter().find(|spec| spec.state != SpecState::Passed);
        assert!(failed.is_none(), "{failed:?}");
        assert!(report.specs.iter().all(|spec| spec.output == b"done" && spec.attempts == 1));
        // If no process holds a descriptor, there is nothing to wait for.
        os::set_limit(libc::RLIMIT_NOFILE, census::fds().len() as u64, used + 30).expect("setrlimit");
        let report = many(3, &script("exit 0")).run_all(&service).expect("run");
        assert_eq!(report.count(SpecState::Failed), 3);
    }

    fn a_spec_that_finds_no_descriptor_waits_for_processes_whose_output_goes_on() {
        const HOLDERS: usize = 6;
        let service = service();
        run_warm(&service);
        let (mut talk, dir) = (Talk::new(), tempfile::tempdir().expect("directory"));
        let last = Gate::new(dir.path(), "last");
        let mut pipeline = Pipeline::new();
        let mut holder = talk.tool("fork plain await GATE end notify INBOX left exit 0");
        holder.drain(Drain { silence: Duration::MAX, total: Duration::MAX });
        for index in 0..HOLDERS {
            pipeline.add(Spec::new(format!("holder {index}"), holder.clone()));
        }
        pipeline.add(Spec::new("last", tool(["await", last.path(), "exit", "0"])));
        let mut next = Spec::new("next", script("exit 0"));
        next.after("last");
        pipeline.add(next);
        let full = census::fds().len() as u64;
        let run = pipeline.start(&service, RunOptions { limit: Limit::None, ..Default::default() }).expect("start");
        for _ in 0..HOLDERS {
            talk.inbox.expect("left");
        }
        eventually("they have ended", || run.progress().expect("progress").passed == HOLDERS);
        // Below this limit are the host's own descriptors, and hardly a gap.
        os::set_limit(libc::RLIMIT_NOFILE, full, 1000).expect("setrlimit");
        last.open(1);
        eventually("the next one was tried", || {
            let now = run.progress().expect("progress");
            now.passed == HOLDERS + 1 && now.running == 0
        });
        os::set_limit(libc::RLIMIT_NOFILE, 1000, 1000).expect("setrlimit");
        talk.gate.open(HOLDERS);
        let report = run.wait(GUARDED).expect("it ends");
        assert!(report.success(), "{:?}", report.specs[HOLDERS + 1]);
    }

    fn calls_in_a_forked_child_are_refused_and_the_run_goes_on() {
        let mut talk = Talk::new();
        let service = service();
        let pipeline = many(1, &talk.tool("notify INBOX up await GATE exit 0"));
        let run = pipeline.start(&service, RunOptions::default()).expect("start");
        talk.inbox.expect("up");
        let status = os::in_fork(|| {
            let results = [
                kind_of(pipeline.start(&service, RunOptions::default())),
                kind_of(pipeline.run_all(&service)),
                kind_of(run.wait(None)),
                kind_of(run.cancel()),
                kind_of(run.progress()),
            ];
            drop((run.clone(), pipeline.clone()));
            i32::from(results.iter().any(|kind| *kind != ErrorKind::Forked))
        });
        assert_eq!(status, 0, "not all were refused");
        let held = std::cell::Cell::new(Some(run.clone()));
        assert_eq!(os::in_fork(|| { drop(held.take()); 0 }), 0);
        talk.gate.open(1);
        assert!(run.wait(GUARDED).expect("it ends").success());
    }

    fn many_runs_with_failures_and_cancels_leave_nothing_behind() {
        let service = service();
        warm_up(&service, &script("exit 0"));
        let before = Census::take();
        let total = count("runs", 1_000);
        for i in 0..total {
            let mut pipeline = many(6, &script("exit 0"));
            let mut bad = Spec::new("bad", script("exit 1"));
            bad.after("s0");
            pipeline.add(bad);
            pipeline.add(Spec::new("endless", script("pause")));
            let mode = [RunMode::All, RunMode::Sequential, RunMode::Parallel][i as usize % 3];
            let options = RunOptions { mode, on_failure: OnFailure::FailFast, ..Default::default() };
            let run = pipeline.start(&service, options).expect("start");
            if i % 2 == 0 {
                run.cancel().expect("cancel");
            }
            let report = run.wait(GUARDED).expect("it ends");
            assert!(!report.success());
        }
        before.assert_restored(&format!("{total} runs"));
        assert!(os::has_no_child());
    }
}

fn run_warm(service: &coreproc::Service) {
    let report = many(8, &script("text 1 warm exit 0")).run_all(service).expect("run");
    assert!(report.success());
    drop(report);
    eventually("no thread of it is left", || {
        census::of_library_threads("Name").values().all(|name| name != "coreproc-run")
    });
}
