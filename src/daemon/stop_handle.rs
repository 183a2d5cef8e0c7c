//! [`StopHandle`]: asks a daemon to stop.

use super::life::Life;
use crate::sys::fork;

/// A handle that asks a daemon to stop, and does not keep it alive: for checks, other threads, and other code that must
/// not hold the daemon. Cheap to clone; thread-safe.
///
/// ```
/// use coreproc::{Daemon, DaemonOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let daemon = Daemon::new(DaemonOptions::default());
/// let stop = daemon.stop_handle();
/// daemon.start()?;
/// std::thread::spawn(move || stop.request_stop());
/// daemon.run()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StopHandle(Life);

impl StopHandle {
    pub(super) fn new(life: Life) -> StopHandle {
        StopHandle(life)
    }

    /// Makes [`Daemon::run`](super::Daemon::run) stop its daemon and return. It never waits, and may be called anywhere
    /// but in a signal handler. A request that comes before the start is kept for the run that follows.
    pub fn request_stop(&self) {
        if !fork::is_child() {
            self.0.request_stop();
        }
    }
}
