//! Lines and chunks: nothing lost, nothing changed, memory bounded.

use coreproc::{Delivery, EventKind, Service, Size, Stdin, Stream, Subscription, SubscriptionOptions};
use proptest::prelude::*;
use support::events::{bytes_of, lines_of, pieces_of, until_closed};
use support::fifo::Talk;
use support::pattern::{assert_same, pattern, piece};
use support::*;

use crate::{cases, events, portions};

fn lines(service: &Service, max_line_bytes: u64) -> Subscription {
    let options = SubscriptionOptions { delivery: Delivery::Lines, max_line_bytes, ..Default::default() };
    service.subscribe(options).expect("subscribe")
}

fn chunks(service: &Service) -> Subscription {
    let options = SubscriptionOptions { delivery: Delivery::Chunks, ..Default::default() };
    service.subscribe(options).expect("subscribe")
}

/// Splits bytes as a reader would, newlines included.
fn model(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn lines_arrive_one_by_one_without_their_newline() {
    let service = service();
    let lines = lines(&service, 0);
    let events = events(&service, &lines, &tool(["text", "1", "one\n\nthree\r\n \n", "text", "2", "err\n"]));
    let got: Vec<&[u8]> = events
        .iter()
        .filter(|e| matches!(e.kind, EventKind::Output { stream: Stream::Stdout, .. }))
        .map(|e| &e.data[..])
        .collect();
    assert_eq!(got, [&b"one"[..], b"", b"three\r", b" "]);
    assert_eq!(lines_of(&events, Stream::Stderr), [b"err\n"]);
}

#[test]
fn a_last_line_without_newline_is_still_a_line_and_flagged() {
    let service = service();
    let lines = lines(&service, 0);
    let events = events(&service, &lines, &tool(["text", "1", "whole\nrest", "text", "2", "\\n"]));
    let flags: Vec<_> = events
        .iter()
        .filter_map(|e| match e.kind {
            EventKind::Output { stream: Stream::Stdout, partial, unterminated, .. } => {
                Some((lossy(&e.data), partial, unterminated))
            }
            _ => None,
        })
        .collect();
    assert_eq!(flags, [("whole".to_owned(), false, false), ("rest".to_owned(), false, true)]);
    assert_eq!(lines_of(&events, Stream::Stderr), [b"\n"]);
}

#[test]
fn nul_and_invalid_utf8_pass_untouched() {
    let service = service();
    let lines = lines(&service, 0);
    let events = events(&service, &lines, &tool(["text", "1", "\\0a\\0\n\\xff\\xc3\n\\xed\\xa0\\x80\\0"]));
    assert_eq!(lines_of(&events, Stream::Stdout), [&b"\0a\0\n"[..], b"\xff\xc3\n", b"\xed\xa0\x80\0"]);
}

#[test]
fn lines_around_a_read_and_around_the_maximum_are_whole_or_in_flagged_pieces() {
    let service = service();
    let subscription = lines(&service, 0);
    const MAXIMUM: usize = 1 << 20;
    for len in [65_535, 65_536, 65_537, MAXIMUM - 1, MAXIMUM, MAXIMUM + 1, 3 * MAXIMUM] {
        // A short line on each side shows that no boundary moved.
        let command = tool([
            "text".into(),
            "1".into(),
            "before\n".into(),
            "line".into(),
            "1".into(),
            len.to_string(),
            "5".into(),
            "text".into(),
            "1".into(),
            "after".to_owned(),
        ]);
        let events = events(&service, &subscription, &command);
        let lines = lines_of(&events, Stream::Stdout);
        let mut want = piece(len, 5);
        want.push(b'\n');
        assert_eq!(lines.len(), 3, "{len}");
        assert_eq!((&lines[0][..], &lines[2][..]), (&b"before\n"[..], &b"after"[..]));
        assert_same(&lines[1], &want);
        let pieces = &pieces_of(&events, Stream::Stdout)[1];
        assert!(pieces.iter().all(|piece| *piece <= MAXIMUM), "{len}: {pieces:?}");
        assert_eq!(pieces.len() == 1, len <= MAXIMUM, "{len}: {pieces:?}");
    }
}

#[test]
fn a_line_longer_than_the_queue_does_not_stall() {
    let service = service();
    let options = SubscriptionOptions { queue_bytes: 4096, ..Default::default() };
    let subscription = service.subscribe(options).expect("subscribe");
    let command = script("line 1 1000000 3 line 2 1000000 4 line 1 2000000 5");
    let events = events(&service, &subscription, &command);
    for (stream, want) in
        [(Stream::Stdout, vec![(1_000_000, 3), (2_000_000, 5)]), (Stream::Stderr, vec![(1_000_000, 4)])]
    {
        let lines = lines_of(&events, stream);
        assert_eq!(lines.len(), want.len());
        for (line, (len, seed)) in lines.iter().zip(want) {
            assert_same(&line[..line.len() - 1], &piece(len, seed));
        }
    }
}

#[test]
fn a_small_maximum_cuts_every_line_into_pieces_of_it() {
    let service = service();
    let subscription = lines(&service, 10);
    let command = tool(["text", "1", "123456789\n1234567890\n12345678901\n123456789012345678901\n\nx"]);
    let events = events(&service, &subscription, &command);
    assert_eq!(
        lines_of(&events, Stream::Stdout),
        model(b"123456789\n1234567890\n12345678901\n123456789012345678901\n\nx")
    );
    let want: [&[usize]; 6] = [&[9], &[10], &[10, 1], &[10, 10, 1], &[0], &[1]];
    assert_eq!(pieces_of(&events, Stream::Stdout), want);
}

/// A text that two writes split at every offset: in the middle of "\r\n" and of every UTF-8 sequence.
#[test]
fn a_read_may_end_anywhere() {
    let text = "é\r\nß€\r\n\r\n🦀\n\r\rend\r";
    let escaped = |part: &[u8]| part.iter().map(|b| format!("\\x{b:02x}")).collect::<String>();
    let service = service();
    let (lines, chunks) = (lines(&service, 0), chunks(&service));
    for at in 0..=text.len() {
        let talk = Talk::new();
        let (first, second) = text.as_bytes().split_at(at);
        let command = tool(["text", "1", &escaped(first), "await", talk.gate.path(), "text", "1", &escaped(second)]);
        let process = command.spawn(&service).expect("spawn");
        eventually("the first part was read", || process.info().expect("info").stdout_bytes == at as u64);
        talk.gate.open(1);

        let events = until_closed(&lines, 1).remove(&process.id()).expect("events");
        assert_eq!(lines_of(&events, Stream::Stdout), model(text.as_bytes()), "split at {at}");
        let events = until_closed(&chunks, 1).remove(&process.id()).expect("events");
        assert_eq!(lossy(&bytes_of(&events, Stream::Stdout)), text);
    }
}

#[test]
fn chunks_are_the_bytes_as_they_came() {
    let service = service();
    let subscription = chunks(&service);
    let command = script("pattern 1 3000000 1 pattern 2 1000000 2 pattern 1 1 3");
    let events = events(&service, &subscription, &command);
    let mut want = pattern(3_000_000, 1);
    want.extend(pattern(1, 3));
    assert_same(&bytes_of(&events, Stream::Stdout), &want);
    assert_same(&bytes_of(&events, Stream::Stderr), &pattern(1_000_000, 2));
}

#[test]
fn chunks_lines_and_capture_see_the_same_bytes() {
    let service = service();
    let (lines, chunks) = (lines(&service, 0), chunks(&service));
    let mut command = script("pattern 1 5000000 9");
    command.capture(Size::Bytes(5_000_000));
    let process = command.spawn(&service).expect("spawn");
    // They are read side by side: a subscription that waits for its turn would hold up the other.
    let (by_line, by_chunk) = std::thread::scope(|scope| {
        let by_line = scope.spawn(|| until_closed(&lines, 1));
        (until_closed(&chunks, 1), by_line.join().expect("lines"))
    });
    let want = pattern(5_000_000, 9);
    assert_same(&lines_of(&by_chunk[&process.id()], Stream::Stdout).concat(), &want);
    assert_same(&bytes_of(&by_line[&process.id()], Stream::Stdout), &want);
    assert_same(&finish(&process).output, &want);
}

hosted! {
    fn a_line_of_64_mib_arrives_in_pieces_and_memory_stays_bounded() {
        long_line("line of 64 MiB", 64 << 20);
    }

    fn a_line_of_a_gibibyte_arrives_in_pieces_and_memory_stays_bounded() {
        long_line("line of 1 GiB", count("bytes of the longest line", 1 << 30));
    }
}

fn long_line(name: &str, len: u64) {
    let service = service();
    let subscription = lines(&service, 0);
    // This warms up: the cost of the first process is not that of the line.
    events(&service, &subscription, &script("line 1 2000000 1"));
    census::reset_peak();
    let before = census::memory_kb("VmHWM");

    let mut command = script(&format!("line 1 {len} 1 text 1 x"));
    command.capture(Size::None);
    let process = command.spawn(&service).expect("spawn");
    let mut want = pattern::Pieces::new(1);
    let (mut seen, mut pieces, mut lines, mut closed) = (0_u64, 0, 0, false);
    while !closed {
        for event in subscription.take(0, GUARDED).expect("events").events() {
            match event.kind {
                EventKind::Output { partial, .. } if seen < len => {
                    want.assert_next(event.data);
                    seen += event.data.len() as u64;
                    pieces += 1;
                    assert_eq!(partial, seen < len);
                }
                EventKind::Output { .. } => lines += 1,
                EventKind::Closed { .. } => closed = true,
                _ => {}
            }
        }
    }
    assert_eq!((seen, lines), (len, 1));
    assert_eq!(process.info().expect("info").stdout_bytes, len + 2);
    let growth = census::memory_kb("VmHWM").saturating_sub(before);
    println!("{name}: {pieces} pieces, peak memory grew by {growth} kB");
    assert!(growth < 16 << 10, "{growth} kB");
}

/// All that is written, in any portions, comes back: whole, split at newlines, in pieces of the maximum.
#[test]
fn any_bytes_become_the_lines_that_splitting_at_newlines_gives() {
    let config = cases("random outputs", 10_000);
    let service = service();
    let mut command = script("cat");
    command.stdin(Stdin::Pipe);
    proptest!(config, |(writes in portions(), maximum in 1_u64..200)| {
        let subscription = lines(&service, maximum);
        let process = command.spawn(&service).expect("spawn");
        for part in &writes {
            write_all(&process, part, GUARDED).expect("write");
        }
        process.close_stdin().expect("close");
        let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
        let want = model(&writes.concat());
        prop_assert_eq!(lines_of(&events, Stream::Stdout), want.clone());
        for (line, pieces) in want.iter().zip(pieces_of(&events, Stream::Stdout)) {
            let len = line.strip_suffix(b"\n").unwrap_or(line).len();
            prop_assert_eq!(pieces.len(), len.div_ceil(maximum as usize).max(1));
            prop_assert!(pieces.iter().all(|piece| *piece as u64 <= maximum));
        }
    });
}
