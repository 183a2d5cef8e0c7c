//! The stop policy: a signal, a grace period, SIGKILL; and which processes a signal reaches.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::signal;

/// Which processes get a signal.
///
/// ```
/// use coreproc::{Command, Scope, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn(&service)?;
/// // The shell and its child.
/// process.signal(15, Scope::Group)?;
/// assert!(!process.wait(None)?.drain_bound);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// For kill and stop: the group if the process leads one of its own, else the process. For signal: the process.
    #[default]
    Default,
    /// The process alone.
    Process,
    /// The process group that it leads.
    Group,
}

/// How to stop a process: a signal, a grace period, SIGKILL.
///
/// ```
/// use coreproc::{Cause, Command, Service, ServiceOptions, StopOptions};
/// use std::time::Duration;
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sh").args(["-c", "trap '' TERM; sleep 60"]).spawn(&service)?;
/// process.stop(Some(&StopOptions { grace: Some(Duration::from_millis(100)), ..StopOptions::default() }))?;
/// assert_eq!(process.wait(None)?.ending.map(|ending| ending.cause), Some(Cause::Stopped));
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopOptions {
    /// The first signal.
    pub signal: i32,
    /// The time until SIGKILL; None: it is never sent.
    pub grace: Option<Duration>,
    /// Which processes are stopped.
    pub scope: Scope,
}

impl Default for StopOptions {
    /// Returns SIGTERM, five seconds, [`Scope::Default`].
    fn default() -> StopOptions {
        StopOptions { signal: libc::SIGTERM, grace: Some(Duration::from_secs(5)), scope: Scope::Default }
    }
}

impl StopOptions {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        check_signal(operation, self.signal)
    }
}

/// Checks that a signal can be sent. 0 only probes, and is refused.
pub(crate) fn check_signal(operation: &'static str, number: i32) -> Result<()> {
    if signal::is_valid(number) {
        return Ok(());
    }
    Err(Error::invalid(operation, format!("{number} is not a signal number (1 to {})", signal::MAX)))
}
