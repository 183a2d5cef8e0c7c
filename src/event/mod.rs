//! How anything that happens reaches whoever listens: waiting ([`wait`], [`driver`]), per-process mailboxes
//! behind one [`Subscription`], [`Batch`]es of [`Event`]s, and the dispatcher that runs callbacks.
//!
//! Knows nothing of processes but their numbers: what produces events is a [`subscription::Source`].

pub(crate) mod batch;
pub(crate) mod dispatcher;
pub(crate) mod driver;
#[allow(clippy::module_inception)]
pub(crate) mod event;
mod mailbox;
pub(crate) mod subscription;
pub(crate) mod wait;
mod watch;

pub use batch::Batch;
pub use event::{Cause, Event, EventKind, RunPart, SpecState, Stream};
pub use subscription::{Delivery, Lifecycle, Subscription, SubscriptionOptions, SubscriptionScope};
