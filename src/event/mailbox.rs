//! [`Mailbox`]: the events of one process, or run, that wait for one subscription, and the credit of that process:
//! how much may wait, and that at most one batch is out at a time.

use std::sync::Arc;

use super::appender::Appender;
use super::options::{Limits, Overflow};
use super::record::{Buffer, Cursor, Dropped, RecordKind};
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
    /// Boxed, because an idle process should cost little.
    rare: Option<Box<Rare>>,
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

/// What few mailboxes have.
#[derive(Default)]
struct Rare {
    /// A batch that was taken in part, and given back.
    rest: Option<(Buffer, Cursor)>,
    /// Output that was dropped, and that no event tells of yet.
    dropped: Dropped,
}

impl Mailbox {
    pub(super) fn new(origin: Origin, source: Arc<dyn Source>) -> Mailbox {
        Mailbox {
            origin,
            source,
            filling: Buffer::default(),
            rare: None,
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
        self.out.is_none() && (self.rest().is_some() || !self.filling.records.is_empty())
    }

    /// Returns whether anything was given out.
    pub(super) fn is_seen(&self) -> bool {
        self.sequence > 0 || self.out.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_none() && self.rest().is_none() && self.filling.records.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Returns whether what waits is below the limit, whatever happens to output beyond it.
    pub(super) fn has_room(&self, limits: Limits) -> bool {
        self.waiting_cost() < limits.queue_bytes
    }

    fn rest(&self) -> Option<&(Buffer, Cursor)> {
        self.rare.as_ref()?.rest.as_ref()
    }

    fn take_rest(&mut self) -> Option<(Buffer, Cursor)> {
        self.rare.as_mut()?.rest.take()
    }

    /// Returns the cost of what no batch holds.
    fn waiting_cost(&self) -> usize {
        self.filling.cost() + self.rest().map_or(0, |rest| rest.0.cost())
    }

    fn cost(&self) -> usize {
        self.waiting_cost() + self.out.unwrap_or(0)
    }

    /// Gives out what waits: the rest of the last batch first.
    pub(super) fn take(&mut self, spare: impl FnOnce() -> Buffer) -> (Buffer, Cursor) {
        let taken = match self.take_rest() {
            Some(rest) => rest,
            None => (std::mem::replace(&mut self.filling, spare()), Cursor::default()),
        };
        self.out = Some(taken.0.cost());
        taken
    }

    /// Takes a batch back, with what was not taken of it. True if the queue has room again after it was full.
    pub(super) fn give_back(&mut self, rest: Option<(Buffer, Cursor)>, limits: Limits) -> bool {
        self.out = None;
        if rest.is_some() {
            self.rare.get_or_insert_default().rest = rest;
        }
        let reopened = self.full && self.cost() <= limits.queue_bytes / 2;
        if reopened {
            self.full = false;
        }
        reopened
    }

    /// Adds a lifecycle event: never refused, never dropped.
    pub(super) fn push_lifecycle(&mut self, kind: RecordKind, time: Stamp, text: &[u8]) {
        self.tell_overflow(time);
        self.appender(time, false).0.append(kind, &[text]);
    }

    /// Adds output. If there is no room for it, the limits say what becomes of it.
    pub(super) fn push_output(&mut self, stream: Stream, bytes: &Bytes<'_>, time: Stamp, limits: Limits) {
        let drops = limits.overflow == Overflow::DropNewest && self.waiting_cost() >= limits.queue_bytes;
        if !drops {
            self.tell_overflow(time);
        }
        let before = self.filling.records.len();
        let (mut to, splitter) = self.appender(time, limits.is_text);
        match (limits.are_lines, limits.is_text) {
            (true, _) => splitter.push(&mut to, stream, bytes, limits.max_line),
            (false, true) => splitter.push_text(&mut to, stream, bytes),
            (false, false) => to.append_output(RecordKind::Chunk(stream), bytes, 0..bytes.len()),
        }
        match limits.overflow {
            Overflow::Block => self.full = self.full || self.cost() >= limits.queue_bytes,
            // It was split all the same, so that the next line begins where it does.
            Overflow::DropNewest if drops => {
                let dropped = self.filling.drop_newest(before, limits.splits_lines);
                self.rare.get_or_insert_default().dropped.add(dropped);
            }
            Overflow::DropNewest => {}
            Overflow::DropOldest => self.drop_oldest(limits),
        }
    }

    /// Drops the oldest output, so that half of the queue is free, which makes it rare.
    fn drop_oldest(&mut self, limits: Limits) {
        if self.waiting_cost() < limits.queue_bytes {
            return;
        }
        let most = limits.queue_bytes / 2;
        if let Some((mut buffer, from)) = self.take_rest() {
            buffer.drop_oldest(from, most.saturating_sub(self.filling.cost()), limits.splits_lines);
            self.rare.get_or_insert_default().rest = Some((buffer, Cursor::default()));
        }
        if self.filling.cost() > most {
            self.filling.drop_oldest(Cursor::default(), most, limits.splits_lines);
        }
    }

    /// Adds the last lines, which have no `\n`, and unfinished characters: the streams have ended.
    pub(super) fn flush(&mut self, time: Stamp, limits: Limits) {
        self.tell_overflow(time);
        let (mut to, splitter) = self.appender(time, limits.is_text);
        splitter.flush(&mut to, limits.are_lines);
    }

    /// Adds an event about output that was dropped.
    fn tell_overflow(&mut self, time: Stamp) {
        if let Some(rare) = &mut self.rare {
            rare.dropped.tell(&mut self.filling, time);
        }
    }

    fn appender(&mut self, time: Stamp, is_text: bool) -> (Appender<'_>, &mut Splitter) {
        (Appender { buffer: &mut self.filling, lost: &mut self.lost, time, is_text }, &mut self.splitter)
    }
}
