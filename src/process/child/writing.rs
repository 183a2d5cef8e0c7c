//! Writing to a child's inputs, by the host's calls or of what the command gave, and closing them.

use std::time::Duration;

use super::life::Life;
use super::slot::Slot;
use super::{Child, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::process::descriptor::STDIN;
use crate::process::input::{Fed, Input, Pipe};
use crate::runtime::{self, Deadline, lock};
use crate::sys::clock::monotonic_ns;
use crate::sys::poller::Interest;
use crate::sys::procfs;

const OPERATION: &str = "write stdin";

/// Returns the words for an input in errors.
fn name(number: u16) -> String {
    if number == STDIN { "its standard input".to_owned() } else { format!("its descriptor {number}") }
}

impl Inner {
    /// Returns an input, while the process runs.
    pub(super) fn input(&mut self, number: u16) -> Option<&mut Input> {
        match &mut self.life {
            Life::Running { stdin, .. } if number == STDIN => Some(stdin),
            Life::Running { .. } => self.outputs.extra()?.input(number),
            _ => None,
        }
    }

    /// Returns the pipe of an input, while the process runs and it is open.
    fn input_pipe(&mut self, number: u16) -> Option<&mut Pipe> {
        match self.input(number) {
            Some(Input::Open(pipe)) => Some(pipe),
            _ => None,
        }
    }

    /// Returns the number of the input at this place: standard input comes first.
    fn input_number(&self, at: usize) -> Option<u16> {
        let Some(at) = at.checked_sub(1) else { return Some(STDIN) };
        self.outputs.other_inputs().get(at).map(|(number, _)| *number)
    }

    pub(super) fn slot_of_input(&self, number: u16) -> Slot {
        let at = self.outputs.other_inputs().iter().position(|(known, _)| *known == number);
        at.map_or(Slot::Stdin, |at| Slot::Input(at as u8))
    }

    /// Returns how many bytes of a given input wait to be written.
    pub(super) fn waiting_input(&self) -> u64 {
        let others = self.outputs.other_inputs().iter().map(|(_, input)| input.unwritten()).sum::<u64>();
        match &self.life {
            Life::Running { stdin, .. } => stdin.unwritten() + others,
            _ => 0,
        }
    }
}

impl Child {
    /// Writes at least one byte, as many as fit until the deadline. Writers take turns.
    pub(crate) fn write(&self, number: u16, data: &[u8], deadline: Deadline) -> Result<usize> {
        const AT_ONCE: usize = 64 * 1024;
        let gate = (&self.inner, &self.gate);
        let turn = runtime::wait(&*self.owner, OPERATION, gate, deadline, |inner| match inner.input_pipe(number) {
            Some(Pipe { busy: true, .. }) => None,
            Some(pipe) => {
                pipe.busy = true;
                Some(Ok(()))
            }
            None => Some(Err(self.why_no_input(inner, number))),
        })?;
        match turn {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(self.write_refused(number, error, deadline)),
            None => return Err(self.stdin_timed_out()),
        }
        let mut written = 0;
        let result = loop {
            if written == data.len() {
                break Ok(());
            }
            let step = runtime::wait(&*self.owner, OPERATION, gate, deadline, |inner| {
                let rest = &data[written..data.len().min(written + AT_ONCE)];
                self.write_some(inner, number, rest).transpose()
            });
            match step {
                Ok(Some(Ok(count))) => written += count,
                Ok(Some(Err(error))) | Err(error) => break Err(error),
                Ok(None) => break Err(self.stdin_timed_out()),
            }
        };
        {
            let mut inner = lock(&self.inner);
            if let Some(pipe) = inner.input_pipe(number) {
                pipe.busy = false;
            }
            self.wake_waiters();
        }
        match result {
            // The bytes that were written count: the next call finds the error, too.
            Err(_) if written > 0 => Ok(written),
            Err(error) => Err(self.write_refused(number, error, deadline)),
            Ok(()) => Ok(written),
        }
    }

    /// Writes once without waiting; None if the pipe is full.
    fn write_some(&self, inner: &mut Inner, number: u16, data: &[u8]) -> Result<Option<usize>> {
        let Some(pipe) = inner.input_pipe(number) else { return Err(self.why_no_input(inner, number)) };
        if pipe.full {
            return Ok(None);
        }
        match pipe.write(data) {
            Ok(count) => Ok(Some(count)),
            Err(libc::EAGAIN) => {
                pipe.full = true;
                if !pipe.watched {
                    pipe.watched = true;
                    let token = inner.slot_of_input(number).token(self.id);
                    let poller = &self.reactor().poller;
                    let watched =
                        inner.input_pipe(number).map(|pipe| poller.watch(&pipe.fd, token, Interest::Writable));
                    if let Some(Err(errno)) = watched {
                        inner.input_pipe(number).into_iter().for_each(|pipe| pipe.watched = false);
                        return Err(Error::system(OPERATION, "epoll", errno));
                    }
                }
                Ok(None)
            }
            Err(libc::EPIPE) => {
                self.end_input(inner, number, Input::Deserted(monotonic_ns()));
                Err(self.why_no_input(inner, number))
            }
            Err(errno) => Err(Error::system(OPERATION, "", errno).on(format!("process {}", self.id))),
        }
    }

    /// Has the loop report that the pipes of given inputs have room.
    pub(super) fn watch_inputs(&self, inner: &mut Inner) -> std::result::Result<(), i32> {
        if !matches!(inner.life, Life::Running { .. }) {
            return Ok(());
        }
        let mut at = 0;
        while let Some(number) = inner.input_number(at) {
            at += 1;
            let token = inner.slot_of_input(number).token(self.id);
            if let Some(Input::Feeding(feed)) = inner.input(number) {
                self.reactor().poller.watch(&feed.fd, token, Interest::Writable)?;
                feed.watched = true;
            }
        }
        Ok(())
    }

    /// Handles a pipe that has room again, or has lost its reader.
    pub(super) fn input_has_room(&self, inner: &mut Inner, number: u16) {
        let token = inner.slot_of_input(number).token(self.id);
        match inner.input(number) {
            Some(Input::Open(pipe)) => {
                pipe.full = false;
                self.wake_waiters();
            }
            Some(Input::Feeding(feed)) => match feed.write() {
                Fed::Full => {}
                Fed::Paused => self.reactor().poller.rearm(&feed.fd, token, Interest::Writable),
                Fed::Done => self.end_input(inner, number, Input::Fed),
            },
            _ => {}
        }
    }

    pub(crate) fn close_input(&self, number: u16) {
        let mut inner = lock(&self.inner);
        if !self.close_by_typing(&mut inner, number) {
            self.end_input(&mut inner, number, Input::Closed);
        }
    }

    /// Closes all inputs, because the process has ended.
    pub(super) fn end_inputs(&self, inner: &mut Inner) {
        let mut at = 0;
        while let Some(number) = inner.input_number(at) {
            at += 1;
            self.end_input(inner, number, Input::Absent);
        }
    }

    /// Closes the pipe if it is open; `end` says what the input is from now on.
    pub(super) fn end_input(&self, inner: &mut Inner, number: u16, end: Input) {
        let Some(input) = inner.input(number) else { return };
        let left = input.unwritten();
        match std::mem::replace(input, end) {
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
                if feed.closes
                    && let Some(input) = inner.input(number)
                {
                    *input = Input::Closed;
                }
                inner.outputs.leave_unwritten(left);
            }
            // Why nothing can be written does not change.
            fed @ Input::Fed => *input = fed,
            Input::Absent | Input::Closed | Input::Deserted(_) => {}
        }
    }

    /// Returns why nothing can be written, as an error. Once the process has ended it is `NotRunning`, whatever became
    /// of its standard input before. Until then `StdinClosed` says that a call has closed it, that it is no pipe, or
    /// that it has no reader.
    fn why_no_input(&self, inner: &mut Inner, number: u16) -> Error {
        if inner.life.has_ended() {
            return self.not_running(OPERATION);
        }
        let name = name(number);
        let (what, errno) = match inner.input(number) {
            Some(Input::Closed) => (format!("{name} was closed"), None),
            Some(Input::Feeding(feed)) if feed.closes => (format!("{name} was closed"), None),
            Some(Input::Deserted(_)) => (format!("nobody reads {name} any more"), Some(libc::EPIPE)),
            Some(Input::Feeding(_) | Input::Fed) => (format!("{name} was given with its command"), None),
            Some(Input::Absent | Input::Open(_)) => (format!("{name} is not a pipe"), None),
            None => (format!("{name} is no input pipe"), None),
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
    fn write_refused(&self, number: u16, error: Error, deadline: Deadline) -> Error {
        const PATIENCE: u64 = 100_000_000;
        if error.kind() != ErrorKind::StdinClosed {
            return error;
        }
        let left = match lock(&self.inner).input(number) {
            Some(Input::Closed) => return error,
            Some(Input::Deserted(since)) => since.saturating_add(PATIENCE).saturating_sub(monotonic_ns()),
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
