//! [`Record`]: an event as it waits, with its bytes in a payload beside it; and [`Buffer`], which holds both.

use super::types::{Ending, SpecState, Stream};
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

/// The cost of a record against the queue's limit besides its bytes, so that tiny writes are bounded too.
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
    /// An event of a run, and the index and the attempt of the spec that it is about.
    Run(RunRecord, Option<(usize, u32)>),
}

impl RecordKind {
    /// Returns whether it is output, which is lost if there is no memory for its bytes; lifecycle events are kept.
    fn is_output(self) -> bool {
        matches!(self, RecordKind::Chunk(_) | RecordKind::Lines(_) | RecordKind::Piece(_) | RecordKind::Unterminated(_))
    }
}

/// An event of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunRecord {
    Started,
    SpecStarted,
    SpecRetrying {
        status: Option<ExitStatus>,
        /// How long this attempt took.
        took_ns: u64,
    },
    SpecEnded {
        state: SpecState,
        status: Option<ExitStatus>,
        /// How long the spec took, as in the report.
        took_ns: u64,
    },
    Ended {
        success: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) time: Stamp,
    /// Whether bytes before this record were lost.
    pub(super) lost: bool,
    /// Where its bytes begin in the payload.
    start: usize,
    len: usize,
}

/// Records and their bytes; becomes a batch as a whole.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) records: Vec<Record>,
    payload: Vec<u8>,
}

/// A place in a buffer, up to which it was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) record: usize,
    /// The offset in the bytes of a record of lines.
    pub(super) offset: usize,
}

impl Buffer {
    pub(super) const EMPTY: Buffer = Buffer { records: Vec::new(), payload: Vec::new() };

    /// Returns the cost against the queue's limit.
    pub(super) fn cost(&self) -> usize {
        self.payload.len() + self.records.len() * RECORD_COST
    }

    pub(super) fn bytes_of(&self, record: &Record) -> &[u8] {
        &self.payload[record.start..record.start + record.len]
    }

    /// Returns how many bytes all records have.
    pub(super) fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// Returns how much memory it holds for bytes, used or not.
    pub(super) fn payload_capacity(&self) -> usize {
        self.payload.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.payload.clear();
    }
}

/// Adds records to a buffer. If there is no memory, bytes are lost and the next record says so; the host does not die
/// of it.
pub(super) struct Appender<'a> {
    pub(super) buffer: &'a mut Buffer,
    /// Whether bytes were lost and no record has said so yet.
    pub(super) lost: &'a mut bool,
    pub(super) time: Stamp,
}

impl Appender<'_> {
    /// Adds one record, whose bytes are these parts.
    pub(super) fn append(&mut self, kind: RecordKind, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        let Buffer { records, payload } = &mut *self.buffer;
        let has_room = payload.try_reserve(len).is_ok() && records.try_reserve(1).is_ok();
        if !has_room && kind.is_output() {
            self.lose();
            return;
        }
        let start = payload.len();
        let mut record = Record { kind, time: self.time, lost: std::mem::take(self.lost), start, len: 0 };
        if has_room {
            parts.iter().for_each(|part| payload.extend_from_slice(part));
            record.len = len;
        }
        records.push(record);
    }

    /// Notes that bytes were lost.
    pub(super) fn lose(&mut self) {
        *self.lost = true;
    }
}
