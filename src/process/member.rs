//! What ties a process to a run of layer 3, which this layer knows as an [`Observer`] alone.

use std::sync::Arc;

use super::process::Process;
use crate::event::{Ending, RunPart};
use crate::sys::clock::Stamp;

/// Whoever is told of a process's life on the thread that sees it, without an event in between.
///
/// What a process does is told under its lock: it must call no process.
pub(crate) trait Observer: Send + Sync {
    /// It runs, and is not watched yet.
    fn started(&self, part: RunPart, process: &Process, time: Stamp);
    /// Its leader has ended.
    fn exited(&self, part: RunPart, ending: Ending, time: Stamp);
    /// Nothing follows. Also told of a process that ended before its spawn failed.
    fn closed(&self);
    /// The service was closed: no process can be started any more. Told before any is ended for it.
    fn service_closed(&self);
    /// The service is broken: waiters look again.
    fn wake_all(&self);
}

/// A process's place in a run.
pub(crate) struct Member {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) part: RunPart,
}
