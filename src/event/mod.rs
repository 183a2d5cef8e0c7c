//! Brings what happens to those that listen: per-process mailboxes behind one [`Subscription`], [`Batch`]es of [`Event`]s, and the dispatcher that runs callbacks.
//!
//! Knows nothing of processes but their numbers: what produces events is a [`subscription::Source`].

pub(crate) mod batch;
pub(crate) mod dispatcher;
#[allow(clippy::module_inception)]
pub(crate) mod event;
mod mailbox;
pub(crate) mod subscription;
mod watch;

pub use batch::Batch;
pub use event::{Cause, Event, EventKind, RunPart, SpecState, Stream};
pub use subscription::{Delivery, Lifecycle, Subscription, SubscriptionOptions, SubscriptionScope};
