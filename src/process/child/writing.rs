//! Writing to a child's standard input, by the host's calls or of what the command gave, and closing it.

use std::time::Duration;

use super::life::Life;
use super::slot::Slot;
use super::{Child, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::process::input::{Fed, Input, Pipe};
use crate::runtime::{self, Deadline, lock};
use crate::sys::clock::monotonic_ns;
use crate::sys::pipe;
use crate::sys::poller::Interest;
use crate::sys::procfs;

const OPERATION: &str = "write stdin";

impl Inner {
    /// Returns the pipe, while the process runs and it is open.
    fn stdin_pipe(&mut self) -> Option<&mut Pipe> {
        match &mut self.life {
            Life::Running { stdin: Input::Open(pipe), .. } => Some(pipe),
            _ => None,
        }
    }

    /// Returns how many bytes of a given input wait to be written.
    pub(super) fn waiting_input(&self) -> u64 {
        match &self.life {
            Life::Running { stdin, .. } => stdin.unwritten(),
            _ => 0,
        }
    }
}

impl Child {
    /// Writes at least one byte, as many as fit until the deadline. Writers take turns.
    pub(crate) fn write_stdin(&self, data: &[u8], deadline: Deadline) -> Result<usize> {
        const AT_ONCE: usize = 64 * 1024;
        let gate = (&self.inner, &self.gate);
        let turn = runtime::wait(&*self.owner, OPERATION, gate, deadline, |inner| match inner.stdin_pipe() {
            Some(Pipe { busy: true, .. }) => None,
            Some(pipe) => {
                pipe.busy = true;
                Some(Ok(()))
            }
            None => Some(Err(self.why_no_stdin(inner))),
        })?;
        match turn {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(self.stdin_refused(error, deadline)),
            None => return Err(self.stdin_timed_out()),
        }
        let mut written = 0;
        let result = loop {
            if written == data.len() {
                break Ok(());
            }
            let step = runtime::wait(&*self.owner, OPERATION, gate, deadline, |inner| {
                let rest = &data[written..data.len().min(written + AT_ONCE)];
                self.write_some(inner, rest).transpose()
            });
            match step {
                Ok(Some(Ok(count))) => written += count,
                Ok(Some(Err(error))) | Err(error) => break Err(error),
                Ok(None) => break Err(self.stdin_timed_out()),
            }
        };
        {
            let mut inner = lock(&self.inner);
            if let Some(pipe) = inner.stdin_pipe() {
                pipe.busy = false;
            }
            self.wake_waiters();
        }
        match result {
            // The bytes that were written count: the next call finds the error, too.
            Err(_) if written > 0 => Ok(written),
            Err(error) => Err(self.stdin_refused(error, deadline)),
            Ok(()) => Ok(written),
        }
    }

    /// Writes once without waiting; None if the pipe is full.
    fn write_some(&self, inner: &mut Inner, data: &[u8]) -> Result<Option<usize>> {
        let Some(pipe) = inner.stdin_pipe() else { return Err(self.why_no_stdin(inner)) };
        if pipe.full {
            return Ok(None);
        }
        match pipe::write(&pipe.fd, data) {
            Ok(count) => Ok(Some(count)),
            Err(libc::EAGAIN) => {
                pipe.full = true;
                if !pipe.watched {
                    self.reactor()
                        .poller
                        .watch(&pipe.fd, Slot::Stdin.token(self.id), Interest::Writable)
                        .map_err(|errno| Error::system(OPERATION, "epoll", errno))?;
                    pipe.watched = true;
                }
                Ok(None)
            }
            Err(libc::EPIPE) => {
                self.end_input(inner, Input::Deserted(monotonic_ns()));
                Err(self.why_no_stdin(inner))
            }
            Err(errno) => Err(Error::system(OPERATION, "", errno).on(format!("process {}", self.id))),
        }
    }

    /// Has the loop report that the pipe of a given input has room.
    pub(super) fn watch_input(&self, inner: &mut Inner) -> std::result::Result<(), i32> {
        if let Life::Running { stdin: Input::Feeding(feed), .. } = &mut inner.life {
            self.reactor().poller.watch(&feed.fd, Slot::Stdin.token(self.id), Interest::Writable)?;
            feed.watched = true;
        }
        Ok(())
    }

    /// Handles a pipe that has room again, or has lost its reader.
    pub(super) fn input_has_room(&self, inner: &mut Inner) {
        match &mut inner.life {
            Life::Running { stdin: Input::Open(pipe), .. } => {
                pipe.full = false;
                self.wake_waiters();
            }
            Life::Running { stdin: Input::Feeding(feed), .. } => match feed.write() {
                Fed::Full => {}
                Fed::Paused => {
                    self.reactor().poller.rearm(&feed.fd, Slot::Stdin.token(self.id), Interest::Writable);
                }
                Fed::Done => self.end_input(inner, Input::Fed),
            },
            _ => {}
        }
    }

    pub(crate) fn close_stdin(&self) {
        let mut inner = lock(&self.inner);
        self.end_input(&mut inner, Input::Closed);
    }

    /// Closes the pipe if it is open; `end` says what its standard input is from now on.
    pub(super) fn end_input(&self, inner: &mut Inner, end: Input) {
        let Life::Running { stdin, .. } = &mut inner.life else { return };
        let left = stdin.unwritten();
        match std::mem::replace(stdin, end) {
            Input::Open(Pipe { fd, watched, .. }) => {
                if watched {
                    self.reactor().poller.forget(&fd);
                }
                self.wake_waiters();
            }
            Input::Feeding(feed) => {
                if feed.watched {
                    self.reactor().poller.forget(&feed.fd);
                }
                inner.outputs.leave_unwritten(left);
            }
            // Why nothing can be written does not change.
            fed @ Input::Fed => *stdin = fed,
            Input::Absent | Input::Closed | Input::Deserted(_) => {}
        }
    }

    /// Returns why nothing can be written, as an error. Once the process has ended it is `NotRunning`, whatever became
    /// of its standard input before. Until then `StdinClosed` says that a call has closed it, that it is no pipe, or
    /// that it has no reader.
    fn why_no_stdin(&self, inner: &Inner) -> Error {
        let Life::Running { stdin, .. } = &inner.life else { return self.not_running(OPERATION) };
        let (what, errno) = match stdin {
            Input::Closed => ("its standard input was closed", None),
            Input::Deserted(_) => ("nobody reads its standard input any more", Some(libc::EPIPE)),
            Input::Feeding(_) | Input::Fed => ("its standard input was given with its command", None),
            Input::Absent | Input::Open(_) => ("its standard input is not a pipe", None),
        };
        let error = Error::new(ErrorKind::StdinClosed, OPERATION, what).on(format!("process {}", self.id));
        match errno {
            Some(errno) => error.errno_is(errno),
            None => error,
        }
    }

    /// Makes the error of a write that found no pipe. A process that ends closes its files a moment before that can be
    /// seen, and many programs close their standard input right before they end. So that the error does not depend on
    /// luck, this waits a little for the end if the input has lost its reader.
    fn stdin_refused(&self, error: Error, deadline: Deadline) -> Error {
        const PATIENCE: u64 = 100_000_000;
        if error.kind() != ErrorKind::StdinClosed {
            return error;
        }
        let left = match &lock(&self.inner).life {
            Life::Running { stdin: Input::Closed, .. } => return error,
            Life::Running { stdin: Input::Deserted(since), .. } => {
                since.saturating_add(PATIENCE).saturating_sub(monotonic_ns())
            }
            _ => 0,
        };
        let patience = Duration::from_nanos(left);
        let until = Deadline::after(Some(deadline.left().map_or(patience, |left| left.min(patience))));
        let ended = runtime::wait(&*self.owner, OPERATION, (&self.inner, &self.gate), until, |inner| {
            let is_ending = |pidfd| procfs::is_ending(pidfd, self.pid);
            (inner.life.has_ended() || inner.life.pidfd().is_some_and(is_ending)).then_some(())
        });
        if matches!(ended, Ok(Some(()))) { self.not_running(OPERATION) } else { error }
    }

    fn stdin_timed_out(&self) -> Error {
        Error::new(ErrorKind::TimedOut, OPERATION, "it did not read in time").on(format!("process {}", self.id))
    }
}
