//! What a producer of events brings: a [`Source`] that can be told to go on, and the [`Sender`] that its events name.

use std::any::Any;
use std::sync::Arc;

use super::types::RunPart;

/// A producer of events that can be told to go on.
pub(crate) trait Source: Any + Send + Sync {
    /// Reads on: a queue that was full has room again. Called without any lock.
    fn resume(&self);
}

/// A source that is shared: a queue keeps a reference once it has events of it.
pub(crate) trait SharedSource {
    fn share(&self) -> Arc<dyn Source>;
}

impl<S: Source> SharedSource for Arc<S> {
    fn share(&self) -> Arc<dyn Source> {
        Arc::<S>::clone(self)
    }
}

/// The process, or the run, whose events are pushed.
pub(crate) struct Sender<'a> {
    /// The number of the process, or of the run, in its service.
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) source: &'a dyn SharedSource,
}

/// What the events of a mailbox tell of their process or run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) pid: i32,
    pub(crate) part: Option<RunPart>,
}

/// The source of a run's own events, which are too few to be held back.
pub(super) struct Unpaused;

impl Source for Unpaused {
    fn resume(&self) {}
}
