//! [`ServiceOptions`], and the choices that services and commands share: [`Size`], [`Drain`], [`CloseMode`].

use std::time::Duration;

use crate::error::Result;
use crate::event::check_size;

/// A number of bytes to keep.
///
/// ```
/// use coreproc::{Command, Service, ServiceOptions, Size};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("echo").arg("hello").capture(Size::Bytes(3)).spawn(&service)?;
/// assert_eq!(process.wait(None)?.dropped_bytes, 3);
/// assert_eq!(process.output()?, b"lo\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// The default: for a command, the size of its service; for a service, 1 MiB.
    #[default]
    Default,
    /// This many bytes.
    Bytes(u64),
    /// Nothing.
    None,
}

/// How long output is awaited after the exit, while another process holds the pipes. The bound that is reached first
/// counts. Time in which a full queue keeps the library from reading does not count.
///
/// ```
/// use coreproc::{Command, Drain, Service, ServiceOptions};
/// use std::time::Duration;
///
/// let service = Service::new(ServiceOptions::default())?;
/// let drain = Drain { silence: Duration::from_millis(20), ..Drain::default() };
/// // The shell ends at once, and leaves a process behind that holds its output.
/// let process = Command::new("sh").args(["-c", "sleep 2 &"]).drain(drain).spawn(&service)?;
/// assert!(process.wait(None)?.drain_bound);
/// assert_eq!(process.holders()?[0].command, "sleep 2");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The longest silence.
    pub silence: Duration,
    /// The longest time in all.
    pub total: Duration,
}

impl Size {
    pub(super) fn check(self, operation: &'static str, field: &str) -> Result<()> {
        match self {
            Size::Bytes(bytes) => check_size(operation, field, bytes),
            _ => Ok(()),
        }
    }
}

impl Default for Drain {
    /// Returns half a second of silence, and five seconds in all.
    fn default() -> Drain {
        Drain { silence: Duration::from_millis(500), total: Duration::from_secs(5) }
    }
}

/// The options of a [`Service`](crate::Service).
///
/// ```
/// use coreproc::{Service, ServiceOptions, Size};
///
/// let service = Service::new(ServiceOptions { capture: Size::None, ..ServiceOptions::default() })?;
/// assert_eq!(service.count(), 0);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceOptions {
    /// The size of the capture of commands that do not set one.
    pub capture: Size,
    /// The drain bound of commands that do not set one.
    pub drain: Drain,
}

/// What closing a service does to the processes that run.
///
/// ```
/// use coreproc::{Cause, CloseMode, Command, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").spawn(&service)?;
/// service.close(CloseMode::Kill)?;
/// assert_eq!(process.wait(None)?.ending.map(|ending| ending.cause), Some(Cause::Killed));
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// Nothing.
    Leave,
    /// Stops each as its command says.
    Stop,
    /// Kills each, with its group if it leads one.
    Kill,
}
