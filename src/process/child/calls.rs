//! What callers ask of a child: how it is, what it has written, and to take their input.

use std::sync::Arc;
use std::time::Duration;

use super::{Child, Info, Inner, Rest, Slot, State};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Stream;
use crate::runtime::{self, Deadline, Handler, lock};
use crate::sys::clock::monotonic_ns;
use crate::sys::pipe;
use crate::sys::poller::Interest;
use crate::sys::procfs::{self, Holder};

impl Child {
    pub(crate) fn info(&self) -> Info {
        self.info_of(&lock(&self.inner))
    }

    fn info_of(&self, inner: &Inner) -> Info {
        let (state, closed, drain_bound) = match inner.rest() {
            None => (State::Running, None, false),
            Some(Rest::Closed { at, holders }) => (State::Closed, Some(*at), !holders.is_empty()),
            Some(_) => (State::Exited, None, false),
        };
        Info {
            id: self.id,
            pid: self.pid,
            state,
            ending: inner.ended.as_ref().map(|ended| ended.ending),
            started: self.started,
            exited: inner.ended.as_ref().map(|ended| ended.at),
            closed,
            stdout_bytes: inner.counts[0],
            stderr_bytes: inner.counts[1],
            dropped_bytes: inner.capture.dropped(),
            discarded_bytes: inner.discarded,
            drain_bound,
            stop_refused: inner.stopping.as_ref().and_then(|stopping| stopping.refused).map(|refused| refused.errno),
        }
    }

    pub(crate) fn wait(&self, until: State, deadline: Deadline) -> Result<Info> {
        const OPERATION: &str = "wait";
        runtime::wait(&*self.supervisor, OPERATION, (&self.inner, &self.gate), deadline, |inner| {
            let reached = match until {
                State::Running => true,
                State::Exited => inner.has_ended(),
                State::Closed => inner.is_closed(),
            };
            reached.then(|| self.info_of(inner))
        })?
        .ok_or_else(|| {
            Error::new(ErrorKind::TimedOut, OPERATION, "it has not ended in time").on(format!("process {}", self.id))
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        !lock(&self.inner).is_closed()
    }

    pub(crate) fn captured(&self) -> Result<Vec<u8>> {
        lock(&self.inner)
            .capture
            .to_vec()
            .ok_or_else(|| Error::new(ErrorKind::OutOfMemory, "output", "no memory for a copy of the capture"))
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        match lock(&self.inner).rest() {
            Some(Rest::Closed { holders, .. }) => holders.clone(),
            _ => Vec::new(),
        }
    }

    /// Writes at least one byte, as many as fit until the deadline. Writers take turns.
    pub(crate) fn write_stdin(&self, data: &[u8], deadline: Deadline) -> Result<usize> {
        const OPERATION: &str = "write stdin";
        const AT_ONCE: usize = 64 * 1024;
        let gate = (&self.inner, &self.gate);
        let turn = runtime::wait(&*self.supervisor, OPERATION, gate, deadline, |inner| {
            if inner.stdin.fd.is_none() || !inner.stdin.busy {
                return Some(self.check_stdin(inner).map(|()| inner.stdin.busy = true));
            }
            None
        })?;
        match turn {
            Some(Ok(())) => {}
            Some(Err(error)) if error.kind() == ErrorKind::StdinClosed => {
                return Err(self.stdin_refused(error, deadline));
            }
            Some(Err(error)) => return Err(error),
            None => return Err(self.stdin_timed_out()),
        }
        let mut written = 0;
        let result = loop {
            if written == data.len() {
                break Ok(());
            }
            let step = runtime::wait(&*self.supervisor, OPERATION, gate, deadline, |inner| {
                let rest = &data[written..data.len().min(written + AT_ONCE)];
                self.write_some(inner, rest).transpose()
            });
            match step {
                Ok(Some(Ok(count))) => written += count,
                Ok(Some(Err(error))) | Err(error) => break Err(error),
                Ok(None) => break Err(self.stdin_timed_out()),
            }
        };
        lock(&self.inner).stdin.busy = false;
        self.wake_all();
        match result {
            // What was written is never lost for an error that the next call finds, too.
            Err(_) if written > 0 => Ok(written),
            Err(error) if error.kind() == ErrorKind::StdinClosed => Err(self.stdin_refused(error, deadline)),
            Err(error) => Err(error),
            Ok(()) => Ok(written),
        }
    }

    fn stdin_timed_out(&self) -> Error {
        Error::new(ErrorKind::TimedOut, "write stdin", "it did not read in time").on(format!("process {}", self.id))
    }

    fn stdin_closed(&self, what: &'static str) -> Error {
        Error::new(ErrorKind::StdinClosed, "write stdin", what).on(format!("process {}", self.id))
    }

    /// One rule for input that nobody takes. Once the process has ended it is `NotRunning`, whatever became of its
    /// standard input before. Until then `StdinClosed` says that a call has closed it, that it is no pipe, or that nobody reads it.
    fn check_stdin(&self, inner: &Inner) -> Result<()> {
        match &inner.stdin {
            _ if inner.has_ended() => Err(self.not_running("write stdin")),
            stdin if stdin.fd.is_some() => Ok(()),
            stdin if stdin.closed => Err(self.stdin_closed("its standard input was closed")),
            stdin if stdin.deserted > 0 => {
                Err(self.stdin_closed("nobody reads its standard input any more").errno_is(libc::EPIPE))
            }
            _ => Err(self.stdin_closed("its standard input is not a pipe")),
        }
    }

    /// A process that ends closes its files a moment before that can be seen, and many a program closes its standard
    /// input right before it ends. So that it is no matter of luck which of the two a caller hears of, the end is
    /// waited for a little, unless a call has closed the input.
    fn stdin_refused(&self, error: Error, deadline: Deadline) -> Error {
        const PATIENCE: u64 = 100_000_000;
        let patience = {
            let inner = lock(&self.inner);
            if inner.stdin.closed {
                return error;
            }
            let left = inner.stdin.deserted.saturating_add(PATIENCE).saturating_sub(monotonic_ns());
            Duration::from_nanos(if inner.stdin.deserted > 0 { left } else { 0 })
        };
        let until = Deadline::after(Some(deadline.left().map_or(patience, |left| left.min(patience))));
        let ended = runtime::wait(&*self.supervisor, "write stdin", (&self.inner, &self.gate), until, |inner| {
            let is_ending = |pidfd| procfs::is_ending(pidfd, self.pid);
            (inner.has_ended() || inner.pidfd.as_ref().is_some_and(is_ending)).then_some(())
        });
        if matches!(ended, Ok(Some(()))) { self.not_running("write stdin") } else { error }
    }

    /// One write without waiting; None when the pipe is full.
    fn write_some(&self, inner: &mut Inner, data: &[u8]) -> Result<Option<usize>> {
        self.check_stdin(inner)?;
        let Some(fd) = inner.stdin.fd.as_ref().filter(|_| !inner.stdin.full) else { return Ok(None) };
        match pipe::write(fd, data) {
            Ok(count) => Ok(Some(count)),
            Err(libc::EAGAIN) => {
                inner.stdin.full = true;
                if !inner.stdin.watched {
                    self.supervisor
                        .reactor()
                        .poller
                        .watch(fd, Slot::Stdin.token(self.id), Interest::Writable)
                        .map_err(|errno| Error::system("write stdin", "epoll", errno))?;
                    inner.stdin.watched = true;
                }
                Ok(None)
            }
            Err(libc::EPIPE) => {
                inner.stdin.deserted = monotonic_ns();
                self.end_stdin(inner);
                self.check_stdin(inner).map(|()| None)
            }
            Err(errno) => Err(Error::system("write stdin", "", errno).on(format!("process {}", self.id))),
        }
    }

    pub(crate) fn close_stdin(&self) {
        let mut inner = lock(&self.inner);
        inner.stdin.closed = true;
        self.end_stdin(&mut inner);
    }

    pub(crate) fn close_output(self: &Arc<Self>, stream: Stream) {
        let mut inner = lock(&self.inner);
        self.end_output(&mut inner, if stream == Stream::Stdout { 0 } else { 1 });
        self.finish(inner);
    }
}
