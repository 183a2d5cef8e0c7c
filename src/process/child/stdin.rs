//! [`Stdin`]: our side of a child's standard input, while it runs.

use crate::sys::close_on_fork::CloseOnFork;

pub(super) enum Stdin {
    /// It is no pipe of ours.
    Absent,
    Open(Pipe),
    /// A call has closed it.
    Closed,
    /// It was found to have no reader, at this time on CLOCK_MONOTONIC.
    Deserted(u64),
}

pub(super) struct Pipe {
    pub(super) fd: CloseOnFork,
    /// Whether a thread is in the middle of a write.
    pub(super) busy: bool,
    /// Whether it was full, and has not reported room since.
    pub(super) full: bool,
    /// Whether the poller has it.
    pub(super) watched: bool,
}

impl Stdin {
    pub(super) fn new(fd: Option<CloseOnFork>) -> Stdin {
        match fd {
            Some(fd) => Stdin::Open(Pipe { fd, busy: false, full: false, watched: false }),
            None => Stdin::Absent,
        }
    }
}
