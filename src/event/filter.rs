//! [`EventFilter`]: which kinds of events a subscription gets.

use std::ops::BitOr;

use super::types::Stream;

/// A set of kinds of events. Sets are joined by `|`. The empty set, which is the default, stands for all kinds.
///
/// ```
/// use coreproc::{CloseMode, Command, EventFilter, EventKind, Service, ServiceOptions, Stream, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let filter = EventFilter::STDERR | EventFilter::CLOSED;
/// let events = service.subscribe(SubscriptionOptions { filter, ..Default::default() })?;
/// Command::new("sh").args(["-c", "echo fine; echo trouble >&2"]).spawn(&service)?;
/// service.close(CloseMode::Leave)?;
/// let mut seen = Vec::new();
/// while let Ok(batch) = events.take(0, None) {
///     seen.extend(batch.events().map(|event| match event.kind {
///         EventKind::Output { stream: Stream::Stderr, .. } => String::from_utf8_lossy(event.data).into_owned(),
///         kind => format!("{kind:?}").split(' ').next().unwrap_or_default().to_owned(),
///     }));
/// }
/// assert_eq!(seen, ["trouble", "Closed"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventFilter(pub(super) u32);

impl EventFilter {
    /// [`EventKind::Started`](crate::EventKind::Started).
    pub const STARTED: EventFilter = EventFilter(1 << 1);
    /// [`EventKind::Output`](crate::EventKind::Output) of standard output.
    pub const STDOUT: EventFilter = EventFilter(1 << 2);
    /// [`EventKind::Output`](crate::EventKind::Output) of standard error.
    pub const STDERR: EventFilter = EventFilter(1 << 3);
    /// [`EventKind::Exited`](crate::EventKind::Exited).
    pub const EXITED: EventFilter = EventFilter(1 << 4);
    /// [`EventKind::Closed`](crate::EventKind::Closed).
    pub const CLOSED: EventFilter = EventFilter(1 << 5);
    /// [`EventKind::RunStarted`](crate::EventKind::RunStarted).
    pub const RUN_STARTED: EventFilter = EventFilter(1 << 6);
    /// [`EventKind::SpecStarted`](crate::EventKind::SpecStarted).
    pub const SPEC_STARTED: EventFilter = EventFilter(1 << 7);
    /// [`EventKind::SpecRetrying`](crate::EventKind::SpecRetrying).
    pub const SPEC_RETRYING: EventFilter = EventFilter(1 << 8);
    /// [`EventKind::SpecEnded`](crate::EventKind::SpecEnded).
    pub const SPEC_ENDED: EventFilter = EventFilter(1 << 9);
    /// [`EventKind::RunEnded`](crate::EventKind::RunEnded).
    pub const RUN_ENDED: EventFilter = EventFilter(1 << 10);
    /// [`EventKind::Output`](crate::EventKind::Output) of descriptors above standard error.
    pub const DESCRIPTORS: EventFilter = EventFilter(1 << 11);
    /// [`EventKind::Stopped`](crate::EventKind::Stopped).
    pub const STOPPED: EventFilter = EventFilter(1 << 13);
    /// [`EventKind::Continued`](crate::EventKind::Continued).
    pub const CONTINUED: EventFilter = EventFilter(1 << 14);
    /// The highest kind of these.
    const LAST: u32 = 14;
    /// The kind that is always delivered: [`EventKind::Overflow`](crate::EventKind::Overflow).
    const ALWAYS: u32 = 12;

    /// Returns whether each kind of `other` is in this set.
    ///
    /// ```
    /// use coreproc::EventFilter;
    ///
    /// assert!((EventFilter::STDOUT | EventFilter::CLOSED).contains(EventFilter::CLOSED));
    /// ```
    pub fn contains(self, other: EventFilter) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the kind of output of a stream.
    pub(crate) fn of(stream: Stream) -> EventFilter {
        match stream {
            Stream::Stdout => EventFilter::STDOUT,
            Stream::Stderr => EventFilter::STDERR,
            Stream::Descriptor(_) => EventFilter::DESCRIPTORS,
        }
    }

    /// Makes a set of a mask, in which bit N stands for the kind with the number N of the C ABI. Returns the lowest
    /// bit that stands for nothing as an error.
    pub(crate) fn from_mask(mask: u32) -> Result<EventFilter, u32> {
        let unknown = mask & (!((2 << Self::LAST) - 2) | 1 << Self::ALWAYS);
        if unknown == 0 { Ok(EventFilter(mask)) } else { Err(unknown.trailing_zeros()) }
    }
}

impl BitOr for EventFilter {
    type Output = EventFilter;

    fn bitor(self, other: EventFilter) -> EventFilter {
        EventFilter(self.0 | other.0)
    }
}
