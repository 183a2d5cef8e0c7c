//! Brings events to subscribers: [`Subscription`]s give [`Batch`]es of [`Event`]s.
//!
//! Producers push into a [`Queue`], which has a mailbox for each process; takers, or the dispatcher of a callback, take
//! from it. This module knows nothing of processes but their numbers: what produces events is a [`Source`].

mod appender;
mod batch;
mod dispatcher;
mod driving;
mod filter;
mod mailbox;
#[cfg(test)]
mod model;
mod options;
mod overflow;
mod queue;
mod record;
mod source;
mod splitter;
mod subscription;
mod text;
mod types;
mod wanted;
mod watch;

pub use batch::{Batch, Events};
pub(crate) use dispatcher::listen;
pub use filter::EventFilter;
pub(crate) use options::check_size;
pub use options::{Delivery, Encoding, Lifecycle, Overflow, SubscriptionOptions, SubscriptionScope};
pub(crate) use queue::Queue;
pub(crate) use record::RunRecord;
pub(crate) use source::{Origin, Sender, Source};
pub use subscription::Subscription;
pub(crate) use types::holders_text;
pub use types::{Cause, Ending, Event, EventKind, RunPart, SpecState, Stream};
