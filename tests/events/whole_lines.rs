//! Whole lines in one piece: the same bytes as lines one by one, cut at line ends alone.

use coreproc::{Delivery, EventKind, Service, Stdin, Stream, Subscription, SubscriptionOptions};
use proptest::prelude::*;
use support::events::{Kept, assert_whole, bytes_of, lines_of, until_closed};
use support::*;

use crate::{LOOK, cases, events, portions};

fn subscribe(service: &Service, delivery: Delivery, max_line_bytes: u64) -> Subscription {
    let options = SubscriptionOptions { delivery, max_line_bytes, ..Default::default() };
    service.subscribe(options).expect("subscribe")
}

/// Returns the output events of a stream: bytes, whether partial, whether unterminated.
fn outputs(events: &[Kept], of: Stream) -> Vec<(String, bool, bool)> {
    events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Output { stream, partial, unterminated } if stream == of => {
                Some((lossy(&event.data), partial, unterminated))
            }
            _ => None,
        })
        .collect()
}

/// Splits the events of whole lines as a consumer does, into what lines one by one would have been.
fn split(events: &[Kept]) -> Vec<Kept> {
    let mut lines = Vec::new();
    for event in events {
        match event.kind {
            EventKind::Output { partial: false, unterminated: false, .. } => {
                assert_eq!(event.data.last(), Some(&b'\n'), "{event:?}");
                for line in event.data.split_inclusive(|byte| *byte == b'\n') {
                    lines.push(Kept { data: line[..line.len() - 1].to_vec(), ..event.clone() });
                }
            }
            EventKind::Output { .. } => {
                assert!(!event.data.is_empty() && !event.data.contains(&b'\n'), "{event:?}");
                lines.push(event.clone());
            }
            _ => lines.push(event.clone()),
        }
    }
    lines
}

#[test]
fn lines_of_one_write_come_in_one_event_each_with_its_newline() {
    let service = service();
    let subscription = subscribe(&service, Delivery::WholeLines, 0);
    let command = tool(["text", "1", "one\n\nthree\r\n \n", "text", "2", "err\n"]);
    let events = events(&service, &subscription, &command);
    assert_eq!(outputs(&events, Stream::Stdout), [("one\n\nthree\r\n \n".to_owned(), false, false)]);
    assert_eq!(outputs(&events, Stream::Stderr), [("err\n".to_owned(), false, false)]);
}

#[test]
fn pieces_of_a_long_line_and_a_last_line_without_newline_come_alone_and_marked() {
    let service = service();
    let subscription = subscribe(&service, Delivery::WholeLines, 10);
    let events = events(&service, &subscription, &tool(["text", "1", "ab\ncd\n0123456789abc\nef\nrest"]));
    let outputs = outputs(&events, Stream::Stdout);
    let marked: Vec<_> = outputs.iter().filter(|(_, partial, unterminated)| *partial || *unterminated).collect();
    assert_eq!(marked, [&("0123456789".to_owned(), true, false), &("rest".to_owned(), false, true)]);
    let all: String = outputs.iter().map(|(text, ..)| &text[..]).collect();
    assert_eq!(all, "ab\ncd\n0123456789abc\nef\nrest");
}

#[test]
fn a_take_counts_pieces_of_whole_lines_as_one_event_each() {
    let service = service();
    let subscription = subscribe(&service, Delivery::WholeLines, 0);
    let process = tool(["text", "1", &"x\\n".repeat(100)]).spawn(&service).expect("spawn");
    finish(&process);
    let mut events = Vec::new();
    while let Ok(batch) = subscription.take(1, LOOK) {
        let before = events.len();
        events.extend(batch.events().map(|event| Kept::of(&event)));
        assert_eq!(events.len(), before + 1);
    }
    assert_whole(&events);
    // Started, exited, closed, and the pieces, which are as many as the reads.
    assert!(events.len() < 3 + 100, "{}", events.len());
    assert_eq!(bytes_of(&events, Stream::Stdout), b"x\n".repeat(100));
}

/// Both forms of the same output, in any portions and with any maximum.
#[test]
fn whole_lines_split_at_newlines_are_the_lines_one_by_one() {
    let config = cases("random outputs, whole lines", 1000);
    let service = service();
    let mut command = script("cat");
    command.stdin(Stdin::Pipe);
    proptest!(config, |(writes in portions(), maximum in 1_u64..200)| {
        let (one_by_one, whole) =
            (subscribe(&service, Delivery::Lines, maximum), subscribe(&service, Delivery::WholeLines, maximum));
        let process = command.spawn(&service).expect("spawn");
        for part in &writes {
            write_all(&process, part, GUARDED).expect("write");
        }
        process.close_stdin().expect("close");
        let one_by_one = until_closed(&one_by_one, 1).remove(&process.id()).expect("events");
        let whole = until_closed(&whole, 1).remove(&process.id()).expect("events");
        assert_whole(&whole);
        let split = split(&whole);
        prop_assert_eq!(outputs(&split, Stream::Stdout), outputs(&one_by_one, Stream::Stdout));
        prop_assert_eq!(lines_of(&split, Stream::Stdout).concat(), writes.concat());
    });
}
