//! Outputs in pieces of any size, copied or in blocks, taken at any moment, against a simple model: what a subscriber
//! gets is what was read, cut at its newlines.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;

use super::batch::Batch;
use super::options::{Delivery, Encoding, Overflow, SubscriptionOptions};
use super::queue::Queue;
use super::source::{Origin, Sender, Unpaused};
use super::types::{Cause, Ending, EventKind, Stream};
use crate::runtime::{Deadline, Handler, Reactor};
use crate::sys::block::{BLOCK_SIZE, Filling, Pool};
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;
use crate::sys::space::Bytes;

const ID: u64 = 1;

/// A loop in which nothing happens.
struct Still(Reactor);

impl Handler for Still {
    fn reactor(&self) -> &Reactor {
        &self.0
    }

    fn handle(&self, _token: u64, _hang_up: bool, _buffer: &mut ReadBuffer) {}

    fn broken(&self) {}
}

fn still() -> Arc<dyn Handler> {
    static STILL: OnceLock<Arc<Still>> = OnceLock::new();
    Arc::clone(STILL.get_or_init(|| Arc::new(Still(Reactor::new().expect("reactor"))))) as Arc<dyn Handler>
}

#[derive(Clone, Debug)]
enum Step {
    Read {
        stream: Stream,
        len: usize,
        line: usize,
        into_block: bool,
    },
    /// Takes up to so many events; 0: all.
    Take(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![1usize..200, 3_000usize..6_000, 15_000usize..BLOCK_SIZE + 1];
    let line = prop_oneof![Just(usize::MAX), 1usize..5, 70usize..90, 5_000usize..70_000];
    let stream = prop_oneof![3 => Just(Stream::Stdout), 1 => Just(Stream::Stderr)];
    let read = (stream, len, line, prop::bool::weighted(0.8)).prop_map(|(stream, len, line, into_block)| Step::Read {
        stream,
        len,
        line,
        into_block,
    });
    prop::collection::vec(prop_oneof![4 => read, 1 => (0usize..6).prop_map(Step::Take)], 1..40)
}

/// What one stream brought, and what of it was delivered.
#[derive(Default)]
struct Side {
    read: Vec<u8>,
    delivered: Vec<u8>,
}

struct Course {
    queue: Arc<Queue>,
    delivery: Delivery,
    max_line: usize,
    sides: [Side; 2],
    events: u64,
}

impl Course {
    fn take(&mut self, max: usize) {
        let Ok(taken) = self.queue.take(Deadline::after(Some(Duration::ZERO))) else { return };
        let mut batch = Batch::new(Arc::clone(&self.queue), taken);
        if max > 0 {
            batch.cut(|events| events.take(max).for_each(drop));
        }
        for event in batch.events() {
            self.events += 1;
            assert_eq!(event.sequence, self.events);
            let EventKind::Output { stream, partial, unterminated } = event.kind else { continue };
            let delivered = &mut self.sides[usize::from(stream == Stream::Stderr)].delivered;
            delivered.extend(event.data);
            if self.delivery == Delivery::Lines {
                assert!(!event.data.contains(&b'\n') && event.data.len() <= self.max_line);
                assert!(!partial || event.data.len() == self.max_line);
                delivered.extend((!partial && !unterminated).then_some(b'\n'));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_is_delivered_is_what_was_read(
        steps in steps(),
        delivery in prop_oneof![Just(Delivery::Lines), Just(Delivery::Chunks)],
        queue_bytes in prop_oneof![Just(0), Just(4 * BLOCK_SIZE as u64), Just(1000), Just(u64::MAX)],
        max_line in prop_oneof![3 => Just(1usize << 20), 1 => 1usize..100, 1 => 60_000usize..70_000],
    ) {
        let options = SubscriptionOptions { delivery, queue_bytes, max_line_bytes: max_line as u64, ..Default::default() };
        let queue = Arc::new(Queue::new(still(), options));
        let source = Arc::new(Unpaused);
        let sender = Sender { id: ID, origin: Origin { pid: 1, part: None }, source: &source };
        prop_assert!(queue.attach(&sender, Stamp::now()));
        let pool = Arc::new(Pool::new(2));
        let mut filling = Filling::new(&pool).expect("block");
        let mut course = Course { queue: Arc::clone(&queue), delivery, max_line, sides: Default::default(), events: 0 };
        for step in steps {
            match step {
                Step::Take(max) => course.take(max),
                Step::Read { stream, len, line, into_block } => {
                    let at = course.sides[usize::from(stream == Stream::Stderr)].read.len();
                    let byte = |index: usize| if index % line == line - 1 { b'\n' } else { b'a' + (index % 26) as u8 };
                    let bytes: Vec<u8> = (at..at + len).map(byte).collect();
                    course.sides[usize::from(stream == Stream::Stderr)].read.extend(&bytes);
                    if !into_block {
                        queue.push_output(&sender, stream, &Bytes::Borrowed(&bytes), Stamp::now());
                        continue;
                    }
                    if filling.room() < len {
                        filling = Filling::new(&pool).expect("block");
                    }
                    queue.push_output(&sender, stream, &Bytes::Shared(filling.copy(&bytes)), Stamp::now());
                }
            }
        }
        let ending = Ending { status: ExitStatus::Code(0), cause: Cause::Natural };
        queue.push_closed(&sender, ending, None, Stamp::now());
        queue.end_source();
        while !queue.state().has_ended() {
            course.take(0);
        }
        for side in &course.sides {
            prop_assert!(side.delivered == side.read);
        }
    }
}

/// Reads pieces of these sizes, and returns what is delivered of standard output, with the `\n` of lines, and how much
/// of it was dropped.
fn deliver(options: SubscriptionOptions, bytes: &[u8], sizes: &[usize], takes: &[bool]) -> (Vec<(Vec<u8>, bool)>, u64) {
    let queue = Arc::new(Queue::new(still(), options));
    let source = Arc::new(Unpaused);
    let sender = Sender { id: ID, origin: Origin { pid: 1, part: None }, source: &source };
    assert!(queue.attach(&sender, Stamp::now()));
    let (mut delivered, mut dropped) = (Vec::new(), 0);
    let mut dropped_events = 0;
    let mut take = |max: usize| {
        let Ok(taken) = queue.take(Deadline::after(Some(Duration::ZERO))) else { return };
        let mut batch = Batch::new(Arc::clone(&queue), taken);
        if max > 0 {
            batch.cut(|events| events.take(max).for_each(drop));
        }
        for event in batch.events() {
            match event.kind {
                EventKind::Output { partial, unterminated, .. } => {
                    let ends = options.delivery == Delivery::Lines && !partial && !unterminated;
                    delivered.push(([event.data, if ends { b"\n" } else { b"" }].concat(), event.replaced));
                }
                EventKind::Overflow { bytes, events } => {
                    assert_eq!(event.data, format!("{bytes} {events}").as_bytes());
                    assert!(bytes > 0 && events > 0);
                    dropped += bytes;
                    dropped_events += events;
                }
                _ => assert!(event.data.is_empty()),
            }
        }
    };
    let mut rest = bytes;
    for (size, takes) in sizes.iter().zip(takes).cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        queue.push_output(&sender, Stream::Stdout, &Bytes::Borrowed(piece), Stamp::now());
        if *takes {
            take(size % 3);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let ending = Ending { status: ExitStatus::Code(0), cause: Cause::Natural };
    queue.push_closed(&sender, ending, None, Stamp::now());
    queue.end_source();
    while !queue.state().has_ended() {
        take(0);
    }
    assert_eq!(dropped == 0, dropped_events == 0);
    (delivered, dropped)
}

proptest! {
    #[test]
    fn what_is_dropped_is_counted_and_the_rest_is_whole_and_in_order(
        lengths in prop::collection::vec(0usize..60, 1..200),
        sizes in prop::collection::vec(1usize..500, 1..10),
        takes in prop::collection::vec(prop::bool::weighted(0.3), 10),
        overflow in prop_oneof![Just(Overflow::DropOldest), Just(Overflow::DropNewest)],
        delivery in prop_oneof![Just(Delivery::Lines), Just(Delivery::WholeLines), Just(Delivery::Chunks)],
        queue_bytes in prop_oneof![1u64..200, 200u64..5_000],
    ) {
        let line = |(number, length): (usize, &usize)| format!("{number} {}\n", "x".repeat(*length));
        let lines: Vec<String> = lengths.iter().enumerate().map(line).collect();
        let bytes = lines.concat().into_bytes();
        let options = SubscriptionOptions { delivery, overflow, queue_bytes, ..Default::default() };
        let (delivered, dropped) = deliver(options, &bytes, &sizes, &takes);
        let total: usize = delivered.iter().map(|(data, _)| data.len()).sum();
        prop_assert_eq!(total as u64 + dropped, bytes.len() as u64);
        if delivery != Delivery::Chunks {
            // Each line is one that was written, and they come in order.
            let mut expected = lines.iter();
            for (data, _) in delivered {
                for line in data.split_inclusive(|byte| *byte == b'\n') {
                    prop_assert!(expected.any(|known| known.as_bytes() == line), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn text_is_what_the_standard_library_makes_of_it(
        pieces in prop::collection::vec(
            prop_oneof![
                4 => "[aä€💩\n]{1,9}".prop_map(String::into_bytes),
                1 => prop::collection::vec(any::<u8>(), 1..5)
            ],
            1..40),
        sizes in prop::collection::vec(1usize..40, 1..10),
        delivery in prop_oneof![Just(Delivery::Lines), Just(Delivery::WholeLines), Just(Delivery::Chunks)],
    ) {
        let bytes = pieces.concat();
        let options = SubscriptionOptions { delivery, encoding: Encoding::Utf8, ..Default::default() };
        let (delivered, _) = deliver(options, &bytes, &sizes, &vec![true; sizes.len()]);
        let whole: Vec<u8> = delivered.iter().flat_map(|(data, _)| data.clone()).collect();
        prop_assert_eq!(whole, String::from_utf8_lossy(&bytes).into_owned().into_bytes());
        for (data, replaced) in &delivered {
            let text = std::str::from_utf8(data);
            let is_marked = text.is_ok_and(|text| !replaced || text.contains(char::REPLACEMENT_CHARACTER));
            prop_assert!(is_marked);
        }
        let any_replaced = delivered.iter().any(|(_, replaced)| *replaced);
        prop_assert_eq!(any_replaced, std::str::from_utf8(&bytes).is_err());
    }

    #[test]
    fn pieces_of_a_long_line_are_whole_characters(text in "[aä€💩]{0,60}", max_line in 4u64..20, size in 1usize..9) {
        let options =
            SubscriptionOptions { encoding: Encoding::Utf8, max_line_bytes: max_line, ..Default::default() };
        let (delivered, _) = deliver(options, text.as_bytes(), &[size], &[true]);
        prop_assert_eq!(delivered.iter().flat_map(|(data, _)| data.clone()).collect::<Vec<_>>(), text.as_bytes());
        for (data, replaced) in delivered {
            prop_assert!(!replaced && std::str::from_utf8(&data).is_ok() && data.len() as u64 <= max_line);
        }
    }
}
