//! Children of the host's fork that begin again: a service of their own works there, whatever the threads of the parent
//! were doing at the fork.

use coreproc::{
    Command, Delivery, ErrorKind, EventKind, Pipeline, Scope, Service, ServiceOptions, State, Stdin, StopOptions,
    SubscriptionOptions, after_fork_child,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::*;

/// Spawns, streams, stops and waits with a new service.
fn work() {
    let service = Service::new(ServiceOptions::default()).expect("a service of the child's own");
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let mut echo = script("text 1 first\\nsecond\\n cat exit 3");
    let process = echo.stdin(Stdin::Pipe).spawn(&service).expect("spawn");
    process.write_stdin(b"third\n", GUARDED).expect("write");
    process.close_stdin().expect("close");
    let info = process.wait(GUARDED).expect("wait");
    assert_eq!((info.state, info.status()), (State::Closed, Some(coreproc::ExitStatus::Code(3))));
    assert_eq!(process.output().expect("output"), b"first\nsecond\nthird\n");
    let deaf = script("ignore 15 text 1 up\\n pause").spawn(&service).expect("spawn");
    let mut lines = Vec::new();
    while lines.len() < 4 {
        let batch = events.take(0, GUARDED).expect("take");
        lines.extend(batch.events().filter(|e| matches!(e.kind, EventKind::Output { .. })).map(|e| e.data.to_vec()));
    }
    assert_eq!(lines, [&b"first"[..], b"second", b"third", b"up"]);
    let grace = Some(Duration::from_millis(1));
    deaf.stop(Some(&StopOptions { grace, ..StopOptions::default() })).expect("stop");
    deaf.wait(GUARDED).expect("wait");
    let refused = Command::new("/nonexistent").spawn(&service).map(drop).expect_err("no such program");
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    service.close(coreproc::CloseMode::Kill).expect("close");
    service.wait_idle(GUARDED).expect("idle");
}

/// Keeps threads of the parent in every part of the library while `forks` are made.
fn amid_work(forks: impl FnOnce(&Service)) {
    let service = service();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let process = script("text 1 line\\n exit 0").spawn(&service).expect("spawn");
                    process.wait(GUARDED).expect("wait");
                    process.output().expect("output");
                    let _ = process.kill(Scope::Default);
                }
            });
        }
        let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
        scope.spawn(move || while events.take(0, GUARDED).is_ok() {});
        let calls = service.listen(SubscriptionOptions { delivery: Delivery::Chunks, ..Default::default() }, |_| {});
        forks(&service);
        is_over.store(true, Ordering::Relaxed);
        service.close(coreproc::CloseMode::Leave).expect("close");
        drop(calls);
    });
}

hosted! {
    fn a_child_of_fork_that_begins_again_has_services_of_its_own() {
        amid_work(|parents| {
            let mut process = script("cat");
            let process = process.stdin(Stdin::Pipe).spawn(parents).expect("spawn");
            for _ in 0..count("forks amid spawns", 200) {
                let code = os::in_fork(|| {
                    assert_eq!(kind_of(Service::new(ServiceOptions::default())), ErrorKind::Forked);
                    after_fork_child();
                    assert_eq!(kind_of(process.info()), ErrorKind::Forked);
                    assert_eq!(kind_of(process.kill(Scope::Default)), ErrorKind::Forked);
                    assert_eq!(kind_of(process.wait(None)), ErrorKind::Forked);
                    assert_eq!(kind_of(parents.close(coreproc::CloseMode::Kill)), ErrorKind::Forked);
                    assert_eq!(kind_of(Command::new("true").spawn(parents)), ErrorKind::Forked);
                    work();
                    7
                });
                assert_eq!(code, 7);
            }
            // The parent's process was neither killed nor robbed of its standard input.
            process.write_stdin(b"parent", GUARDED).expect("write");
            process.close_stdin().expect("close");
            assert_eq!(process.wait(GUARDED).expect("wait").status(), Some(coreproc::ExitStatus::Code(0)));
            assert_eq!(process.output().expect("output"), b"parent");
        });
    }

    fn a_grandchild_begins_again_as_well_and_nothing_of_its_parent_is_its_own() {
        work();
        let code = os::in_fork(|| {
            after_fork_child();
            let service = service();
            work();
            let inner = os::in_fork(|| {
                assert_eq!(kind_of(service.wait_idle(None)), ErrorKind::Forked);
                after_fork_child();
                assert_eq!(kind_of(service.wait_idle(None)), ErrorKind::Forked);
                work();
                8
            });
            assert_eq!(inner, 8);
            service.wait_idle(GUARDED).expect("its own");
            7
        });
        assert_eq!(code, 7);
    }

    fn a_fork_in_a_callback_may_wait_in_the_child() {
        let service = service();
        let (tell, told) = std::sync::mpsc::channel();
        let listener = service.listen(SubscriptionOptions::default(), move |_| {
            let code = os::in_fork(|| {
                after_fork_child();
                work();
                7
            });
            let _ = tell.send(code);
        });
        script("exit 0").spawn(&service).expect("spawn");
        assert_eq!(told.recv_timeout(GUARD), Ok(7));
        drop(listener);
    }

    fn a_run_works_in_a_child_that_has_begun_again_and_a_daemon_does_not() {
        let registry = coreproc::Registry::new("/nonexistent/daemons");
        work();
        let code = os::in_fork(|| {
            after_fork_child();
            let service = service();
            let mut pipeline = Pipeline::default();
            pipeline.add(coreproc::Spec::new("only", script("exit 0")));
            pipeline.run_all(&service).expect("run");
            assert_eq!(kind_of(registry.list()), ErrorKind::Forked);
            7
        });
        assert_eq!(code, 7);
    }

    fn elsewhere_it_does_nothing() {
        after_fork_child();
        let service = service();
        let process = script("exit 0").spawn(&service).expect("spawn");
        after_fork_child();
        finish(&process);
        work();
    }
}
