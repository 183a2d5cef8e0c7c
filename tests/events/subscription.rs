//! Subscriptions: order, credit, backpressure on one child alone, ends.

use crate::LOOK;
use coreproc::{
    CloseMode, Delivery, ErrorKind, EventKind, Service, State, Stream, Subscription, SubscriptionOptions,
    SubscriptionScope,
};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::events::{Kept, Log, assert_whole, bytes_of, until_closed};
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::*;

fn subscribe(service: &Service, delivery: Delivery, queue_bytes: u64) -> Subscription {
    service.subscribe(SubscriptionOptions { delivery, queue_bytes, ..Default::default() }).expect("subscribe")
}

fn named(service: &Service, delivery: Delivery, queue_bytes: u64) -> Subscription {
    let scope = SubscriptionScope::Named;
    service.subscribe(SubscriptionOptions { scope, delivery, queue_bytes, ..Default::default() }).expect("subscribe")
}

#[test]
fn a_life_is_started_output_exited_closed_without_gaps() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    let total = 200;
    thread::scope(|scope| {
        scope.spawn(|| {
            in_parallel(4, total, |_, i| {
                let body = format!("text 1 a\\nb\\n text 2 c\\n text 1 d exit {}", i % 256);
                run(&service, &script(&body));
            });
        });
        let log = until_closed(&subscription, total as usize);
        assert_eq!(log.len() as u64, total);
        for events in log.values() {
            assert_whole(events);
            assert_eq!(events.len(), 1 + 4 + 2);
            let pid = events[0].pid;
            assert!(pid > 0 && events.iter().all(|e| e.pid == pid));
        }
    });
    assert_eq!(kind_of(subscription.take(0, LOOK)), ErrorKind::TimedOut);
}

#[test]
fn a_subscription_sees_what_was_spawned_after_it_opened() {
    let talk = Talk::new();
    let service = service();
    let early = talk.tool("await GATE text 1 early").spawn(&service).expect("spawn");
    let subscription = subscribe(&service, Delivery::Lines, 0);
    talk.gate.open(1);
    finish(&early);
    let late = script("text 1 late").spawn(&service).expect("spawn");
    let log = until_closed(&subscription, 1);
    assert_eq!(log.keys().copied().collect::<Vec<_>>(), [late.id()]);
}

#[test]
fn a_named_subscription_sees_only_commands_that_named_it() {
    let service = service();
    let (one, two) = (named(&service, Delivery::Lines, 0), named(&service, Delivery::Lines, 0));
    let all = subscribe(&service, Delivery::None, 0);
    let unnamed = run(&service, &script("text 1 x")).info.id;
    let first = run(&service, script("text 1 x").subscribe(&one)).info.id;
    let both = run(&service, script("text 1 x").subscribe(&one).subscribe(&two)).info.id;

    assert_eq!(until_closed(&one, 2).into_keys().collect::<Vec<_>>(), [first, both]);
    assert_eq!(until_closed(&two, 1).into_keys().collect::<Vec<_>>(), [both]);
    assert_eq!(until_closed(&all, 3).into_keys().collect::<Vec<_>>(), [unnamed, first, both]);
}

#[test]
fn delivery_none_brings_lifecycle_events_alone() {
    let service = service();
    let subscription = subscribe(&service, Delivery::None, 0);
    // This is more than any queue holds, so nothing of it may wait here.
    let process = script("pattern 1 8000000 1 exit 1").spawn(&service).expect("spawn");
    finish(&process);
    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_whole(&events);
    assert_eq!(events.len(), 3);
}

#[test]
fn a_subscriber_that_sleeps_stalls_its_own_process_alone() {
    let mut talk = Talk::new();
    let service = service();
    let sleepy = named(&service, Delivery::Chunks, 64 << 10);
    let awake = subscribe(&service, Delivery::None, 0);
    let len = 8 << 20;
    let mut command = talk.tool("notify INBOX up");
    command.args(["pattern", "1", &len.to_string(), "3", "exit", "5"]).subscribe(&sleepy);
    let stalled = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");

    // The others write as much, and end one after another.
    for i in 0..20 {
        let ended = run(&service, &script(&format!("pattern 1 2000000 {i} exit {i}")));
        assert_eq!((ended.code(), ended.info.stdout_bytes), (i, 2_000_000));
    }
    assert_eq!(stalled.info().expect("info").state, State::Running, "8 MiB fit in no queue and no pipe");
    assert!(stalled.info().expect("info").stdout_bytes < 2 << 20);

    let events = until_closed(&sleepy, 1).remove(&stalled.id()).expect("events");
    assert_whole(&events);
    assert_same(&bytes_of(&events, Stream::Stdout), &pattern(len, 3));
    assert_eq!(finish(&stalled).code(), 5);
    assert_eq!(until_closed(&awake, 21).len(), 21);
}

#[test]
fn a_batch_in_use_holds_up_its_own_process_alone() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Chunks, 64 << 10);
    let held = script("pattern 1 4000000 1").spawn(&service).expect("spawn");
    let batch = subscription.take(0, GUARDED).expect("batch");
    assert_eq!(batch.process_id(), held.id());
    let mut log = Log::new();
    log.entry(held.id()).or_default().extend(batch.events().map(|e| Kept::of(&e)));

    // While it is out, the same subscription brings whole lives of others, and nothing of this one.
    for _ in 0..5 {
        let other = script("pattern 1 1000000 2 exit 9").spawn(&service).expect("spawn");
        let events = until_closed(&subscription, 1);
        assert_eq!(events.keys().copied().collect::<Vec<_>>(), [other.id()]);
        assert_same(&bytes_of(&events[&other.id()], Stream::Stdout), &pattern(1_000_000, 2));
    }
    assert_eq!(kind_of(subscription.take(0, LOOK)), ErrorKind::TimedOut);
    assert_eq!(held.info().expect("info").state, State::Running);

    drop(batch);
    while !log[&held.id()].iter().any(Kept::is_closed) {
        let batch = subscription.take(0, GUARDED).expect("batch");
        log.entry(held.id()).or_default().extend(batch.events().map(|e| Kept::of(&e)));
    }
    assert_whole(&log[&held.id()]);
    assert_same(&bytes_of(&log[&held.id()], Stream::Stdout), &pattern(4_000_000, 1));
}

#[test]
fn freeing_a_batch_wakes_a_taker_when_its_process_has_more() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    let process = script("text 1 a\\nb\\nc\\n").spawn(&service).expect("spawn");
    finish(&process);
    let batch = subscription.take(1, GUARDED).expect("batch");
    assert_eq!(batch.events().count(), 1);
    thread::scope(|scope| {
        let taker = scope.spawn(|| subscription.take(0, None).expect("more").events().count());
        drop(batch);
        assert_eq!(taker.join().expect("taker"), 5);
    });
}

#[test]
fn the_exit_of_a_process_is_not_delayed_by_a_subscriber_that_sleeps() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 1);
    for i in 0..20 {
        let process = script(&format!("text 1 some\\nlines\\n exit {i}")).spawn(&service).expect("spawn");
        let info = process.wait_exit(GUARDED).expect("exited");
        assert_eq!(info.status(), Some(coreproc::ExitStatus::Code(i)));
    }
    assert_eq!(until_closed(&subscription, 20).len(), 20);
}

#[test]
fn a_child_stalled_by_a_subscriber_can_be_killed_and_its_exit_arrives() {
    let mut talk = Talk::new();
    let service = service();
    let subscription = subscribe(&service, Delivery::Chunks, 4096);
    let process = talk.tool("fill 1 6 INBOX pattern 1 9000000 6").spawn(&service).expect("spawn");
    let (written, _) = talk.inbox.message();
    process.kill(coreproc::Scope::Default).expect("kill");
    let info = process.wait_exit(GUARDED).expect("exited");
    assert_eq!(info.state, State::Exited, "what waits is still to be taken");

    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_whole(&events);
    let bytes = bytes_of(&events, Stream::Stdout);
    assert!(bytes.len() as u64 >= written.parse().expect("a number"));
    assert_eq!(finish(&process).info.stdout_bytes, bytes.len() as u64);
}

#[test]
fn what_waits_for_a_sleeping_subscriber_is_bounded() {
    let mut talk = Talk::new();
    let service = service();
    let queue = 256 << 10;
    let subscription = subscribe(&service, Delivery::Chunks, queue);
    let process = talk.tool("fill 1 4 INBOX").spawn(&service).expect("spawn");
    let (written, _) = talk.inbox.message();
    let written: u64 = written.parse().expect("a number");
    // The bound is the queue, one read beyond it, and a grown pipe.
    println!("{written} bytes were taken for a queue of {queue}");
    assert!(written <= queue + (64 << 10) + (256 << 10));
    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_same(&bytes_of(&events, Stream::Stdout), &pattern(written as usize, 4));
}

#[test]
fn the_slowest_subscription_governs_a_child_and_closing_it_lifts_that() {
    for drop_it in [false, true] {
        let mut talk = Talk::new();
        let service = service();
        let fast = subscribe(&service, Delivery::Chunks, 0);
        let slow = subscribe(&service, Delivery::Chunks, 4096);
        let process = talk.tool("fill 1 4 INBOX pattern 1 3000000 5").spawn(&service).expect("spawn");
        let written = thread::scope(|scope| {
            let taker = scope.spawn(|| until_closed(&fast, 1));
            let (written, _) = talk.inbox.message();
            assert_eq!(process.info().expect("info").state, State::Running);
            if drop_it {
                drop(slow);
            } else {
                slow.close().expect("close");
                assert_eq!(kind_of(slow.take(0, None)), ErrorKind::Closed);
            }
            let log = taker.join().expect("taker");
            assert_whole(&log[&process.id()]);
            let mut want = pattern(written.parse().expect("a number"), 4);
            want.extend(pattern(3_000_000, 5));
            assert_same(&bytes_of(&log[&process.id()], Stream::Stdout), &want);
            written
        });
        println!("stalled at {written} bytes");
        finish(&process);
    }
}

#[test]
fn several_takers_keep_each_process_in_order() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 16 << 10);
    let (processes, lines) = (24, 4000);
    let log: Mutex<BTreeMap<u64, Vec<Kept>>> = Mutex::default();
    let closed = AtomicUsize::new(0);
    let body = (0..lines).map(|i| format!("{i}\\n")).collect::<String>();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let batch = match subscription.take(7, GUARDED) {
                        Ok(batch) => batch,
                        Err(error) if error.kind() == ErrorKind::Closed => break,
                        Err(error) => panic!("{error}"),
                    };
                    // The order is that in which the batches are freed: one of a process is out at a time.
                    for event in batch.events() {
                        assert_eq!(event.process_id, batch.process_id());
                        let kept = Kept::of(&event);
                        closed.fetch_add(usize::from(kept.is_closed()), Ordering::Relaxed);
                        log.lock().expect("log").entry(kept.process_id).or_default().push(kept);
                    }
                    drop(batch);
                    if closed.load(Ordering::Relaxed) == processes {
                        subscription.close().expect("close");
                    }
                }
            });
        }
        for _ in 0..processes {
            tool(["text", "1", &body]).spawn(&service).expect("spawn");
        }
    });
    let log = log.into_inner().expect("log");
    assert_eq!(log.len(), processes);
    for events in log.values() {
        assert_whole(events);
        let data = events::lines_of(events, Stream::Stdout);
        assert!(data.iter().enumerate().all(|(i, line)| *line == format!("{i}\n").into_bytes()));
        assert_eq!(data.len(), lines);
    }
}

#[test]
fn a_take_brings_at_most_what_was_asked_for() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    let process = tool(["text", "1", &"x\\n".repeat(100)]).spawn(&service).expect("spawn");
    finish(&process);
    let mut sizes = Vec::new();
    for max in (1..).take_while(|_| true) {
        let Ok(batch) = subscription.take(max, LOOK) else { break };
        let len = batch.events().count();
        assert!(len <= max && len > 0);
        sizes.push(len);
    }
    assert_eq!(sizes.iter().sum::<usize>(), 103);
}

#[test]
fn closing_wakes_every_taker_and_may_be_said_twice() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    thread::scope(|scope| {
        let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| kind_of(subscription.take(0, None)))).collect();
        subscription.close().expect("close");
        subscription.close().expect("close again");
        for taker in takers {
            assert_eq!(taker.join().expect("taker"), ErrorKind::Closed);
        }
    });
    run(&service, &script("pattern 1 5000000 1"));
    assert_eq!(kind_of(subscription.take(0, LOOK)), ErrorKind::Closed);
}

#[test]
fn the_stream_ends_after_the_last_event_of_a_closed_service() {
    let talk = Talk::new();
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    let process = talk.tool("await GATE text 1 last").spawn(&service).expect("spawn");
    service.close(CloseMode::Leave).expect("close");
    talk.gate.open(1);
    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_eq!(bytes_of(&events, Stream::Stdout), b"last");
    assert_eq!(kind_of(subscription.take(0, GUARDED)), ErrorKind::Closed);
    assert_eq!(kind_of(service.subscribe(SubscriptionOptions::default())), ErrorKind::Closed);
}

#[test]
fn the_descriptor_is_readable_while_events_wait_and_armed_again_by_an_empty_take() {
    let talk = Talk::new();
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    // A loop may read from its duplicate, and does.
    let fd = os::duplicate(subscription.fd().expect("fd"));
    assert!(!os::readable(&fd, Duration::ZERO));

    let process = talk.tool("text 1 a\\n await GATE text 1 b\\n await GATE").spawn(&service).expect("spawn");
    let mut events: Vec<Kept> = Vec::new();
    let mut turns = 0;
    while !events.last().is_some_and(Kept::is_closed) {
        assert!(os::readable(&fd, GUARD), "{events:?}");
        if turns % 2 == 0 {
            os::read_away(&fd);
        }
        loop {
            match subscription.take(2, LOOK) {
                Ok(batch) => events.extend(batch.events().map(|e| Kept::of(&e))),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    break;
                }
            }
        }
        if bytes_of(&events, Stream::Stdout).len() > turns {
            talk.gate.open(1);
            turns += 1;
        }
    }
    assert_whole(&events);
    assert_eq!(events[0].process_id, process.id());
    assert!(!os::readable(&fd, Duration::ZERO), "nothing waits");
    subscription.close().expect("close");
    assert!(os::readable(&fd, GUARD), "the end can be seen");
}

#[test]
fn an_event_tells_its_kind_and_both_clocks() {
    let service = service();
    let subscription = subscribe(&service, Delivery::Lines, 0);
    let info = run(&service, &script("text 2 x raise 9")).info;
    let events = until_closed(&subscription, 1).remove(&info.id).expect("events");
    let kinds: Vec<_> = events.iter().map(|e| e.kind).collect();
    let killed = coreproc::ExitStatus::Signal { signal: 9, core_dumped: false };
    // The output may come before or after the exit is known.
    assert!(matches!(kinds[0], EventKind::Started));
    assert!(
        kinds
            .iter()
            .any(|k| matches!(k, EventKind::Output { stream: Stream::Stderr, partial: false, unterminated: true }))
    );
    assert!(kinds.iter().any(|k| matches!(k, EventKind::Exited(ending) if ending.status == killed)));
    assert!(matches!(kinds[3], EventKind::Closed { ending, drain_bound: false } if ending.status == killed));
    assert_eq!(events[0].monotonic_ns, info.started.monotonic_ns);
    assert_eq!(events[3].monotonic_ns, info.closed.expect("closed").monotonic_ns);
}
