//! The stop policy: a signal, a grace period, SIGKILL.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::signal;

/// Who gets a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// For kill and stop: the group, where the process leads its own; else the process. For signal: the process.
    #[default]
    Default,
    /// The process alone.
    Process,
    /// The process group that it leads.
    Group,
}

/// How to stop a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopOptions {
    /// The first signal.
    pub signal: i32,
    /// How long to wait before SIGKILL; None: it is never sent.
    pub grace: Option<Duration>,
    /// Who is stopped.
    pub scope: Scope,
}

impl Default for StopOptions {
    /// SIGTERM, five seconds, [`Scope::Default`].
    fn default() -> StopOptions {
        StopOptions { signal: libc::SIGTERM, grace: Some(Duration::from_secs(5)), scope: Scope::Default }
    }
}

impl StopOptions {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        check_signal(operation, self.signal)
    }
}

/// A signal that can be sent; 0 is for probing and is not a stop.
pub(crate) fn check_signal(operation: &'static str, number: i32) -> Result<()> {
    if signal::is_valid(number) {
        return Ok(());
    }
    Err(Error::invalid(operation, format!("{number} is not a signal number (1 to {})", signal::MAX)))
}
