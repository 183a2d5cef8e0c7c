//! [`Record`]: an event as it waits, with its bytes in a payload beside it; and [`Buffer`], which holds both.

use std::ops::Range;

use super::types::{Ending, SpecState, Stream};
use crate::sys::block::{BLOCK_SIZE, Slice};
use crate::sys::clock::Stamp;
use crate::sys::copy::append;
use crate::sys::pidfd::ExitStatus;
use crate::sys::space::Bytes;
use crate::util::copied;

/// Slices shorter than this are copied: that costs less than to hold a block, and the count of it.
const LEAST_SLICE: usize = 4096;

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
    place: Place,
}

/// The place of a record's bytes in its buffer.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the payload.
    Payload { start: usize, len: usize },
    /// The slice with this index.
    Slice(usize),
}

/// Records and their bytes; becomes a batch as a whole.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) records: Vec<Record>,
    /// The bytes that were copied.
    payload: Vec<u8>,
    /// The bytes that are shared, a slice for each of their records.
    slices: Vec<Slice>,
    /// How many blocks the slices hold.
    blocks: usize,
}

/// A place in a buffer, up to which it was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    pub(super) record: usize,
    /// The offset in the bytes of a record of lines.
    pub(super) offset: usize,
}

impl Buffer {
    pub(super) const EMPTY: Buffer = Buffer { records: Vec::new(), payload: Vec::new(), slices: Vec::new(), blocks: 0 };

    /// Returns the cost against the queue's limit: a block counts as a whole, however little of it is kept.
    pub(super) fn cost(&self) -> usize {
        self.payload.len() + self.blocks * BLOCK_SIZE + self.records.len() * RECORD_COST
    }

    pub(super) fn bytes_of(&self, record: &Record) -> &[u8] {
        match record.place {
            Place::Payload { start, len } => &self.payload[start..start + len],
            Place::Slice(index) => &self.slices[index],
        }
    }

    /// Returns how many bytes all records have.
    pub(super) fn bytes_len(&self) -> usize {
        self.payload.len() + self.slices.iter().map(|slice| slice.len()).sum::<usize>()
    }

    /// Returns how much memory it holds for bytes, used or not.
    pub(super) fn payload_capacity(&self) -> usize {
        self.payload.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.payload.clear();
        self.slices.clear();
        self.blocks = 0;
    }

    /// Keeps a slice; None when memory is short.
    fn keep(&mut self, slice: Slice) -> Option<Place> {
        self.slices.try_reserve(1).ok()?;
        let begins_block = self.slices.last().is_none_or(|last| !last.shares_block_with(&slice));
        self.blocks += usize::from(begins_block);
        self.slices.push(slice);
        Some(Place::Slice(self.slices.len() - 1))
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
        let Buffer { records, payload, .. } = &mut *self.buffer;
        let has_room = payload.try_reserve(len).is_ok() && records.try_reserve(1).is_ok();
        if !has_room && kind.is_output() {
            self.lose();
            return;
        }
        let start = payload.len();
        let mut place = Place::Payload { start, len: 0 };
        if has_room {
            parts.iter().for_each(|part| append(payload, part));
            place = Place::Payload { start, len };
        }
        if kind.is_output() {
            copied::note(len);
        }
        self.push(kind, place);
    }

    /// Adds one record of a part of what was read.
    pub(super) fn append_output(&mut self, kind: RecordKind, output: &Bytes<'_>, part: Range<usize>) {
        match output {
            Bytes::Shared(slice) if part.len() >= LEAST_SLICE => self.append_slice(kind, slice.part(part)),
            _ => self.append(kind, &[&output[part]]),
        }
    }

    fn append_slice(&mut self, kind: RecordKind, slice: Slice) {
        if self.buffer.records.try_reserve(1).is_err() {
            return self.lose();
        }
        match self.buffer.keep(slice) {
            Some(place) => self.push(kind, place),
            None => self.lose(),
        }
    }

    fn push(&mut self, kind: RecordKind, place: Place) {
        let lost = std::mem::take(self.lost);
        self.buffer.records.push(Record { kind, time: self.time, lost, place });
    }

    /// Notes that bytes were lost.
    pub(super) fn lose(&mut self) {
        *self.lost = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sys::block::{Filling, Pool};

    #[test]
    fn a_slice_costs_its_whole_block_and_a_short_one_is_copied() {
        let pool = Arc::new(Pool::new(1));
        let mut filling = Filling::new(&pool).expect("block");
        let (mut buffer, mut lost) = (Buffer::default(), false);
        let mut push = |len: usize| {
            let slice = filling.copy(&[b'x'; LEAST_SLICE][..len]);
            let mut to = Appender { buffer: &mut buffer, lost: &mut lost, time: Stamp::now() };
            to.append_output(RecordKind::Chunk(Stream::Stdout), &Bytes::Shared(slice), 0..len);
            buffer.cost()
        };
        assert_eq!(push(LEAST_SLICE), BLOCK_SIZE + RECORD_COST);
        assert_eq!(push(LEAST_SLICE), BLOCK_SIZE + 2 * RECORD_COST);
        assert_eq!(push(LEAST_SLICE - 1), BLOCK_SIZE + 3 * RECORD_COST + LEAST_SLICE - 1);
        filling = Filling::new(&pool).expect("block");
        let slice = filling.copy(&[b'y'; LEAST_SLICE]);
        let mut to = Appender { buffer: &mut buffer, lost: &mut lost, time: Stamp::now() };
        to.append_output(RecordKind::Chunk(Stream::Stdout), &Bytes::Shared(slice), 0..LEAST_SLICE);
        assert_eq!(buffer.cost(), 2 * BLOCK_SIZE + 4 * RECORD_COST + LEAST_SLICE - 1);
        assert_eq!(buffer.bytes_len(), 4 * LEAST_SLICE - 1);
        buffer.clear();
        assert_eq!((buffer.cost(), buffer.bytes_len()), (0, 0));
    }
}
