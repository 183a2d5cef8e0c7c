//! Output of processes that write much, which is shared in blocks: exact at each edge at which sharing begins or ends.

use coreproc::{Delivery, Output, Size, Stream, Subscription, SubscriptionOptions};
use support::events::{Kept, assert_whole, bytes_of, lines_of, until_closed};
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::*;

const MIB: usize = 1 << 20;

fn subscribe(service: &coreproc::Service, delivery: Delivery, queue_bytes: u64) -> Subscription {
    service.subscribe(SubscriptionOptions { delivery, queue_bytes, ..Default::default() }).expect("subscribe")
}

/// Returns the bytes of a stream, with the newlines of its lines.
fn joined(events: &[Kept], delivery: Delivery, of: Stream) -> Vec<u8> {
    if delivery == Delivery::Lines { lines_of(events, of).concat() } else { bytes_of(events, of) }
}

#[test]
fn two_streams_at_once_arrive_whole_as_lines_and_as_chunks_and_in_the_capture() {
    const EACH: usize = 5_000_000;
    let service = service();
    let (lines, chunks) = (subscribe(&service, Delivery::Lines, 0), subscribe(&service, Delivery::Chunks, 0));
    let body = format!("fork plain pattern 2 {EACH} 3 end pattern 1 {EACH} 4 exit 0");
    let process = script(&body).spawn(&service).expect("spawn");
    std::thread::scope(|scope| {
        for (subscription, delivery) in [(&lines, Delivery::Lines), (&chunks, Delivery::Chunks)] {
            let id = process.id();
            scope.spawn(move || {
                let events = until_closed(subscription, 1).remove(&id).expect("events");
                assert_whole(&events);
                assert_same(&joined(&events, delivery, Stream::Stdout), &pattern(EACH, 4));
                assert_same(&joined(&events, delivery, Stream::Stderr), &pattern(EACH, 3));
            });
        }
    });
    let ended = finish(&process);
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (EACH as u64, EACH as u64));
    assert_eq!((ended.output.len(), ended.info.dropped_bytes), (MIB, (2 * EACH - MIB) as u64));
}

#[test]
fn a_capture_holds_the_end_of_what_was_little_then_much_then_little() {
    let service = service();
    let body = "pattern 1 100 1 pattern 1 3000000 2 pattern 1 77 3 pattern 1 20000 4 pattern 1 1 5";
    let mut all = pattern(100, 1);
    for (len, seed) in [(3_000_000, 2), (77, 3), (20_000, 4), (1, 5)] {
        all.extend(pattern(len, seed));
    }
    let block = 64 << 10;
    for size in [1, 4096, block - 1, 4 * block - 1, 4 * block, 4 * block + 1, MIB, all.len(), all.len() + 1] {
        let mut command = script(body);
        command.capture(Size::Bytes(size as u64));
        let ended = run(&service, &command);
        let kept = all.len().min(size);
        assert_same(&ended.output, &all[all.len() - kept..]);
        assert_eq!(ended.info.dropped_bytes, (all.len() - kept) as u64, "capture of {size}");
    }
}

#[test]
fn merged_streams_keep_their_order() {
    let service = service();
    let chunks = subscribe(&service, Delivery::Chunks, 0);
    let mut command = script("pattern 1 2000000 1 pattern 2 2000000 2 pattern 1 50 3 pattern 2 2000000 4");
    command.stderr(Output::Merge).capture(Size::Bytes(100 << 20));
    let process = command.spawn(&service).expect("spawn");
    let events = until_closed(&chunks, 1).remove(&process.id()).expect("events");
    let mut all = pattern(2_000_000, 1);
    for (len, seed) in [(2_000_000, 2), (50, 3), (2_000_000, 4)] {
        all.extend(pattern(len, seed));
    }
    assert_same(&bytes_of(&events, Stream::Stdout), &all);
    assert_same(&finish(&process).output, &all);
}

#[test]
fn a_spool_is_shared_too() {
    const LEN: usize = 5_000_000;
    let service = service();
    let lines = subscribe(&service, Delivery::Lines, 0);
    let mut command = script(&format!("pattern 1 {LEN} 6"));
    command.detach();
    let process = command.spawn(&service).expect("spawn");
    let events = until_closed(&lines, 1).remove(&process.id()).expect("events");
    assert_same(&joined(&events, Delivery::Lines, Stream::Stdout), &pattern(LEN, 6));
    assert_same(&finish(&process).output, &pattern(LEN, 6)[LEN - MIB..]);
}

#[test]
fn a_batch_outlives_its_subscription_its_process_and_its_service() {
    let mut talk = Talk::new();
    let service = service();
    let chunks = subscribe(&service, Delivery::Chunks, 0);
    let process = talk.tool("fill 1 4 INBOX await GATE").spawn(&service).expect("spawn");
    // It has written more than the queue holds.
    let (written, _) = talk.inbox.message();
    let batch = chunks.take(0, GUARDED).expect("batch");
    process.kill(coreproc::Scope::Default).expect("kill");
    drop(chunks);
    drop((finish(&process), process, service));
    census::wait_childless();
    let bytes: Vec<u8> = batch.events().flat_map(|event| event.data).copied().collect();
    assert!(bytes.len() > 128 << 10 && bytes.len() <= written.parse().expect("a number"));
    assert_same(&bytes, &pattern(bytes.len(), 4));
}

#[test]
fn a_queue_that_is_full_within_a_block_goes_on_event_by_event() {
    for (delivery, queue) in [(Delivery::Lines, 256 << 10), (Delivery::Chunks, 256 << 10), (Delivery::Chunks, 70_000)] {
        let mut talk = Talk::new();
        let service = service();
        let subscription = subscribe(&service, delivery, queue);
        let process = talk.tool("fill 1 4 INBOX pattern 1 300000 5 exit 0").spawn(&service).expect("spawn");
        let (written, _) = talk.inbox.message();
        let mut want = pattern(written.parse().expect("a number"), 4);
        want.extend(pattern(300_000, 5));
        let mut events = Vec::new();
        while !events.last().is_some_and(Kept::is_closed) {
            let batch = subscription.take(1 + events.len() % 3, GUARDED).expect("batch");
            assert!(batch.events().count() <= 1 + events.len() % 3);
            events.extend(batch.events().map(|event| Kept::of(&event)));
        }
        assert_whole(&events);
        assert_same(&joined(&events, delivery, Stream::Stdout), &want);
        finish(&process);
    }
}
