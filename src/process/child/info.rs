//! What is told of a child.

use std::time::Duration;

use crate::event::Ending;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It runs.
    Running,
    /// Its leader ended and was reaped; its output is being read to the end.
    Exited,
    /// Nothing follows.
    Closed,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its number in its service, from 1, never reused.
    pub id: u64,
    /// Its PID; may be another process's once this one has ended.
    pub pid: i32,
    /// Where it is in its life.
    pub state: State,
    /// How and why it ended.
    pub ending: Option<Ending>,
    /// When it was started.
    pub started: Stamp,
    /// When its end was seen.
    pub exited: Option<Stamp>,
    /// When it was closed.
    pub closed: Option<Stamp>,
    /// Bytes read from its standard output so far.
    pub stdout_bytes: u64,
    /// Bytes read from its standard error so far.
    pub stderr_bytes: u64,
    /// Bytes that its capture does not hold any more, or never did.
    pub dropped_bytes: u64,
    /// Bytes read after it was closed, and discarded; or lost from a spool.
    pub discarded_bytes: u64,
    /// It was closed while somebody still held its output pipes.
    pub drain_bound: bool,
    /// The kernel refuses the signal of a stop, a timeout or a close with this errno, mostly EPERM because the process
    /// has become another user's; it is tried again until it is taken or the process ends.
    pub stop_refused: Option<i32>,
}

impl Info {
    /// How it ended, once it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.ending.map(|ending| ending.status)
    }

    /// From start to exit; None while it runs.
    pub fn duration(&self) -> Option<Duration> {
        let exited = self.exited?;
        Some(Duration::from_nanos(exited.monotonic_ns - self.started.monotonic_ns))
    }
}
