//! [`Wanted`]: which events a queue takes.

use super::filter::EventFilter;
use super::options::{Delivery, Lifecycle, SubscriptionOptions};
use super::record::RunRecord;
use super::types::Stream;

/// What a subscription wants, of all of its options.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    kinds: EventFilter,
    /// Whether the first event of a process of a run is wanted.
    starts_of_runs: bool,
}

impl Wanted {
    pub(super) fn by(options: &SubscriptionOptions) -> Wanted {
        const OUTPUTS: u32 = EventFilter::STDOUT.0 | EventFilter::STDERR.0 | EventFilter::DESCRIPTORS.0;
        let asked = if options.filter.0 == 0 { u32::MAX } else { options.filter.0 };
        let mut kinds = asked;
        if options.lifecycle == Lifecycle::Ends {
            kinds &= OUTPUTS | EventFilter::CLOSED.0 | EventFilter::RUN_ENDED.0;
        }
        if options.delivery == Delivery::None {
            kinds &= !OUTPUTS;
        }
        Wanted { kinds: EventFilter(kinds), starts_of_runs: EventFilter(asked).contains(EventFilter::STARTED) }
    }

    pub(super) fn wants(self, kind: EventFilter) -> bool {
        self.kinds.contains(kind)
    }

    pub(super) fn wants_start(self, of_run: bool) -> bool {
        if of_run { self.starts_of_runs } else { self.wants(EventFilter::STARTED) }
    }

    pub(super) fn wants_output(self, stream: Stream) -> bool {
        self.wants(EventFilter::of(stream))
    }

    pub(super) fn wants_some_output(self) -> bool {
        [EventFilter::STDOUT, EventFilter::STDERR, EventFilter::DESCRIPTORS].into_iter().any(|kind| self.wants(kind))
    }

    pub(super) fn wants_run(self, what: RunRecord) -> bool {
        self.wants(match what {
            RunRecord::Started => EventFilter::RUN_STARTED,
            RunRecord::SpecStarted => EventFilter::SPEC_STARTED,
            RunRecord::SpecRetrying { .. } => EventFilter::SPEC_RETRYING,
            RunRecord::SpecEnded { .. } => EventFilter::SPEC_ENDED,
            RunRecord::Ended { .. } => EventFilter::RUN_ENDED,
        })
    }
}
