//! What a subscriber sees: [`Event`], [`EventKind`], and the types that they carry.

use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;
use crate::sys::procfs::Holder;

/// An output stream of a child.
///
/// ```
/// use coreproc::{CloseMode, Command, EventKind, Service, ServiceOptions, Stream, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions::default())?;
/// Command::new("sh").args(["-c", "echo trouble >&2"]).spawn(&service)?;
/// service.close(CloseMode::Leave)?;
/// let mut streams = Vec::new();
/// while let Ok(batch) = events.take(0, None) {
///     for event in batch.events() {
///         if let EventKind::Output { stream, .. } = event.kind {
///             streams.push(stream);
///         }
///     }
/// }
/// assert_eq!(streams, [Stream::Stderr]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, and standard error if it is merged into it.
    Stdout,
    /// Standard error.
    Stderr,
    /// The output pipe at this descriptor of the process ([`Descriptor::Output`](crate::Descriptor::Output)).
    Descriptor(u16),
}

/// Why a process ended: what this library did to it first, if anything.
///
/// ```
/// use coreproc::{Cause, Command, Scope, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").spawn(&service)?;
/// process.kill(Scope::Default)?;
/// let ending = process.wait(None)?.ending.expect("it has ended");
/// assert_eq!(ending.cause, Cause::Killed);
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It ended by itself, or by a signal that was sent as such.
    Natural,
    /// It was stopped.
    Stopped,
    /// It was killed.
    Killed,
    /// Its timeout passed.
    Timeout,
    /// The run that it is part of was cancelled.
    Cancelled,
    /// It wrote nothing in the time for its first output ([`Command::start_timeout`](crate::Command::start_timeout)).
    StartTimeout,
    /// It wrote nothing for too long ([`Command::silence_timeout`](crate::Command::silence_timeout)).
    Silence,
    /// It used more CPU time than it may ([`Command::cpu_time_limit`](crate::Command::cpu_time_limit)).
    CpuTime,
    /// It wrote more than it may ([`Command::output_limit`](crate::Command::output_limit)).
    OutputLimit,
}

/// How a spec of a run ended. Every spec of a run ends in exactly one of these states.
///
/// ```
/// use coreproc::{Command, Pipeline, Service, ServiceOptions, Spec, SpecState};
///
/// # fn main() -> coreproc::Result<()> {
/// let mut deploy = Spec::new("deploy", Command::new("true"));
/// deploy.after("test");
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("test", Command::new("false"))).add(deploy);
/// let report = pipeline.run_all(&Service::new(ServiceOptions::default())?)?;
/// assert_eq!(report.specs[0].state, SpecState::Failed);
/// assert_eq!(report.specs[1].state, SpecState::Skipped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecState {
    /// It exited with code 0.
    Passed,
    /// It exited with another code, by a signal, or could not be started.
    Failed,
    /// It was not started, because of what it comes after or because the run ended first; the error says which.
    Skipped,
    /// It was stopped because the run was cancelled.
    Cancelled,
    /// It was stopped by its own timeout.
    TimedOut,
}

/// A place in a run: the run, the spec, and its attempt.
///
/// ```
/// use coreproc::{Command, EventKind, Pipeline, RunOptions, Service, ServiceOptions, Spec, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("hello", Command::new("true")));
/// let run = pipeline.start(&service, RunOptions::default())?;
/// let part = 'found: loop {
///     for event in events.take(0, None)?.events() {
///         if event.kind == EventKind::SpecStarted {
///             break 'found event.part.expect("it is of a run");
///         }
///     }
/// };
/// assert_eq!((part.run_id, part.spec, part.attempt), (run.id(), Some(0), 1));
/// # run.wait(None).map(drop)
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunPart {
    /// The run's number. Runs and processes of a service are numbered in one count.
    pub run_id: u64,
    /// The spec's index in its pipeline; None for the run as a whole.
    pub spec: Option<usize>,
    /// Which attempt of the spec, counted from 1; 0 if there was none.
    pub attempt: u32,
}

/// How and why a process ended.
///
/// ```
/// use coreproc::{Cause, Command, Ending, ExitStatus, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let info = Command::new("sh").args(["-c", "exit 3"]).spawn(&service)?.wait(None)?;
/// assert_eq!(info.ending, Some(Ending { status: ExitStatus::Code(3), cause: Cause::Natural }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Exit code, signal, or unknown.
    pub status: ExitStatus,
    /// What led to it.
    pub cause: Cause,
}

/// What happened.
///
/// ```
/// use coreproc::{Command, EventKind, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions::default())?;
/// Command::new("echo").arg("hello").spawn(&service)?;
/// let mut seen = Vec::new();
/// while seen.last() != Some(&"closed") {
///     seen.extend(events.take(0, None)?.events().map(|event| match event.kind {
///         EventKind::Started => "started",
///         EventKind::Output { .. } => "output",
///         EventKind::Exited(_) => "exited",
///         EventKind::Closed { .. } => "closed",
///         _ => "about a run",
///     }));
/// }
/// assert_eq!((seen.first(), seen.last()), (Some(&"started"), Some(&"closed")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The process runs.
    Started,
    /// The process wrote; the bytes are [`Event::data`].
    Output {
        /// The stream that it wrote to.
        stream: Stream,
        /// Whether it is a piece of a line that is longer than the maximum: the next event of this stream continues it.
        partial: bool,
        /// Whether it is the last line, which had no `\n`. (The others had one, which is not part of the bytes.)
        unterminated: bool,
    },
    /// The leader of the process ended and was reaped; output may follow.
    Exited(Ending),
    /// The last event of a process.
    Closed {
        /// As in [`EventKind::Exited`].
        ending: Ending,
        /// Whether another process still holds its output pipes; [`Event::data`] then names the holders, `PID COMMAND`
        /// a line; see [`Holder`].
        drain_bound: bool,
    },
    /// A signal has stopped the process: SIGSTOP, SIGTSTP, or SIGTTIN or SIGTTOU if it waits for a terminal whose
    /// foreground it does not have. Only if its command asked for it
    /// ([`Command::report_stops`](crate::Command::report_stops)).
    Stopped {
        /// The signal; 0 if someone else has waited for the stop, which makes the kernel forget it.
        signal: i32,
    },
    /// The process, which was stopped, runs on. An end while it is stopped comes without.
    Continued,
    /// Output was dropped here, because the queue was full ([`Overflow`](crate::Overflow)). [`Event::data`] has both
    /// counts as decimal numbers with a space between them.
    Overflow {
        /// How many bytes were dropped, with the `\n` of lines.
        bytes: u64,
        /// How many events these bytes would have been.
        events: u64,
    },
    /// A run began; the first of its events.
    RunStarted,
    /// An attempt of a spec was started; [`Event::data`] is the spec's name. The process's own events, which
    /// come apart from those of the run, name the same [`RunPart`].
    SpecStarted,
    /// An attempt of a spec failed, [`Event::data`] says why, and another one follows.
    SpecRetrying {
        /// How it ended; None if its start failed.
        status: Option<ExitStatus>,
    },
    /// A spec ended: what comes after it may start. Output of it may follow. [`Event::data`] says why it did
    /// not pass; empty if it did.
    SpecEnded {
        /// The state that it ended in.
        state: SpecState,
        /// How its last attempt ended; None if there was none, or its start failed.
        status: Option<ExitStatus>,
    },
    /// The run ended, and every process of it is closed; the last of its events.
    RunEnded {
        /// As in [`RunReport::success`](crate::RunReport::success).
        success: bool,
    },
}

/// One event of one process, or of one run. It borrows from its [`Batch`](crate::Batch).
///
/// ```
/// use coreproc::{Command, EventKind, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions::default())?;
/// let process = Command::new("echo").arg("hello").spawn(&service)?;
/// let batch = events.take(1, None)?;
/// let event = batch.events().next().expect("a batch has an event");
/// assert_eq!(event.kind, EventKind::Started);
/// assert_eq!((event.process_id, event.pid, event.sequence), (process.id(), process.pid(), 1));
/// assert!(event.data.is_empty() && event.time.realtime_ns > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// The number of the process in its service; the number of the run for an event of a run.
    pub process_id: u64,
    /// The PID of the process, for showing: it may be reused once the process has ended. 0 for a run.
    pub pid: i32,
    /// The run and the spec that it is about; None for processes of no run.
    pub part: Option<RunPart>,
    /// Counts from 1 for each process, and each run, in each subscription, without gaps.
    pub sequence: u64,
    /// When it was seen.
    pub time: Stamp,
    /// Whether output before this event was lost, because no memory for it was left.
    pub lost: bool,
    /// Whether bytes of this output that are no UTF-8 were replaced by U+FFFD; see
    /// [`Encoding::Utf8`](crate::Encoding::Utf8).
    pub replaced: bool,
    /// The bytes of an output, the holders' names, or the text of a run's event; empty otherwise.
    pub data: &'a [u8],
    /// How long an attempt that is repeated, or a spec that ended, took, in nanoseconds, as its run counts; else 0.
    pub(crate) took_ns: u64,
}

/// Writes holders as events and the C ABI show them: `PID COMMAND`, a line each; the PID of an unknown one is `?`.
pub(crate) fn holders_text(holders: &[Holder]) -> String {
    holders
        .iter()
        .map(|holder| match holder.pid {
            Some(pid) => format!("{pid} {}\n", holder.command),
            None => format!("? {}\n", holder.command),
        })
        .collect()
}
