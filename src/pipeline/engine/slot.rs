//! [`Slot`]: the state of a spec in a run, except for the part that the scheduler knows.

use crate::process::Process;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;

#[derive(Default)]
pub(super) struct Slot {
    /// The process of the last attempt.
    pub(super) process: Option<Process>,
    /// The status of the last attempt.
    pub(super) status: Option<ExitStatus>,
    /// The start of the first attempt.
    pub(super) first: Option<Stamp>,
    /// The start of the last attempt.
    pub(super) started: Stamp,
    /// The end of the last attempt.
    pub(super) ended: Option<u64>,
    /// The last attempt whose process is known to have ended.
    pub(super) exited: u32,
    /// Stops that came while the process was being started.
    pub(super) stops: u32,
}

impl Slot {
    /// Returns the time from the start of the first attempt to the end of the last, in nanoseconds.
    pub(super) fn took(&self) -> u64 {
        self.first.zip(self.ended).map_or(0, |(first, ended)| ended.saturating_sub(first.monotonic_ns))
    }

    /// Returns the time that the last attempt took, in nanoseconds.
    pub(super) fn attempt_took(&self) -> u64 {
        self.ended.map_or(0, |ended| ended.saturating_sub(self.started.monotonic_ns))
    }
}
