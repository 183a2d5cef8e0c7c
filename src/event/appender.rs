//! [`Appender`]: adds records to a buffer.

use std::ops::Range;

use memchr::{memchr, memrchr};

use super::record::{Buffer, LEAST_SLICE, Place, Record, RecordKind};
use super::text;
use crate::sys::block::Slice;
use crate::sys::clock::Stamp;
use crate::sys::copy::append;
use crate::sys::space::Bytes;
use crate::util::copied;

/// Adds records to a buffer. If there is no memory, bytes are lost and the next record says so; the host does not die
/// of it.
pub(super) struct Appender<'a> {
    pub(super) buffer: &'a mut Buffer,
    /// Whether bytes were lost and no record has said so yet.
    pub(super) lost: &'a mut bool,
    pub(super) time: Stamp,
    /// Whether output is to be UTF-8.
    pub(super) is_text: bool,
}

impl Appender<'_> {
    /// Adds one record, whose bytes are these parts.
    pub(super) fn append(&mut self, kind: RecordKind, parts: &[&[u8]]) {
        // Only the first part can be wrong: what follows it is a newline.
        let wrong = |part: &&&[u8]| self.is_text && kind.is_output() && std::str::from_utf8(part).is_err();
        if let Some(part) = parts.first().filter(wrong) {
            let text: Vec<&[u8]> = text::pieces(part).chain(parts[1..].iter().copied()).collect();
            return self.append_parts(kind, &text, true);
        }
        self.append_parts(kind, parts, false);
    }

    fn append_parts(&mut self, kind: RecordKind, parts: &[&[u8]], replaced: bool) {
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
        self.push(kind, place, replaced);
    }

    /// Adds a part of what was read.
    pub(super) fn append_output(&mut self, kind: RecordKind, output: &Bytes<'_>, part: Range<usize>) {
        if self.is_text {
            self.append_text(kind, output, part);
        } else {
            self.append_bytes(kind, output, part);
        }
    }

    /// Adds one record of a part of what was read, which needs no change.
    pub(super) fn append_bytes(&mut self, kind: RecordKind, output: &Bytes<'_>, part: Range<usize>) {
        match output {
            Bytes::Shared(slice) if part.len() >= LEAST_SLICE => self.append_slice(kind, slice.part(part)),
            _ => self.append_parts(kind, &[&output[part]], false),
        }
    }

    fn append_slice(&mut self, kind: RecordKind, slice: Slice) {
        if self.buffer.records.try_reserve(1).is_err() {
            return self.lose();
        }
        match self.buffer.keep(slice) {
            Some(place) => self.push(kind, place, false),
            None => self.lose(),
        }
    }

    fn push(&mut self, kind: RecordKind, place: Place, replaced: bool) {
        let lost = std::mem::take(self.lost);
        self.buffer.records.push(Record { kind, time: self.time, lost, replaced, place });
    }

    /// Notes that bytes were lost.
    pub(super) fn lose(&mut self) {
        *self.lost = true;
    }

    /// Adds one record of a part of what was read; of lines with bytes that are no UTF-8, one for each such line, so
    /// that only this line is marked.
    fn append_text(&mut self, kind: RecordKind, output: &Bytes<'_>, part: Range<usize>) {
        let Range { mut start, end } = part;
        while start < end {
            let bytes = &output[start..end];
            let Err(error) = std::str::from_utf8(bytes) else { break };
            if !matches!(kind, RecordKind::Lines(_)) {
                return self.append(kind, &[bytes]);
            }
            let valid = error.valid_up_to();
            let line = start + memrchr(b'\n', &bytes[..valid]).map_or(0, |at| at + 1);
            let next = memchr(b'\n', &bytes[valid..]).map_or(end, |at| start + valid + at + 1);
            if line > start {
                self.append_bytes(kind, output, start..line);
            }
            self.append(kind, &[&output[line..next]]);
            start = next;
        }
        if start < end {
            self.append_bytes(kind, output, start..end);
        }
    }
}
