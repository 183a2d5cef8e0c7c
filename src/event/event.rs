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
        /// Somebody still holds its output pipes; [`Event::data`] names them, `PID COMMAND` a line.
        drain_bound: bool,
    },
}

/// One event of one process.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened.
    pub kind: EventKind,
    /// To which process of the service.
    pub process_id: u64,
    /// Its PID, for showing: it may be reused once the process has ended.
    pub pid: i32,
    /// Counts from 1 for each process in each subscription, without gaps.
    pub sequence: u64,
    /// When it was seen.
    pub time: Stamp,
    /// Output before this event was lost, because memory for it could not be had.
    pub lost: bool,
    /// Output, or the holders' names; empty otherwise.
    pub data: &'a [u8],
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
