//! [`SubscriptionOptions`]: whose events a subscription gets, in which form, and how much may wait.

use super::filter::EventFilter;
use super::text;
use crate::error::{Error, Result};
use crate::sys::block::LEAST_SHARED;

/// Whose events a subscription gets.
///
/// ```
/// use std::time::Duration;
/// use coreproc::{Command, ErrorKind, Service, ServiceOptions, SubscriptionOptions, SubscriptionScope};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let options = SubscriptionOptions { scope: SubscriptionScope::Named, ..Default::default() };
/// let events = service.subscribe(options)?;
/// Command::new("true").spawn(&service)?.wait(None)?;
/// assert_eq!(events.take(0, Some(Duration::ZERO)).err().map(|e| e.kind()), Some(ErrorKind::TimedOut));
///
/// let named = Command::new("true").subscribe(&events).spawn(&service)?;
/// assert_eq!(events.take(0, None)?.process_id(), named.id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionScope {
    /// The events of every process of the service that is spawned, and every run that is started, after the
    /// subscription opened.
    #[default]
    All,
    /// The events of processes whose command named the subscription, and of runs whose options did, with their
    /// processes.
    Named,
}

/// How output is delivered.
///
/// ```
/// use coreproc::{Command, Delivery, EventKind, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions { delivery: Delivery::Chunks, ..Default::default() })?;
/// Command::new("printf").arg("a\nb\n").spawn(&service)?;
/// let mut bytes: Vec<u8> = Vec::new();
/// while bytes.len() < 4 {
///     let batch = events.take(0, None)?;
///     batch.events().filter(|e| matches!(e.kind, EventKind::Output { .. })).for_each(|e| bytes.extend(e.data));
/// }
/// assert_eq!(bytes, b"a\nb\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// In pieces, as they were read.
    Chunks,
    /// One event for each line, without its `\n`.
    #[default]
    Lines,
    /// One or more whole lines of a stream in one event, each with its `\n`, for consumers that split them faster than
    /// they could take an event for each. A piece of an overlong line, and a last line without `\n`, come alone and
    /// marked, as with [`Delivery::Lines`].
    WholeLines,
    /// Not at all: lifecycle events alone.
    None,
}

/// Which events, other than output, are delivered.
///
/// ```
/// use coreproc::{Command, Delivery, EventKind, Lifecycle, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let options = SubscriptionOptions { delivery: Delivery::None, lifecycle: Lifecycle::Ends, ..Default::default() };
/// let events = service.subscribe(options)?;
/// Command::new("echo").arg("hello").spawn(&service)?;
/// let batch = events.take(0, None)?;
/// assert!(batch.events().all(|event| matches!(event.kind, EventKind::Closed { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    /// All of them.
    #[default]
    All,
    /// The last of each process, [`EventKind::Closed`](crate::EventKind::Closed), and the last of each run,
    /// [`EventKind::RunEnded`](crate::EventKind::RunEnded): for subscribers that need only ends, which saves two thirds
    /// of the batches. Also the first of each process of a run, [`EventKind::Started`](crate::EventKind::Started),
    /// because no other event names it.
    Ends,
}

/// What becomes of output when as much waits as may wait.
///
/// ```
/// use coreproc::{CloseMode, Command, EventKind, Overflow, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let options = SubscriptionOptions { overflow: Overflow::DropOldest, queue_bytes: 2048, ..Default::default() };
/// let events = service.subscribe(options)?;
/// Command::new("seq").arg("10000").spawn(&service)?.wait(None)?; // Nobody takes, and it ends all the same.
/// service.close(CloseMode::Leave)?;
/// let (mut lines, mut dropped) = (0, 0);
/// while let Ok(batch) = events.take(0, None) {
///     for event in batch.events() {
///         match event.kind {
///             EventKind::Output { .. } => lines += 1,
///             EventKind::Overflow { events, .. } => dropped += events,
///             _ => {}
///         }
///     }
/// }
/// assert_eq!(lines + dropped, 10_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The child's pipes are not read until half of the queue is taken, so the kernel slows it. Nothing is lost.
    #[default]
    Block,
    /// The oldest output that waits is dropped, until half of the queue is free; at least the newest event is kept. An
    /// [`EventKind::Overflow`](crate::EventKind::Overflow) stands in its place. Beside what waits, the batch that is out
    /// is kept.
    DropOldest,
    /// What comes is dropped until something is taken. The next event is an
    /// [`EventKind::Overflow`](crate::EventKind::Overflow).
    DropNewest,
}

/// What the bytes of output are.
///
/// ```
/// use coreproc::{CloseMode, Command, Encoding, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions { encoding: Encoding::Utf8, ..Default::default() })?;
/// Command::new("printf").arg(r"gr\303\274n\nr\377t\n").spawn(&service)?;
/// service.close(CloseMode::Leave)?;
/// let mut lines = Vec::new();
/// while let Ok(batch) = events.take(0, None) {
///     let outputs = batch.events().filter(|event| !event.data.is_empty());
///     lines.extend(outputs.map(|event| (std::str::from_utf8(event.data).map(str::to_owned), event.replaced)));
/// }
/// assert_eq!(lines, [(Ok("grün".to_owned()), false), (Ok("r\u{FFFD}t".to_owned()), true)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Any bytes, as they were written.
    #[default]
    Bytes,
    /// UTF-8: no event ends within a character. Bytes that are no UTF-8 are replaced by U+FFFD, three bytes for up to
    /// three, and the event says so ([`Event::replaced`](crate::Event::replaced)).
    Utf8,
}

/// The options of a subscription. Zero sizes are the defaults, `u64::MAX` is no limit.
///
/// ```
/// use coreproc::{Delivery, Lifecycle, SubscriptionOptions, SubscriptionScope};
///
/// let options = SubscriptionOptions { max_line_bytes: 64 * 1024, ..Default::default() };
/// assert_eq!((options.scope, options.delivery), (SubscriptionScope::All, Delivery::Lines));
/// assert_eq!((options.lifecycle, options.queue_bytes), (Lifecycle::All, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The processes and runs whose events are delivered.
    pub scope: SubscriptionScope,
    /// The form in which output is delivered.
    pub delivery: Delivery,
    /// Which of the other events are delivered.
    pub lifecycle: Lifecycle,
    /// Which of all these events are delivered; the default is all. A subscription without
    /// [`EventFilter::CLOSED`] is not told when a process is over.
    pub filter: EventFilter,
    /// What becomes of output when `queue_bytes` wait.
    pub overflow: Overflow,
    /// What the bytes of output are.
    pub encoding: Encoding,
    /// Bytes that may wait for each process (0: 1 MiB). When this many wait, that child's pipes are not read, and the
    /// kernel slows it, or output is dropped ([`Overflow`]); no other child is affected. One read, or one line, may go beyond it. Memory counts as it is
    /// held: output of a child that writes much in blocks of 64 KiB.
    pub queue_bytes: u64,
    /// Bytes of the longest line, without its `\n` (0: 1 MiB). A longer one arrives in pieces of this size.
    pub max_line_bytes: u64,
    /// The most events of a batch (0: any number).
    pub batch_events: u64,
    /// The most bytes of a batch, unless it is a single event (0: any number).
    pub batch_bytes: u64,
}

impl SubscriptionOptions {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let check = |field, bytes| if bytes == u64::MAX { Ok(()) } else { check_size(operation, field, bytes) };
        check("queue_bytes", self.queue_bytes)?;
        check("max_line_bytes", self.max_line_bytes)?;
        if self.encoding == Encoding::Utf8 && (1..text::LONGEST as u64).contains(&self.max_line_bytes) {
            let what = format!("max_line_bytes: {} bytes hold no character of UTF-8", self.max_line_bytes);
            return Err(Error::invalid(operation, what));
        }
        Ok(())
    }

    pub(super) fn limits(&self) -> Limits {
        const DEFAULT: u64 = 1024 * 1024;
        let size = |bytes: u64| usize::try_from(if bytes == 0 { DEFAULT } else { bytes }).unwrap_or(usize::MAX);
        Limits {
            queue_bytes: size(self.queue_bytes),
            max_line: size(self.max_line_bytes),
            overflow: self.overflow,
            are_lines: matches!(self.delivery, Delivery::Lines | Delivery::WholeLines),
            splits_lines: self.delivery == Delivery::Lines,
            is_text: self.encoding == Encoding::Utf8,
        }
    }

    /// Returns the limit of a batch, if there is one.
    pub(super) fn batch_limit(&self) -> Option<BatchLimit> {
        let limit = |most: u64| if most == 0 { u64::MAX } else { most };
        let limit = BatchLimit { events: limit(self.batch_events), bytes: limit(self.batch_bytes) };
        (limit.events != u64::MAX || limit.bytes != u64::MAX).then_some(limit)
    }
}

/// Refuses a size that no memory can have, which is a mistake.
pub(crate) fn check_size(operation: &'static str, field: &str, bytes: u64) -> Result<()> {
    if isize::try_from(bytes).is_ok() {
        return Ok(());
    }
    Err(Error::invalid(operation, format!("{field}: {bytes} bytes are out of range")))
}

/// The limits of a subscription, with the defaults filled in.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) queue_bytes: usize,
    pub(super) max_line: usize,
    pub(super) overflow: Overflow,
    /// Whether output is delivered as lines, and whether each of them is an event.
    pub(super) are_lines: bool,
    pub(super) splits_lines: bool,
    /// Whether output is UTF-8.
    pub(super) is_text: bool,
}

/// The most that a batch holds.
#[derive(Clone, Copy)]
pub(super) struct BatchLimit {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Limits {
    /// Returns whether a queue keeps slices of blocks.
    pub(super) fn shares(self) -> bool {
        self.queue_bytes >= LEAST_SHARED
    }
}
