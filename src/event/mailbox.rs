//! [`Mailbox`]: the events of one process, or run, that wait for one subscription, and the credit of that process:
//! how much may wait, and that at most one batch is out at a time.

use std::sync::Arc;

use super::options::Limits;
use super::record::{Appender, Buffer, Cursor, RecordKind};
use super::source::{Origin, Source};
use super::splitter::Splitter;
use super::types::Stream;
use crate::sys::clock::Stamp;
use crate::sys::space::Bytes;

/// One process's queue in one subscription.
pub(super) struct Mailbox {
    pub(super) origin: Origin,
    pub(super) source: Arc<dyn Source>,
    filling: Buffer,
    /// A batch that was taken in part, and given back. Boxed, because it is rare and an idle process should cost
    /// little.
    rest: Option<Box<(Buffer, Cursor)>>,
    /// The cost of the batch that is out.
    out: Option<usize>,
    /// Whether it is in the ready list of the queue.
    pub(super) listed: bool,
    full: bool,
    lost: bool,
    /// Whether its process is closed: the mailbox is then removed when it is empty.
    pub(super) finished: bool,
    /// The sequence number of the last event given out.
    pub(super) sequence: u64,
    splitter: Splitter,
}

impl Mailbox {
    pub(super) fn new(origin: Origin, source: Arc<dyn Source>) -> Mailbox {
        Mailbox {
            origin,
            source,
            filling: Buffer::default(),
            rest: None,
            out: None,
            listed: false,
            full: false,
            lost: false,
            finished: false,
            sequence: 0,
            splitter: Splitter::default(),
        }
    }

    /// Returns whether a taker could have something now.
    pub(super) fn has_batch(&self) -> bool {
        self.out.is_none() && (self.rest.is_some() || !self.filling.records.is_empty())
    }

    /// Returns whether anything was given out.
    pub(super) fn is_seen(&self) -> bool {
        self.sequence > 0 || self.out.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_none() && self.rest.is_none() && self.filling.records.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    fn cost(&self) -> usize {
        self.filling.cost() + self.rest.as_ref().map_or(0, |rest| rest.0.cost()) + self.out.unwrap_or(0)
    }

    /// Gives out what waits: the rest of the last batch first.
    pub(super) fn take(&mut self, spare: impl FnOnce() -> Buffer) -> (Buffer, Cursor) {
        let taken = match self.rest.take() {
            Some(rest) => *rest,
            None => (std::mem::replace(&mut self.filling, spare()), Cursor::default()),
        };
        self.out = Some(taken.0.cost());
        taken
    }

    /// Takes a batch back, with what was not taken of it. True if the queue has room again after it was full.
    pub(super) fn give_back(&mut self, rest: Option<(Buffer, Cursor)>, limits: Limits) -> bool {
        self.out = None;
        self.rest = rest.map(Box::new);
        let reopened = self.full && self.cost() <= limits.queue_bytes / 2;
        if reopened {
            self.full = false;
        }
        reopened
    }

    /// Adds a lifecycle event: never refused, never dropped.
    pub(super) fn push_lifecycle(&mut self, kind: RecordKind, time: Stamp, text: &[u8]) {
        self.appender(time).0.append(kind, &[text]);
    }

    /// Adds raw bytes, as read.
    pub(super) fn push_chunk(&mut self, stream: Stream, bytes: &Bytes<'_>, time: Stamp, limits: Limits) {
        self.appender(time).0.append_output(RecordKind::Chunk(stream), bytes, 0..bytes.len());
        self.mark_full(limits);
    }

    /// Adds bytes that are delivered as lines.
    pub(super) fn push_lines(&mut self, stream: Stream, bytes: &Bytes<'_>, time: Stamp, limits: Limits) {
        let (mut to, splitter) = self.appender(time);
        splitter.push(&mut to, stream, bytes, limits.max_line);
        self.mark_full(limits);
    }

    /// Adds the last lines, which have no `\n`: the streams have ended.
    pub(super) fn flush_lines(&mut self, time: Stamp) {
        let (mut to, splitter) = self.appender(time);
        splitter.flush(&mut to);
    }

    fn appender(&mut self, time: Stamp) -> (Appender<'_>, &mut Splitter) {
        (Appender { buffer: &mut self.filling, lost: &mut self.lost, time }, &mut self.splitter)
    }

    fn mark_full(&mut self, limits: Limits) {
        self.full = self.full || self.cost() >= limits.queue_bytes;
    }
}
