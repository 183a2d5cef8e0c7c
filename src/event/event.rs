//! What a subscriber sees.

use crate::sys::clock::Stamp;
use crate::sys::pidfd::ExitStatus;
use crate::sys::procfs::Holder;

/// An output stream of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, and standard error where it is merged into it.
    Stdout = 0,
    /// Standard error.
    Stderr = 1,
}

/// Why a process ended: what this library did to it first, if anything.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// By itself, or by a signal that was sent as such.
    Natural,
    /// By a stop.
    Stopped,
    /// By a kill.
    Killed,
    /// By its timeout.
    Timeout,
    /// Because the run that it is part of was cancelled.
    Cancelled,
}

/// How a spec of a run ended. Every spec of a run ends in exactly one of them.
///
/// ```
/// use coreproc::{Command, Pipeline, Service, ServiceOptions, Spec, SpecState};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("missing", Command::new("/no/such/program")));
/// let mut next = Spec::new("next", Command::new("true"));
/// next.after("missing");
/// pipeline.add(next);
/// let states: Vec<SpecState> = pipeline.run_all(&service)?.specs.iter().map(|spec| spec.state).collect();
/// assert_eq!(states, [SpecState::Failed, SpecState::Skipped]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecState {
    /// Exit code 0.
    Passed,
    /// Another exit code, a signal, or a start that failed.
    Failed,
    /// Not started, because of what it comes after or because the run ended first; the error says which.
    Skipped,
    /// Stopped because the run was cancelled.
    Cancelled,
    /// Stopped by its own timeout.
    TimedOut,
}

/// Which part of which run something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunPart {
    /// The run's number, of the same count as those of processes.
    pub run_id: u64,
    /// The spec's index in its pipeline; None: the run as a whole.
    pub spec: Option<usize>,
    /// Which attempt of the spec, from 1; 0 where there was none.
    pub attempt: u32,
}

/// How and why a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Exit code, signal, or unknown.
    pub status: ExitStatus,
    /// What led to it.
    pub cause: Cause,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The process runs.
    Started,
    /// It wrote; the bytes are [`Event::data`].
    Output {
        /// Where to.
        stream: Stream,
        /// A piece of a line that is longer than the maximum: the next event of this stream goes on with it.
        partial: bool,
        /// The last line, which had no `\n`. (The others had one, which is not part of the bytes.)
        unterminated: bool,
    },
    /// Its leader ended and was reaped; output may follow.
    Exited(Ending),
    /// Nothing follows.
    Closed {
        /// As in [`EventKind::Exited`].
        ending: Ending,
        /// Somebody still holds its output pipes; [`Event::data`] names them, `PID COMMAND` a line; see [`Holder`].
        drain_bound: bool,
    },
    /// A run began; the first of its events.
    RunStarted,
    /// An attempt of a spec was started; [`Event::data`] is the spec's name. The process's own events, which
    /// come apart from those of the run, name the same [`RunPart`].
    SpecStarted,
    /// An attempt of a spec failed, [`Event::data`] says why, and another one follows.
    SpecRetrying {
        /// How it ended; None when its start failed.
        status: Option<ExitStatus>,
    },
    /// A spec ended: what comes after it may start. Output of it may follow. [`Event::data`] says why it did
    /// not pass; empty when it did.
    SpecEnded {
        /// How.
        state: SpecState,
        /// How its last attempt ended; None when there was none, or its start failed.
        status: Option<ExitStatus>,
    },
    /// The run ended, and every process of it is closed; the last of its events.
    RunEnded {
        /// As in [`RunReport::success`](crate::RunReport::success).
        success: bool,
    },
}

/// One event of one process, or of one run.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// To which process of the service; an event of a run has the run's number here.
    pub process_id: u64,
    /// Its PID, for showing: it may be reused once the process has ended. 0 for a run.
    pub pid: i32,
    /// The run and the spec that it is about; None for processes that are of no run.
    pub part: Option<RunPart>,
    /// Counts from 1 for each process, and each run, in each subscription, without gaps.
    pub sequence: u64,
    /// When it was seen.
    pub time: Stamp,
    /// Output before this event was lost, because memory for it could not be had.
    pub lost: bool,
    /// Output, or the holders' names; empty otherwise.
    pub data: &'a [u8],
    /// Of an attempt of a spec that is repeated, and of a spec that ended: how long it took, as its run knows; else 0.
    pub(crate) took_ns: u64,
}

/// Holders as events and the C ABI show them: `PID COMMAND`, a line each; an unknown one is `?`.
pub(crate) fn holders_text(holders: &[Holder]) -> String {
    holders
        .iter()
        .map(|holder| match holder.pid {
            Some(pid) => format!("{pid} {}\n", holder.command),
            None => format!("? {}\n", holder.command),
        })
        .collect()
}
