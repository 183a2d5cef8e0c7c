//! The events of one process, or run, that wait for one subscription: records, and the bytes they point into.
//!
//! Lines are not split here: a record holds a run of whole lines, and the taker's thread splits it. A line
//! longer than the maximum leaves in pieces of exactly that size.

use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::event::{Ending, RunPart, SpecState, Stream};
use super::subscription::Source;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

/// What a record costs against the queue's limit besides its bytes, so that tiny writes are bounded too.
const RECORD_COST: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    Started,
    Chunk(Stream),
    /// One or more lines, each with its `\n`.
    Lines(Stream),
    /// A piece of an overlong line.
    Piece(Stream),
    /// The last line, which had no `\n`.
    Unterminated(Stream),
    Exited(Ending),
    Closed {
        ending: Ending,
        drain_bound: bool,
    },
    /// Of a run, and of these a spec of it at this attempt.
    Run(RunRecord, Option<(usize, u32)>),
}

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunRecord {
    Started,
    SpecStarted,
    /// `took_ns`: how long this attempt took.
    SpecRetrying {
        status: Option<ExitStatus>,
        took_ns: u64,
    },
    /// `took_ns`: how long the spec took, as the report has it.
    SpecEnded {
        state: SpecState,
        status: Option<ExitStatus>,
        took_ns: u64,
    },
    Ended {
        success: bool,
    },
}

/// Whose events a mailbox holds, as they show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) pid: i32,
    pub(crate) part: Option<RunPart>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) time: Stamp,
    /// Bytes before this record were lost.
    pub(super) lost: bool,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// Records and their bytes; becomes a batch as a whole.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) records: Vec<Record>,
    pub(super) arena: Vec<u8>,
}

impl Buffer {
    fn cost(&self) -> usize {
        self.arena.len() + self.records.len() * RECORD_COST
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.arena.clear();
    }
}

/// How far a buffer was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) record: usize,
    /// Within a record of lines.
    pub(super) offset: usize,
}

/// One process's queue in one subscription.
pub(super) struct Mailbox {
    pub(super) origin: Origin,
    pub(super) source: Arc<dyn Source>,
    filling: Buffer,
    /// Taken in part, and given back. Rare, so not part of what every idle process costs.
    rest: Option<Box<(Buffer, Cursor)>>,
    /// What a batch holds now.
    out: Option<usize>,
    /// Is it in the subscription's ready list?
    pub(super) listed: bool,
    full: bool,
    lost: bool,
    /// Its process is closed: it goes when it is empty.
    pub(super) finished: bool,
    /// Sequence number of the last event given out.
    pub(super) sequence: u64,
    partial: [Vec<u8>; 2],
}

/// The limits of a subscription, resolved.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) queue_bytes: usize,
    pub(super) max_line: usize,
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
            partial: [Vec::new(), Vec::new()],
        }
    }

    /// Could a taker have something now?
    pub(super) fn has_batch(&self) -> bool {
        self.out.is_none() && (self.rest.is_some() || !self.filling.records.is_empty())
    }

    /// Was anything given out?
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

    /// A batch is back, with what was not taken of it. True when the queue has room again after it was full.
    pub(super) fn give_back(&mut self, rest: Option<(Buffer, Cursor)>, limits: Limits) -> bool {
        self.out = None;
        self.rest = rest.map(Box::new);
        let reopened = self.full && self.cost() <= limits.queue_bytes / 2;
        if reopened {
            self.full = false;
        }
        reopened
    }

    /// A lifecycle event: never refused, never dropped.
    pub(super) fn push_lifecycle(&mut self, kind: RecordKind, time: Stamp, text: &[u8]) {
        self.append(kind, time, &[text]);
    }

    /// Raw bytes, as read.
    pub(super) fn push_chunk(&mut self, stream: Stream, bytes: &[u8], time: Stamp, limits: Limits) {
        self.append(RecordKind::Chunk(stream), time, &[bytes]);
        self.mark_full(limits);
    }

    /// Bytes to be delivered as lines.
    pub(super) fn push_lines(&mut self, stream: Stream, mut bytes: &[u8], time: Stamp, limits: Limits) {
        let mut partial = std::mem::take(&mut self.partial[stream as usize]);
        if !partial.is_empty() || bytes.len() > limits.max_line {
            bytes = self.push_slowly(stream, &mut partial, bytes, time, limits.max_line);
        }
        // The common case: whole lines, all of them shorter than the maximum, in one piece.
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        if whole > 0 {
            self.append(RecordKind::Lines(stream), time, &[&bytes[..whole]]);
        }
        if whole < bytes.len() {
            self.keep(&mut partial, &bytes[whole..]);
        }
        self.partial[stream as usize] = partial;
        self.mark_full(limits);
    }

    /// Finishes the line that `partial` began, and every line of a chunk that may hold overlong ones; returns
    /// what the fast path may take.
    fn push_slowly<'a>(
        &mut self,
        stream: Stream,
        partial: &mut Vec<u8>,
        mut bytes: &'a [u8],
        time: Stamp,
        max_line: usize,
    ) -> &'a [u8] {
        loop {
            let end = memchr(b'\n', bytes);
            let line = &bytes[..end.unwrap_or(bytes.len())];
            self.keep(partial, line);
            let mut sent = 0;
            while partial.len() - sent > max_line {
                self.append(RecordKind::Piece(stream), time, &[&partial[sent..sent + max_line]]);
                sent += max_line;
            }
            partial.drain(..sent);
            let Some(end) = end else { return &[] };
            self.append(RecordKind::Lines(stream), time, &[partial, b"\n"]);
            partial.clear();
            // A long line's memory is not kept for the short ones that follow.
            partial.shrink_to(4096);
            bytes = &bytes[end + 1..];
            if bytes.len() <= max_line {
                return bytes;
            }
        }
    }

    /// The streams have ended: what is left is a line without its `\n`.
    pub(super) fn flush_partial(&mut self, time: Stamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let partial = std::mem::take(&mut self.partial[stream as usize]);
            if !partial.is_empty() {
                self.append(RecordKind::Unterminated(stream), time, &[&partial]);
            }
        }
    }

    fn mark_full(&mut self, limits: Limits) {
        self.full = self.full || self.cost() >= limits.queue_bytes;
    }

    /// Memory that cannot be had loses bytes, and the next event says so; the host does not die of it.
    fn keep(&mut self, partial: &mut Vec<u8>, bytes: &[u8]) {
        if partial.try_reserve(bytes.len()).is_ok() {
            partial.extend_from_slice(bytes);
        } else {
            self.lost = true;
        }
    }

    fn append(&mut self, kind: RecordKind, time: Stamp, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        let Buffer { records, arena } = &mut self.filling;
        let has_room = arena.try_reserve(len).is_ok() && records.try_reserve(1).is_ok();
        if !has_room
            && matches!(
                kind,
                RecordKind::Chunk(_) | RecordKind::Lines(_) | RecordKind::Piece(_) | RecordKind::Unterminated(_)
            )
        {
            self.lost = true;
            return;
        }
        let start = arena.len();
        let mut record = Record { kind, time, lost: std::mem::take(&mut self.lost), start, len: 0 };
        if has_room {
            parts.iter().for_each(|part| arena.extend_from_slice(part));
            record.len = len;
        }
        records.push(record);
    }
}
