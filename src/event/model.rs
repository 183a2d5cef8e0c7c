//! Outputs in pieces of any size, copied or in blocks, taken at any moment, against a simple model: what a subscriber
//! gets is what was read, cut at its newlines.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;

use super::batch::Batch;
use super::options::{Delivery, SubscriptionOptions};
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
