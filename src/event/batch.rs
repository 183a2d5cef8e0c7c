//! [`Batch`]: consecutive events of one process, or run, and the credit that they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::options::{BatchLimit, Delivery};
use super::queue::{Queue, Taken};
use super::record::{Buffer, Cursor, Dropped, Record, RecordKind, RunRecord};
use super::source::{Origin, Source};
use super::types::{Event, EventKind, RunPart};
use crate::sys::newlines::Lines;

/// Consecutive events of one process, or of one run.
///
/// It holds that process's turn and credit: no other thread gets events of the same process until it is
/// dropped, and while its queue is full the child is not read. Events borrow from it. It can be sent to another thread.
///
/// ```
/// use coreproc::{Command, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions::default())?;
/// let process = Command::new("true").spawn(&service)?;
/// let batch = events.take(0, None)?;
/// assert_eq!(batch.process_id(), process.id());
/// assert!(batch.events().count() >= 1);
/// # Ok(())
/// # }
/// ```
pub struct Batch {
    queue: Arc<Queue>,
    /// The events; None once dropped.
    buffer: Option<Buffer>,
    process_id: u64,
    origin: Origin,
    first_sequence: u64,
    start: Cursor,
    /// Where the events end; None is the end of the buffer.
    end: Option<Cursor>,
    /// The number of events; `u64::MAX` until an iteration has counted them.
    counted: AtomicU64,
}

impl Batch {
    pub(super) fn new(queue: Arc<Queue>, taken: Taken) -> Batch {
        let mut batch = Batch {
            queue: Arc::clone(&queue),
            buffer: Some(taken.buffer),
            process_id: taken.id,
            origin: taken.origin,
            first_sequence: taken.last_sequence + 1,
            start: taken.start,
            end: None,
            counted: AtomicU64::new(u64::MAX),
        };
        if let Some(limit) = queue.batch_limit() {
            batch.cut(|events| limit.pass(events));
        }
        batch
    }

    /// Returns the number of the process, or of the run, whose events these are.
    pub fn process_id(&self) -> u64 {
        self.process_id
    }

    /// Returns the events, in order; at least one.
    pub fn events(&self) -> Events<'_> {
        Events { batch: self, at: self.start, lines: None, given: 0 }
    }

    /// Returns the producer of these events; None once the subscription is closed.
    /// Fails in a child of fork of the process that took it.
    pub(crate) fn check_fork(&self, operation: &'static str) -> crate::error::Result<()> {
        self.queue.reactor().check_fork(operation)
    }

    pub(crate) fn source(&self) -> Option<Arc<dyn Source>> {
        self.queue.source(self.process_id)
    }

    /// Ends after the events that `visit` takes, and gives back the others.
    pub(crate) fn cut(&mut self, visit: impl FnOnce(&mut Events<'_>)) {
        let mut events = self.events();
        visit(&mut events);
        let (end, given) = (events.place(), events.given);
        self.end = Some(end);
        *self.counted.get_mut() = given;
    }

    /// Guesses how many events there are, from the usual length of lines.
    pub(crate) fn size_hint(&self) -> usize {
        const LINE: usize = 64;
        let buffer = self.buffer();
        let lines = if self.queue.delivery == Delivery::Lines { buffer.bytes_len() / LINE } else { 0 };
        buffer.records.len() + lines
    }

    fn count(&self) -> u64 {
        match self.counted.load(Ordering::Relaxed) {
            u64::MAX => self.events().count() as u64,
            count => count,
        }
    }

    fn buffer(&self) -> &Buffer {
        // Only `drop` takes the buffer.
        static EMPTY: Buffer = Buffer::EMPTY;
        self.buffer.as_ref().unwrap_or(&EMPTY)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let last = self.first_sequence - 1 + self.count();
        let Some(buffer) = self.buffer.take() else { return };
        let end = self.end.filter(|end| end.record < buffer.records.len());
        self.queue.give_back(self.process_id, last, buffer, end);
    }
}

impl BatchLimit {
    /// Takes the events of a batch: at least one, and no more than the limit.
    fn pass(self, events: &mut Events<'_>) {
        let (mut count, mut bytes) = (0, 0);
        while count < self.events {
            let mut ahead = events.clone();
            let Some(event) = ahead.next() else { return };
            bytes += event.data.len() as u64;
            if count > 0 && bytes > self.bytes {
                return;
            }
            *events = ahead;
            count += 1;
        }
    }
}

/// An iterator over the events of a batch, which splits lines as it goes if they are delivered one by one.
///
/// ```
/// use coreproc::{CloseMode, Command, Events, Service, ServiceOptions, SubscriptionOptions};
///
/// fn bytes(events: Events<'_>) -> usize {
///     events.map(|event| event.data.len()).sum()
/// }
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let subscription = service.subscribe(SubscriptionOptions::default())?;
/// Command::new("echo").arg("hello").spawn(&service)?;
/// service.close(CloseMode::Leave)?;
/// let mut total = 0;
/// while let Ok(batch) = subscription.take(0, None) {
///     total += bytes(batch.events());
/// }
/// assert_eq!(total, "hello".len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Events<'a> {
    batch: &'a Batch,
    /// The record of the next event, and the offset in it at which splitting it begins.
    at: Cursor,
    /// The lines of that record, once it is being split, and the event that they have in common.
    lines: Option<(Lines<'a>, Event<'a>)>,
    given: u64,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    #[inline]
    fn next(&mut self) -> Option<Event<'a>> {
        if let Some((lines, common)) = &mut self.lines
            && let Some(line) = lines.next()
        {
            self.given += 1;
            let sequence = self.batch.first_sequence + self.given - 1;
            let event = Event { sequence, data: line, ..*common };
            common.lost = false;
            return Some(event);
        }
        self.next_record()
    }
}

impl<'a> Events<'a> {
    /// Appends up to `max` events in another form, as `convert` makes it. `of_line` makes it of that of another line of
    /// the same record, the sequence number and the line.
    pub(crate) fn convert<T: Copy>(
        &mut self,
        to: &mut Vec<T>,
        max: usize,
        convert: impl Fn(&Event<'a>) -> T,
        of_line: impl Fn(T, u64, &'a [u8]) -> T,
    ) {
        let until = to.len().saturating_add(max);
        while to.len() < until
            && let Some(event) = self.next()
        {
            to.push(convert(&event));
            let Some((lines, common)) = &mut self.lines else { continue };
            let (first, form) = (event.sequence + 1, convert(common));
            let before = to.len();
            to.extend(lines.take(until - before).zip(first..).map(|(line, sequence)| of_line(form, sequence, line)));
            self.given += (to.len() - before) as u64;
        }
    }

    /// Returns where the next event begins.
    fn place(&self) -> Cursor {
        match &self.lines {
            Some((lines, _)) if !lines.is_done() => Cursor { offset: lines.start(), ..self.at },
            // A batch that ends within this record ends there for a second cut, too.
            Some(_) => match self.batch.end {
                Some(end) if end.record == self.at.record => end,
                _ => Cursor { record: self.at.record + 1, offset: 0 },
            },
            None => self.at,
        }
    }

    /// Goes on to the next record, and returns its first event.
    fn next_record(&mut self) -> Option<Event<'a>> {
        self.at = self.place();
        self.lines = None;
        let buffer = self.batch.buffer();
        let is_end = self.batch.end.is_some_and(|end| end <= self.at);
        let Some(record) = buffer.records.get(self.at.record).filter(|_| !is_end) else {
            self.batch.counted.store(self.given, Ordering::Relaxed);
            return None;
        };
        let event = self.event_of(record, buffer.bytes_of(record));
        if matches!(record.kind, RecordKind::Lines(_)) && self.batch.queue.delivery == Delivery::Lines {
            // A part of a record that is given back begins with a line.
            let end = self.batch.end.filter(|end| end.record == self.at.record);
            let bytes = end.map_or(event.data, |end| &event.data[..end.offset]);
            self.lines = Some((Lines::new(bytes, self.at.offset), event));
            return self.next();
        }
        self.at.record += 1;
        self.given += 1;
        Some(event)
    }

    /// Returns the event of a record, with all its bytes.
    fn event_of(&self, record: &Record, data: &'a [u8]) -> Event<'a> {
        let output = |stream, partial, unterminated| EventKind::Output { stream, partial, unterminated };
        let mut part = self.batch.origin.part;
        let mut took_ns = 0;
        let kind = match record.kind {
            RecordKind::Started => EventKind::Started,
            RecordKind::Chunk(stream) | RecordKind::Lines(stream) => output(stream, false, false),
            RecordKind::Piece(stream) => output(stream, true, false),
            RecordKind::Unterminated(stream) => output(stream, false, true),
            RecordKind::Stopped { signal } => EventKind::Stopped { signal },
            RecordKind::Continued => EventKind::Continued,
            RecordKind::Exited(ending) => EventKind::Exited(ending),
            RecordKind::Closed { ending, drain_bound } => EventKind::Closed { ending, drain_bound },
            RecordKind::Overflow(Dropped { bytes, events }) => EventKind::Overflow { bytes, events },
            RecordKind::Run(what, spec) => {
                if let (Some(part), Some((spec, attempt))) = (&mut part, spec) {
                    *part = RunPart { spec: Some(spec), attempt, ..*part };
                }
                match what {
                    RunRecord::Started => EventKind::RunStarted,
                    RunRecord::SpecStarted => EventKind::SpecStarted,
                    RunRecord::SpecRetrying { status, took_ns: took } => {
                        took_ns = took;
                        EventKind::SpecRetrying { status }
                    }
                    RunRecord::SpecEnded { state, status, took_ns: took } => {
                        took_ns = took;
                        EventKind::SpecEnded { state, status }
                    }
                    RunRecord::Ended { success } => EventKind::RunEnded { success },
                }
            }
        };
        Event {
            kind,
            process_id: self.batch.process_id,
            pid: self.batch.origin.pid,
            part,
            sequence: self.batch.first_sequence + self.given,
            time: record.time,
            lost: record.lost && self.at.offset == 0,
            replaced: record.replaced,
            data,
            took_ns,
        }
    }
}
