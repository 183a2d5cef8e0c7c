//! [`Deadlines`]: what a process may not exceed, besides its timeout.

use std::time::Duration;

/// The deadlines; None for each that there is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deadlines {
    /// The time to its first output.
    pub(super) start: Option<Duration>,
    /// The longest silence.
    pub(super) silence: Option<Duration>,
    /// The most CPU time.
    pub(super) cpu: Option<Duration>,
    /// The most output, in bytes.
    pub(super) output: Option<u64>,
}
