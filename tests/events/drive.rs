//! A host's event loop that does the work of the service: every event, no thread beside it, and back to the library at the
//! end.

use crate::LOOK;
use coreproc::{
    Batch, Cause, CloseMode, Delivery, ErrorKind, EventKind, Lifecycle, Pipeline, RunOptions, Service, Spec, SpecState,
    State, Stream, Subscription, SubscriptionOptions,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::events::{Kept, Log, assert_whole, bytes_of};
use support::fifo::Talk;
use support::os::{self, EdgeTriggered};
use support::*;

struct Loop {
    subscription: Subscription,
    poll: EdgeTriggered,
    log: Log,
    closed: usize,
}

impl Loop {
    fn new(service: &Service, options: SubscriptionOptions) -> Loop {
        let subscription = service.subscribe(options).expect("subscribe");
        let poll = EdgeTriggered::on(subscription.drive().expect("drive"));
        Loop { subscription, poll, log: Log::new(), closed: 0 }
    }

    /// Takes all that the descriptor has been readable for. False at the end of the stream.
    fn take_all(&mut self) -> bool {
        loop {
            match self.subscription.take(0, LOOK) {
                Ok(batch) => {
                    for event in batch.events() {
                        let kept = Kept::of(&event);
                        self.closed += usize::from(kept.is_closed());
                        self.log.entry(kept.process_id).or_default().push(kept);
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => return true,
                Err(error) if error.kind() == ErrorKind::Closed => return false,
                Err(error) => panic!("take: {error}"),
            }
        }
    }

    fn until_closed(&mut self, count: usize) {
        while self.closed < count {
            assert!(self.poll.wait(GUARD), "{} of {count} closed", self.closed);
            self.take_all();
        }
    }
}

#[test]
fn every_event_comes_by_takes_alone() {
    let service = service();
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    let total = count("children, 4 threads spawning", 2_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            in_parallel(4, total, |_, i| {
                let body = format!("text 1 a\\nb\\n text 2 c\\n text 1 d exit {}", i % 256);
                script(&body).spawn(&service).expect("spawn");
            });
        });
        host.until_closed(total as usize);
    });
    assert_eq!(host.log.len() as u64, total);
    for events in host.log.values() {
        assert_whole(events);
        assert_eq!(events.len(), 1 + 4 + 2);
    }
    service.close(CloseMode::Leave).expect("close");
    // The end shows on the descriptor, too.
    assert!(host.poll.wait(GUARD));
    assert!(!host.take_all());
}

#[test]
fn nothing_happens_but_in_takes() {
    let service = service();
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    let talk = Talk::new();
    let process = talk.tool("await GATE text 1 said exit 3").spawn(&service).expect("spawn");
    host.take_all();
    talk.gate.open(1);
    os::await_zombie(process.pid());
    assert_eq!(process.info().expect("info").state, State::Running);
    host.until_closed(1);
    assert_eq!(finish(&process).code(), 3);
    assert_eq!(bytes_of(&host.log[&process.id()], Stream::Stdout), b"said");
}

#[test]
fn a_wait_of_another_thread_ends_by_the_takes() {
    let service = service();
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    let talk = Talk::new();
    let process = talk.tool("await GATE exit 7").spawn(&service).expect("spawn");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| finish(&process).code());
        talk.gate.open(1);
        host.until_closed(1);
        assert_eq!(waiter.join().expect("waiter"), 7);
    });
}

#[test]
fn a_run_goes_on_by_the_takes() {
    let service = service();
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    let mut pipeline = Pipeline::new();
    for i in 0..20 {
        let mut spec = Spec::new(format!("{i}"), script("text 1 x exit 0"));
        if i > 0 {
            spec.after(format!("{}", i - 1));
        }
        pipeline.add(spec);
    }
    let run = pipeline.start(&service, RunOptions::default()).expect("start");
    host.until_closed(20);
    assert!(run.wait(GUARDED).expect("the run ends").specs.iter().all(|spec| spec.state == SpecState::Passed));
}

#[test]
fn a_timeout_ends_a_child_by_the_takes() {
    let service = service();
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    let mut command = script("sleep 1000000");
    command.timeout(Duration::from_millis(1));
    let process = command.spawn(&service).expect("spawn");
    host.until_closed(1);
    assert_eq!(finish(&process).info.cause(), Some(Cause::Timeout));
}

#[test]
fn a_child_that_writes_without_pause_to_nobody_leaves_the_host_its_turns() {
    let service = service();
    let mut host =
        Loop::new(&service, SubscriptionOptions { delivery: Delivery::None, ..SubscriptionOptions::default() });
    let process = sh("exec yes").spawn(&service).expect("spawn");
    let mut turns = 0;
    // Each turn begins with the descriptor and ends by itself.
    while process.info().expect("info").stdout_bytes < 32 << 20 || turns < 4 {
        assert!(host.poll.wait(GUARD), "{turns} turns");
        assert!(host.take_all());
        turns += 1;
    }
    process.kill(coreproc::Scope::Default).expect("kill");
    host.until_closed(1);
}

#[test]
fn closing_gives_the_work_back_to_the_library() {
    let service = service();
    let host = Loop::new(&service, SubscriptionOptions::default());
    let watcher = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let fd = os::duplicate(watcher.fd().expect("fd"));
    let talk = Talk::new();
    let process = talk.tool("await GATE exit 9").spawn(&service).expect("spawn");
    host.subscription.close().expect("close");
    let events = || watcher.take(0, LOOK).map(|batch| batch.events().map(|event| Kept::of(&event)).collect::<Vec<_>>());
    assert_eq!(events().expect("started").len(), 1);
    assert_eq!(kind_of(events()), ErrorKind::TimedOut);
    talk.gate.open(1);
    // No thread waits in the library, so its own thread has to bring this.
    let mut seen = Vec::new();
    while !seen.last().is_some_and(Kept::is_closed) {
        assert!(os::readable(&fd, GUARD));
        seen.extend(events().unwrap_or_default());
    }
    assert_eq!(finish(&process).code(), 9);
    assert_eq!(kind_of(host.subscription.drive()), ErrorKind::Closed);
    // Another subscription may drive now.
    let mut next = Loop::new(&service, SubscriptionOptions::default());
    script("exit 0").spawn(&service).expect("spawn");
    next.until_closed(1);
}

#[test]
fn one_subscription_drives_and_only_looks() {
    let service = service();
    let host = Loop::new(&service, SubscriptionOptions::default());
    assert_eq!(host.subscription.drive().expect("again"), host.subscription.drive().expect("and again"));
    let other = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    assert_eq!(kind_of(other.drive()), ErrorKind::Busy);
    assert_eq!(kind_of(host.subscription.fd()), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(host.subscription.take(0, None)), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(host.subscription.take(0, Some(Duration::from_millis(1)))), ErrorKind::InvalidArgument);
    other.fd().expect("fd");
    host.subscription.close().expect("close");
    assert_eq!(kind_of(other.drive()), ErrorKind::InvalidArgument);
    let listener = service.listen(SubscriptionOptions::default(), |_| {}).expect("listen");
    assert_eq!(kind_of(listener.drive()), ErrorKind::InvalidArgument);
}

#[test]
fn dropping_it_gives_the_work_back() {
    let service = service();
    drop(Loop::new(&service, SubscriptionOptions::default()));
    assert_eq!(run(&service, &script("exit 5")).code(), 5);
}

#[test]
fn takers_side_by_side_miss_nothing() {
    let service = service();
    let host = Loop::new(&service, SubscriptionOptions::default());
    let total = count("children, 3 takers", 1_000) as usize;
    let closed = AtomicUsize::new(0);
    let fd = host.subscription.drive().expect("fd");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let poll = EdgeTriggered::on(fd);
                while closed.load(Ordering::SeqCst) < total {
                    match host.subscription.take(0, LOOK) {
                        Ok(batch) => {
                            let ends = batch.events().filter(|event| Kept::of(event).is_closed()).count();
                            closed.fetch_add(ends, Ordering::SeqCst);
                        }
                        // The pause is short, because the last event goes to one of them alone.
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::TimedOut);
                            poll.wait(Duration::from_millis(20));
                        }
                    }
                }
            });
        }
        for _ in 0..total {
            script("text 1 x exit 0").spawn(&service).expect("spawn");
        }
    });
    assert_eq!(closed.into_inner(), total);
}

#[test]
fn ends_alone_are_the_last_event_of_each_process_and_its_output() {
    let service = service();
    let subscription = service
        .subscribe(SubscriptionOptions { lifecycle: Lifecycle::Ends, ..SubscriptionOptions::default() })
        .expect("subscribe");
    let process = script("text 1 line\\n exit 4").spawn(&service).expect("spawn");
    let log = support::events::until_closed(&subscription, 1);
    let events = &log[&process.id()];
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(bytes_of(events, Stream::Stdout), b"line");
    assert!(events[1].is_closed());
}

#[test]
fn ends_of_a_run_begin_with_the_start_of_its_processes() {
    let service = service();
    let subscription = service
        .subscribe(SubscriptionOptions { lifecycle: Lifecycle::Ends, ..SubscriptionOptions::default() })
        .expect("subscribe");
    let mut pipeline = Pipeline::new();
    pipeline.add(Spec::new("one", script("exit 0")));
    let run = pipeline.start(&service, RunOptions::default()).expect("start");
    run.wait(GUARDED).expect("the run ends");
    let mut log = Log::new();
    while let Ok(batch) = subscription.take(0, LOOK) {
        batch.events().for_each(|event| log.entry(event.process_id).or_default().push(Kept::of(&event)));
    }
    let kinds: Vec<Vec<EventKind>> =
        log.values().map(|events| events.iter().map(|event| event.kind).collect()).collect();
    assert!(
        matches!(kinds[..], [ref run, ref process]
        if matches!(run[..], [EventKind::RunEnded { success: true }])
            && matches!(process[..], [EventKind::Started, EventKind::Closed { .. }])),
        "{kinds:?}"
    );
}

#[test]
fn a_taker_that_keeps_a_batch_leaves_the_others_to_the_loop() {
    let service = service();
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    for round in 1..=count("rounds", 2_000) {
        let before = host.closed;
        let over = AtomicBool::new(false);
        let subscription = host.subscription.clone();
        thread::scope(|scope| {
            // Takes what it can get beside the loop, and keeps the first batch, like a handler that blocks.
            let taker = scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    match subscription.take(0, LOOK) {
                        Ok(batch) => return Some(batch),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                    }
                }
                None
            });
            for _ in 0..3 {
                script("text 1 a\\n text 2 b\\n exit 0").spawn(&service).expect("spawn");
            }
            // At least two of the three go to the loop.
            while host.closed < before + 2 {
                assert!(host.poll.wait(GUARD), "round {round}: {} of 2 closed", host.closed - before);
                host.take_all();
            }
            over.store(true, Ordering::SeqCst);
            let kept = taker.join().expect("the taker");
            let has_end = kept.iter().flat_map(Batch::events).any(|event| Kept::of(&event).is_closed());
            drop(kept);
            host.until_closed(before + if has_end { 2 } else { 3 });
        });
    }
}

#[test]
fn a_loop_learns_of_a_close_by_another_thread() {
    for round in 0..count("rounds", 3_000) {
        let service = service();
        let host = Loop::new(&service, SubscriptionOptions::default());
        let asleep = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !asleep.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                host.subscription.close().expect("close");
            });
            asleep.store(true, Ordering::SeqCst);
            assert!(host.poll.wait(Duration::from_secs(5)), "round {round}");
            assert_eq!(kind_of(host.subscription.take(0, LOOK)), ErrorKind::Closed);
        });
    }
}

#[test]
fn after_the_end_of_its_events_the_library_goes_on_with_those_of_others() {
    let service = service();
    let process = sh("sleep 0.3; exit 6").spawn(&service).expect("spawn");
    let mut host = Loop::new(&service, SubscriptionOptions::default());
    service.close(CloseMode::Leave).expect("close");
    while host.take_all() {
        assert!(host.poll.wait(GUARD));
    }
    assert_eq!(finish(&process).code(), 6);
}

hosted! {
    fn a_forked_child_that_drops_it_leaves_the_loop_to_the_parent() {
        let service = service();
        let host = Loop::new(&service, SubscriptionOptions::default());
        let talk = Talk::new();
        let held = std::cell::Cell::new(Some(host));
        assert_eq!(os::in_fork(|| { drop(held.take()); 0 }), 0);
        let mut host = held.take().expect("the parent's");
        let process = talk.tool("await GATE exit 3").spawn(&service).expect("spawn");
        host.take_all();
        talk.gate.open(1);
        os::await_zombie(process.pid());
        // This is long enough for a supervisor that has been switched on to see it.
        thread::sleep(Duration::from_millis(200));
        assert_eq!(process.info().expect("info").state, State::Running);
        host.until_closed(1);
    }
}
