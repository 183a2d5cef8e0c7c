//! [`SubscriptionOptions`]: whose events a subscription gets, in which form, and how much may wait.

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
    /// Bytes that may wait for each process (0: 1 MiB). When this many wait, that child's pipes are not read, and the
    /// kernel slows it; no other child is affected. One read, or one line, may go beyond it. Memory counts as it is
    /// held: output of a child that writes much in blocks of 64 KiB.
    pub queue_bytes: u64,
    /// Bytes of the longest line, without its `\n` (0: 1 MiB). A longer one arrives in pieces of this size.
    pub max_line_bytes: u64,
}

impl SubscriptionOptions {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let check = |field, bytes| if bytes == u64::MAX { Ok(()) } else { check_size(operation, field, bytes) };
        check("queue_bytes", self.queue_bytes)?;
        check("max_line_bytes", self.max_line_bytes)
    }

    pub(super) fn limits(&self) -> Limits {
        const DEFAULT: u64 = 1024 * 1024;
        let size = |bytes: u64| usize::try_from(if bytes == 0 { DEFAULT } else { bytes }).unwrap_or(usize::MAX);
        Limits { queue_bytes: size(self.queue_bytes), max_line: size(self.max_line_bytes) }
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
}

impl Limits {
    /// Returns whether a queue keeps slices of blocks.
    pub(super) fn shares(self) -> bool {
        self.queue_bytes >= LEAST_SHARED
    }
}
