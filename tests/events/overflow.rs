//! A queue that is full and may drop: no child is slowed, every byte is delivered or counted, and ends are never lost.

use coreproc::{
    CloseMode, Command, Delivery, Encoding, EventFilter, EventKind, Overflow, Stdin, Stream, SubscriptionOptions,
};
use support::*;

/// Runs a command while nothing is taken, then takes everything: the lines, the counts of what was dropped, and whether
/// the end was told.
fn run(options: SubscriptionOptions, command: &Command) -> (Vec<String>, (u64, u64), bool) {
    let service = service();
    let events = service.subscribe(options).expect("subscribe");
    command.spawn(&service).expect("spawn").wait(GUARDED).expect("no queue holds it back");
    service.close(CloseMode::Leave).expect("close");
    let (mut lines, mut dropped, mut is_told) = (Vec::new(), (0, 0), false);
    while let Ok(batch) = events.take(0, GUARDED) {
        for event in batch.events() {
            match event.kind {
                EventKind::Output { .. } => lines.push(lossy(event.data)),
                EventKind::Overflow { bytes, events } => dropped = (dropped.0 + bytes, dropped.1 + events),
                EventKind::Closed { .. } => is_told = true,
                _ => {}
            }
        }
    }
    (lines, dropped, is_told)
}

fn numbers(last: u32) -> Command {
    let mut command = Command::new("seq");
    command.arg(last.to_string());
    command
}

#[test]
fn the_newest_lines_are_kept_if_the_oldest_may_go() {
    let options = SubscriptionOptions { overflow: Overflow::DropOldest, queue_bytes: 4096, ..Default::default() };
    let (lines, dropped, is_told) = run(options, &numbers(200_000));
    let first = 200_001 - lines.len();
    assert!(lines.iter().eq((first..=200_000).map(|number| number.to_string()).collect::<Vec<_>>().iter()));
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert_eq!((dropped.0 + bytes as u64, dropped.1 + lines.len() as u64), (1_288_895, 200_000));
    assert!(dropped.1 > 0 && is_told);
}

#[test]
fn the_oldest_lines_are_kept_if_the_newest_may_go() {
    let options = SubscriptionOptions { overflow: Overflow::DropNewest, queue_bytes: 4096, ..Default::default() };
    let (lines, dropped, is_told) = run(options, &numbers(200_000));
    assert!(lines.iter().eq((1..=lines.len()).map(|number| number.to_string()).collect::<Vec<_>>().iter()));
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert_eq!((dropped.0 + bytes as u64, dropped.1 + lines.len() as u64), (1_288_895, 200_000));
    assert!(dropped.1 > 0 && is_told);
}

#[test]
fn a_queue_of_blocks_drops_as_one_of_copies_does() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let options = SubscriptionOptions { overflow, queue_bytes: 1 << 20, ..Default::default() };
        let (lines, dropped, is_told) = run(options, &numbers(2_000_000));
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert_eq!((dropped.0 + bytes as u64, dropped.1 + lines.len() as u64), (14_888_896, 2_000_000));
        assert!(bytes > 100_000 && is_told, "{bytes} bytes");
    }
}

#[test]
fn a_subscription_that_may_drop_slows_no_other() {
    let service = service();
    let options = SubscriptionOptions { overflow: Overflow::DropOldest, queue_bytes: 1000, ..Default::default() };
    let lossy = service.subscribe(options).expect("subscribe");
    let whole = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let process = numbers(50_000).spawn(&service).expect("spawn");
    let mut lines = 0;
    let mut is_closed = false;
    while !is_closed {
        for event in whole.take(0, GUARDED).expect("events").events() {
            lines += usize::from(matches!(event.kind, EventKind::Output { .. }));
            is_closed |= matches!(event.kind, EventKind::Closed { .. });
        }
    }
    assert_eq!(lines, 50_000);
    process.wait(GUARDED).expect("closed");
    drop(lossy);
}

#[test]
fn a_filter_leaves_out_streams_and_kinds() {
    let script = "echo out; echo err >&2";
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let kinds = |filter| {
        let service = service();
        let events = service.subscribe(SubscriptionOptions { filter, ..Default::default() }).expect("subscribe");
        command.spawn(&service).expect("spawn").wait(GUARDED).expect("closed");
        service.close(CloseMode::Leave).expect("close");
        let mut seen = Vec::new();
        // The stream of events ends although nothing told of the process's end.
        while let Ok(batch) = events.take(0, GUARDED) {
            seen.extend(batch.events().map(|event| match event.kind {
                EventKind::Output { stream: Stream::Stdout, .. } => "stdout",
                EventKind::Output { .. } => "stderr",
                EventKind::Started => "started",
                EventKind::Exited(_) => "exited",
                _ => "closed",
            }));
        }
        seen.sort_unstable();
        seen
    };
    assert_eq!(kinds(EventFilter::default()), ["closed", "exited", "started", "stderr", "stdout"]);
    assert_eq!(kinds(EventFilter::STDERR), ["stderr"]);
    assert_eq!(kinds(EventFilter::STARTED | EventFilter::STDOUT), ["started", "stdout"]);
    assert_eq!(kinds(EventFilter::EXITED), ["exited"]);
    assert_eq!(kinds(EventFilter::DESCRIPTORS), [""; 0]);
    assert_eq!(kinds(EventFilter::RUN_ENDED), [""; 0]);
}

#[test]
fn a_character_that_two_writes_bring_comes_in_one_chunk() {
    let service = service();
    let options = SubscriptionOptions {
        delivery: Delivery::Chunks,
        encoding: Encoding::Utf8,
        filter: EventFilter::STDOUT,
        ..Default::default()
    };
    let events = service.subscribe(options).expect("subscribe");
    let mut command = Command::new("sh");
    command.args(["-c", r"printf 'a\342\202'; read go; printf '\254b\342'"]).stdin(Stdin::Pipe);
    let process = command.spawn(&service).expect("spawn");
    let take = || {
        let batch = events.take(0, GUARDED).expect("a chunk");
        batch.events().map(|event| (lossy(event.data), event.replaced)).collect::<Vec<_>>()
    };
    assert_eq!(take(), [("a".to_owned(), false)]);
    process.write_stdin(b"\n", GUARDED).expect("write");
    process.wait(GUARDED).expect("closed");
    let mut rest = take();
    service.close(CloseMode::Leave).expect("close");
    if rest.len() == 1 {
        rest.extend(take());
    }
    assert_eq!(rest, [("€b".to_owned(), false), ("\u{FFFD}".to_owned(), true)]);
}
