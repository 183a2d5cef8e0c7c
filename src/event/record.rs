//! [`Record`]: an event as it waits, with its bytes in a payload beside it; and [`Buffer`], which holds both.

use super::types::{Ending, SpecState, Stream};
use crate::sys::block::{BLOCK_SIZE, Slice};
use crate::sys::clock::Stamp;
use crate::sys::copy::append;
use crate::sys::pidfd::ExitStatus;

/// Slices shorter than this are copied: that costs less than to hold a block, and the count of it.
pub(super) const LEAST_SLICE: usize = 4096;

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
    Stopped {
        signal: i32,
    },
    Continued,
    Exited(Ending),
    Closed {
        ending: Ending,
        drain_bound: bool,
    },
    /// Output that was dropped.
    Overflow(Dropped),
    /// An event of a run, and the index and the attempt of the spec that it is about.
    Run(RunRecord, Option<(usize, u32)>),
}

impl RecordKind {
    /// Returns whether it is output, which is lost if there is no memory for its bytes; lifecycle events are kept.
    pub(super) fn is_output(self) -> bool {
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

/// Output that was dropped, as it would have been delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) bytes: u64,
    pub(super) events: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) time: Stamp,
    /// Whether bytes before this record were lost.
    pub(super) lost: bool,
    /// Whether bytes that are no UTF-8 were replaced.
    pub(super) replaced: bool,
    pub(super) place: Place,
}

/// The place of a record's bytes in its buffer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
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
    pub(super) payload: Vec<u8>,
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

    /// Returns what a record costs beside a newer one, with which it may share a block.
    pub(super) fn cost_before(&self, record: &Record, newer: Option<&Record>) -> usize {
        let held = match (record.place, newer.map(|newer| newer.place)) {
            (Place::Payload { len, .. }, _) => len,
            (Place::Slice(index), Some(Place::Slice(next)))
                if self.slices[index].shares_block_with(&self.slices[next]) =>
            {
                0
            }
            (Place::Slice(_), _) => BLOCK_SIZE,
        };
        held + RECORD_COST
    }

    /// Forgets all but the first `records`.
    pub(super) fn truncate(&mut self, records: usize) {
        for record in self.records.drain(records..).rev() {
            match record.place {
                Place::Payload { start, .. } => self.payload.truncate(start),
                Place::Slice(index) => self.slices.truncate(index),
            }
        }
        let begins = self.slices.iter().skip(1).zip(&self.slices).filter(|(next, one)| !one.shares_block_with(next));
        self.blocks = usize::from(!self.slices.is_empty()) + begins.count();
    }

    /// Makes room for all records of `old` that are kept: the output from the record `first` on, and all other events.
    /// False if there is no memory.
    pub(super) fn reserve_for(&mut self, old: &Buffer, first: usize) -> bool {
        let kept = |(index, record): &(usize, &Record)| *index >= first || !record.kind.is_output();
        let bytes = old.records.iter().enumerate().filter(kept).map(|(_, record)| match record.place {
            Place::Payload { len, .. } => len,
            Place::Slice(_) => 0,
        });
        self.payload.try_reserve(bytes.sum()).is_ok()
            && self.records.try_reserve(old.records.len()).is_ok()
            && self.slices.try_reserve(old.slices.len()).is_ok()
    }

    /// Adds a record of another buffer, without its first bytes.
    pub(super) fn take_from(&mut self, old: &Buffer, record: &Record, offset: usize) {
        let place = match record.place {
            Place::Payload { start, len } => {
                let at = self.payload.len();
                append(&mut self.payload, &old.payload[start + offset..start + len]);
                Place::Payload { start: at, len: len - offset }
            }
            Place::Slice(index) => {
                let slice = &old.slices[index];
                let Some(place) = self.keep(slice.part(offset..slice.len())) else { return };
                place
            }
        };
        self.records.push(Record { place, lost: record.lost && offset == 0, ..*record });
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
    pub(super) fn keep(&mut self, slice: Slice) -> Option<Place> {
        self.slices.try_reserve(1).ok()?;
        let begins_block = self.slices.last().is_none_or(|last| !last.shares_block_with(&slice));
        self.blocks += usize::from(begins_block);
        self.slices.push(slice);
        Some(Place::Slice(self.slices.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::appender::Appender;
    use crate::sys::block::{Filling, Pool};
    use crate::sys::space::Bytes;

    #[test]
    fn a_slice_costs_its_whole_block_and_a_short_one_is_copied() {
        let pool = Arc::new(Pool::new(1));
        let mut filling = Filling::new(&pool).expect("block");
        let (mut buffer, mut lost) = (Buffer::default(), false);
        let mut push = |len: usize| {
            let slice = filling.copy(&[b'x'; LEAST_SLICE][..len]);
            let mut to = Appender { buffer: &mut buffer, lost: &mut lost, time: Stamp::now(), is_text: false };
            to.append_output(RecordKind::Chunk(Stream::Stdout), &Bytes::Shared(slice), 0..len);
            buffer.cost()
        };
        assert_eq!(push(LEAST_SLICE), BLOCK_SIZE + RECORD_COST);
        assert_eq!(push(LEAST_SLICE), BLOCK_SIZE + 2 * RECORD_COST);
        assert_eq!(push(LEAST_SLICE - 1), BLOCK_SIZE + 3 * RECORD_COST + LEAST_SLICE - 1);
        filling = Filling::new(&pool).expect("block");
        let slice = filling.copy(&[b'y'; LEAST_SLICE]);
        let mut to = Appender { buffer: &mut buffer, lost: &mut lost, time: Stamp::now(), is_text: false };
        to.append_output(RecordKind::Chunk(Stream::Stdout), &Bytes::Shared(slice), 0..LEAST_SLICE);
        assert_eq!(buffer.cost(), 2 * BLOCK_SIZE + 4 * RECORD_COST + LEAST_SLICE - 1);
        assert_eq!(buffer.bytes_len(), 4 * LEAST_SLICE - 1);
        buffer.clear();
        assert_eq!((buffer.cost(), buffer.bytes_len()), (0, 0));
    }
}
