//! [`Log`]: writes what processes write to a file, without a reader of the host: by a thread of the library, with
//! rotation, and never slowing a process.

mod follower;
mod options;
mod pack;
mod rotation;
mod router;
mod shared;

use std::sync::Arc;
use std::time::Duration;

pub use follower::LogFollower;
pub use options::{LogFormat, LogOptions};
pub(super) use router::{Route, Router};
pub use shared::LogInfo;
use shared::Shared;

use crate::error::Result;
use crate::event::{EventFilter, Queue};
use crate::runtime::Deadline;
use crate::sys::fork;

/// A log file, and the files that it was renamed to. Cheap to clone; thread-safe.
///
/// All logs of a service are written by one thread, `coreproc-dsp`, which the first one starts. What a process writes
/// faster than that thread waits, up to 1 MiB for each process, and is dropped then, and counted ([`LogInfo::lost`]). A
/// disk that is full, or a file that cannot be written, loses what comes meanwhile, which is counted as well; every
/// line tries again. Dropping the last clone closes the file once the processes that write to it are closed.
///
/// ```
/// use coreproc::{Command, EventFilter, LogOptions, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let path = scratch.path().join("app.log");
/// let service = Service::new(ServiceOptions::default())?;
/// let log = service.open_log(&LogOptions { max_bytes: 1 << 20, keep: 2, ..LogOptions::new(&path) })?;
/// Command::new("echo").arg("hello").log(&log, EventFilter::default()).spawn(&service)?;
/// log.wait_idle(None)?;
/// assert_eq!(std::fs::read(&path).expect("the log"), b"hello\n");
/// assert_eq!((log.info()?.written, log.info()?.lost), (6, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>, Arc<Router>);

impl Log {
    pub(super) fn open(router: Arc<Router>, options: &LogOptions) -> Result<Log> {
        let log = Shared::open(options)?;
        router.add_log(&log);
        Ok(Log(log, router))
    }

    /// Returns where events of these kinds go for this log.
    pub(super) fn route(&self, filter: EventFilter) -> Route {
        Route { log: Arc::clone(&self.0), filter }
    }

    pub(super) fn router(&self) -> &Arc<Router> {
        &self.1
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        self.1.queue()
    }

    /// Returns what was written, and what was not.
    pub fn info(&self) -> Result<LogInfo> {
        fork::check("log info")?;
        Ok(self.0.info())
    }

    /// Renames the file now, as if it were full.
    ///
    /// # Errors
    ///
    /// `System` or `PermissionDenied` if a file cannot be renamed; the log goes on in the old one.
    pub fn rotate(&self) -> Result<()> {
        fork::check("rotate log")?;
        self.0.rotate()
    }

    /// Opens the file of the log's name again, for a program that renames it from outside (logrotate(8)).
    ///
    /// # Errors
    ///
    /// `System`, `NotFound` or `PermissionDenied` if it cannot be opened; the log goes on in the old one.
    pub fn reopen(&self) -> Result<()> {
        fork::check("reopen log")?;
        self.0.reopen()
    }

    /// Waits until all that the processes have written is in the file, and those processes are closed. None waits for
    /// ever, zero only looks.
    ///
    /// # Errors
    ///
    /// `TimedOut` if they have not been closed in time. `Deadlock` inside a callback, if it would wait. `Closed` if the
    /// thread that writes has ended before.
    pub fn wait_idle(&self, timeout: Option<Duration>) -> Result<()> {
        fork::check("wait for log")?;
        self.0.wait_idle(Deadline::after(timeout))
    }

    /// Reads the log from an offset on, through all its files. Offset 0 is the first byte that the file had when the log
    /// was opened.
    pub fn follow(&self, offset: u64) -> LogFollower {
        LogFollower::new(Arc::clone(&self.0), offset)
    }
}
