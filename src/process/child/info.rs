//! [`Info`] and [`State`]: what callers see of a child.

use std::time::Duration;

use crate::event::Ending;
use crate::process::containment::Rung;
use crate::sys::cgroup::Usage;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;
use crate::sys::rusage::ResourceUsage;

/// Where a process is in its life.
///
/// ```
/// use coreproc::{Command, Service, ServiceOptions, State};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("true").spawn(&service)?;
/// assert!(process.wait_exit(None)?.state >= State::Exited);
/// assert_eq!(process.wait(None)?.state, State::Closed);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It runs.
    Running,
    /// Its leader ended and was reaped; its output is being read to the end.
    Exited,
    /// Nothing follows.
    Closed,
}

/// A snapshot of what is known of a process.
///
/// ```
/// use coreproc::{Command, ExitStatus, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let info = Command::new("sh").args(["-c", "echo hello; kill -9 $$"]).spawn(&service)?.wait(None)?;
/// assert_eq!(info.status(), Some(ExitStatus::Signal { signal: 9, core_dumped: false }));
/// assert_eq!((info.stdout_bytes, info.stderr_bytes), (6, 0));
/// assert!(info.duration().is_some());
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its number in its service, from 1, never reused.
    pub id: u64,
    /// Its PID, which may be another process's once this one has ended.
    pub pid: i32,
    /// Where it is in its life.
    pub state: State,
    /// By what means it is held together with what it starts.
    pub rung: Rung,
    /// What all its processes have used together, if it has a cgroup.
    pub usage: Option<Usage>,
    /// How and why it ended, once it has.
    pub ending: Option<Ending>,
    /// When it was started.
    pub started: Stamp,
    /// When its end was seen, once it was.
    pub exited: Option<Stamp>,
    /// When it was closed, once it was.
    pub closed: Option<Stamp>,
    /// What it used of the machine, once it has ended; None also if the host reaped it, or a filter forbids to ask.
    pub rusage: Option<ResourceUsage>,
    /// Bytes read from its standard output so far.
    pub stdout_bytes: u64,
    /// Bytes read from its standard error so far.
    pub stderr_bytes: u64,
    /// Bytes of its output that its capture no longer holds, or never held.
    pub dropped_bytes: u64,
    /// Bytes that were read after it was closed, and discarded; and bytes lost from a spool.
    pub discarded_bytes: u64,
    /// Bytes that its command gave as input ([`Stdin::Data`](crate::Stdin::Data)) and its pipe has not taken. While it
    /// runs, they wait for it to read; once it has ended, or closed its input, they are left over.
    pub unwritten_bytes: u64,
    /// Whether it was closed while another process still held its output pipes.
    pub drain_bound: bool,
    /// The errno with which the kernel refuses the signal of a stop, a timeout or a close, usually EPERM because the
    /// process has become another user's; the signal is tried again until it is taken or the process ends.
    pub stop_refused: Option<i32>,
    /// The signal by which it is stopped, as far as the library has seen it; 0 if someone else has waited for the stop.
    /// None if it runs, or its command did not ask for it ([`Command::report_stops`](crate::Command::report_stops)).
    pub stopped: Option<i32>,
}

impl Info {
    /// Returns how it ended, once it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.ending.map(|ending| ending.status)
    }

    /// Returns the time from its start to its exit; None while it runs.
    pub fn duration(&self) -> Option<Duration> {
        let exited = self.exited?;
        Some(Duration::from_nanos(exited.monotonic_ns - self.started.monotonic_ns))
    }
}
