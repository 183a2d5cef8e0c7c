//! [`Member`]: what ties a process to a run of a pipeline, which this layer knows as an [`Observer`] alone.

use std::sync::Arc;

use crate::event::{Ending, RunPart};
use crate::sys::clock::Stamp;

/// A run that is told of its processes' lives on the thread that sees them, without an event in between. A process
/// tells under its own lock, so an observer must call no process.
pub(crate) trait Observer: Send + Sync {
    /// Told that the process's leader has ended.
    fn exited(&self, part: RunPart, ending: Ending, time: Stamp);
    /// Told that nothing follows; also of a process that ended before its spawn failed.
    fn closed(&self);
}

/// A process's place in a run.
pub(crate) struct Member {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) part: RunPart,
}
