//! What a queue does that is full: which output it drops, and how it counts that.

use memchr::memchr_iter;

use super::appender::Appender;
use super::record::{Buffer, Cursor, Dropped, Record, RecordKind};
use crate::sys::clock::Stamp;

impl Dropped {
    pub(super) fn is_none(self) -> bool {
        self.events == 0
    }

    pub(super) fn add(&mut self, other: Dropped) {
        self.bytes += other.bytes;
        self.events += other.events;
    }

    /// Counts an output, whose bytes these are.
    fn count(&mut self, kind: RecordKind, bytes: &[u8], splits_lines: bool) {
        let are_lines = splits_lines && matches!(kind, RecordKind::Lines(_));
        let events = if are_lines { memchr_iter(b'\n', bytes).count() as u64 } else { 1 };
        self.add(Dropped { bytes: bytes.len() as u64, events });
    }

    /// Takes the count, and adds an event about it to a buffer, if anything was dropped.
    pub(super) fn tell(&mut self, buffer: &mut Buffer, time: Stamp) {
        let what = std::mem::take(self);
        if !what.is_none() {
            let text = format!("{} {}", what.bytes, what.events);
            let mut to = Appender { buffer, lost: &mut false, time, is_text: false };
            to.append(RecordKind::Overflow(what), &[text.as_bytes()]);
        }
    }
}

impl Buffer {
    /// Drops all output behind the first `records`, and returns how much that was.
    pub(super) fn drop_newest(&mut self, records: usize, splits_lines: bool) -> Dropped {
        let mut dropped = Dropped::default();
        for record in &self.records[records..] {
            dropped.count(record.kind, self.bytes_of(record), splits_lines);
        }
        self.truncate(records);
        dropped
    }

    /// Drops the oldest output from `from` on, so that the rest costs no more than `most` or is a single event. The rest
    /// begins at the start of the buffer then, with the counts in the place of what was dropped.
    pub(super) fn drop_oldest(&mut self, from: Cursor, most: usize, splits_lines: bool) {
        let old = std::mem::take(self);
        let first = old.first_within(from.record, most);
        // Without memory for what is to be kept it is dropped, too.
        let first = if self.reserve_for(&old, first) { first } else { old.records.len() };
        let (mut dropped, mut time) = (Dropped::default(), None);
        let mut offset = from.offset;
        for (index, record) in old.records.iter().enumerate().skip(from.record) {
            let offset = std::mem::take(&mut offset);
            match record.kind {
                RecordKind::Overflow(before) => dropped.add(before),
                kind if kind.is_output() && index < first => {
                    dropped.count(kind, &old.bytes_of(record)[offset..], splits_lines);
                }
                _ => {
                    dropped.tell(self, time.take().unwrap_or(record.time));
                    self.take_from(&old, record, offset);
                    continue;
                }
            }
            time.get_or_insert(record.time);
        }
        if let Some(time) = time {
            dropped.tell(self, time);
        }
    }

    /// Returns the first record from which on all output costs no more than `most`, or is a single record.
    fn first_within(&self, from: usize, most: usize) -> usize {
        let mut cost = 0;
        let mut newer: Option<&Record> = None;
        let mut first = self.records.len();
        for (index, record) in self.records.iter().enumerate().skip(from).rev() {
            if !record.kind.is_output() {
                continue;
            }
            cost += self.cost_before(record, newer);
            if cost > most && newer.is_some() {
                break;
            }
            (first, newer) = (index, Some(record));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::types::Stream;
    use crate::sys::space::Bytes;

    const LINES: RecordKind = RecordKind::Lines(Stream::Stdout);

    fn buffer(parts: &[(RecordKind, &[u8])]) -> Buffer {
        let mut buffer = Buffer::default();
        for (kind, bytes) in parts {
            let mut to = Appender { buffer: &mut buffer, lost: &mut false, time: Stamp::now(), is_text: false };
            match kind.is_output() {
                true => to.append_output(*kind, &Bytes::Borrowed(bytes), 0..bytes.len()),
                false => to.append(*kind, &[bytes]),
            }
        }
        buffer
    }

    fn contents(buffer: &Buffer) -> Vec<(RecordKind, &[u8])> {
        buffer.records.iter().map(|record| (record.kind, buffer.bytes_of(record))).collect()
    }

    #[test]
    fn the_oldest_output_goes_and_its_count_stands_in_its_place() {
        let started: (RecordKind, &[u8]) = (RecordKind::Started, b"");
        let mut queue = buffer(&[started, (LINES, b"a\nb\n"), (LINES, b"c\n"), (LINES, b"d\n")]);
        queue.drop_oldest(Cursor::default(), 100, true);
        let overflow = RecordKind::Overflow(Dropped { bytes: 6, events: 3 });
        assert_eq!(contents(&queue), [started, (overflow, b"6 3"), (LINES, b"d\n")]);
        // A later drop takes the count along, and begins within a record that was taken in part.
        queue.drop_oldest(Cursor { record: 1, offset: 0 }, 0, true);
        assert_eq!(contents(&queue), [(overflow, b"6 3" as &[u8]), (LINES, b"d\n")]);
        let mut queue = buffer(&[(LINES, b"a\nb\n"), (RecordKind::Started, b""), (LINES, b"c\n"), (LINES, b"d\n")]);
        queue.drop_oldest(Cursor { record: 0, offset: 2 }, 0, true);
        let (one, two) = (Dropped { bytes: 2, events: 1 }, Dropped { bytes: 2, events: 1 });
        let expected: [(RecordKind, &[u8]); 4] =
            [(RecordKind::Overflow(one), b"2 1"), started, (RecordKind::Overflow(two), b"2 1"), (LINES, b"d\n")];
        assert_eq!(contents(&queue), expected);
    }
}
