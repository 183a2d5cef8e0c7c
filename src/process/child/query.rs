//! What callers ask of a child: how it is, its end, and what it has written.

use std::sync::Arc;

use super::life::Life;
use super::watchers::Call;
use super::{Child, Info, Inner, State};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Stream;
use crate::process::capture::Captured;
use crate::process::round::Round;
use crate::runtime::{self, Deadline, Handler, lock};
use crate::sys::procfs::Holder;

impl Child {
    pub(crate) fn info(&self) -> Info {
        self.info_of(&lock(&self.inner))
    }

    fn info_of(&self, inner: &Inner) -> Info {
        let (state, exited, closed, drain_bound) = match &inner.life {
            Life::Running { .. } => (State::Running, None, None, false),
            Life::Exited { at, .. } => (State::Exited, Some(*at), None, false),
            Life::Closed { exited, at, holders, .. } => (State::Closed, Some(*exited), Some(*at), !holders.is_empty()),
        };
        Info {
            id: self.id,
            pid: self.pid,
            state,
            rung: self.rung,
            usage: inner.outputs.usage(),
            ending: inner.life.ending(),
            started: self.started,
            exited,
            closed,
            rusage: inner.life.rusage(),
            stdout_bytes: inner.outputs.counts[0],
            stderr_bytes: inner.outputs.counts[1],
            dropped_bytes: inner.outputs.dropped(),
            discarded_bytes: inner.outputs.discarded(),
            unwritten_bytes: inner.outputs.unwritten() + inner.waiting_input(),
            drain_bound,
            stopped: inner.outputs.stopped_by().filter(|_| !inner.life.has_ended()),
            stop_refused: inner.stopping.as_ref().and_then(|stopping| stopping.refused()),
        }
    }

    /// Waits until it has come so far.
    pub(crate) fn wait(&self, until: State, deadline: Deadline) -> Result<Info> {
        const OPERATION: &str = "wait";
        runtime::wait(&*self.owner, OPERATION, (&self.inner, &self.gate), deadline, |inner| {
            let reached = match until {
                State::Running => true,
                State::Exited => inner.life.has_ended(),
                State::Closed => inner.life.is_closed(),
            };
            reached.then(|| self.info_of(inner))
        })?
        .ok_or_else(|| {
            Error::new(ErrorKind::TimedOut, OPERATION, "it has not ended in time").on(format!("process {}", self.id))
        })
    }

    /// Returns its command line, as one line of text.
    pub(crate) fn command_line(&self) -> String {
        self.terms.command_line()
    }

    /// Tells once that it has come so far, at once if it has.
    pub(in crate::process) fn tell_at(&self, until: State, call: Call) {
        let mut inner = lock(&self.inner);
        if inner.life.state() >= until {
            return call.come();
        }
        inner.outputs.tell_at(until, call);
    }

    /// Tells those that wait for no more than what it has come to.
    pub(super) fn tell_watchers(&self, inner: &mut Inner) {
        let state = inner.life.state();
        inner.outputs.watchers().into_iter().for_each(|watchers| watchers.come(state));
    }

    /// Forgets a wait for several processes that has ended.
    pub(in crate::process) fn forget_round(&self, round: &Arc<Round>) {
        let mut inner = lock(&self.inner);
        inner.outputs.watchers().into_iter().for_each(|watchers| watchers.forget(round));
    }

    /// Fails with what broke its service.
    pub(in crate::process) fn check_service(&self, operation: &'static str) -> Result<()> {
        self.reactor().check(operation)?;
        self.check_descriptors(operation)
    }

    /// Like [`Child::check_service`], but does not look at the descriptors: for callers that hold a lock which is taken
    /// when the service is found to be lost.
    pub(in crate::process) fn check_broken(&self, operation: &'static str) -> Result<()> {
        self.reactor().check(operation)
    }

    /// Returns its service, as a loop.
    pub(in crate::process) fn handler(&self) -> Arc<dyn Handler> {
        Arc::clone(&self.owner) as Arc<dyn Handler>
    }

    pub(crate) fn is_open(&self) -> bool {
        !lock(&self.inner).life.is_closed()
    }

    /// Returns a copy of what the captures of its standard outputs hold: those of standard error last if it has one of
    /// its own.
    pub(crate) fn output(&self) -> Result<Vec<u8>> {
        let inner = lock(&self.inner);
        let mut copy = inner.outputs.capture.to_vec().ok_or_else(no_memory)?;
        if let Some(stderr) = inner.outputs.stderr_capture() {
            let stderr = stderr.to_vec().ok_or_else(no_memory)?;
            copy.try_reserve_exact(stderr.len() + 1).map_err(|_| no_memory())?;
            copy.extend(stderr);
        }
        Ok(copy)
    }

    /// Returns whether it has a pipe of its own, or its terminal, at this descriptor, besides its standard streams.
    pub(crate) fn has_descriptor(&self, number: u16) -> bool {
        let inner = lock(&self.inner);
        let is_input = inner.outputs.other_inputs().iter().any(|(known, _)| *known == number);
        is_input || inner.outputs.index_of(Stream::Descriptor(number)).is_some()
    }

    /// Returns a copy of what a capture holds: of both standard outputs together, or of one stream that has a capture of
    /// its own.
    pub(crate) fn captured(&self, stream: Option<Stream>) -> Result<Captured> {
        let mut inner = lock(&self.inner);
        let refuse = |what: String| Err(Error::invalid(OUTPUT, what).on(format!("process {}", self.id)));
        let are_apart = inner.outputs.stderr_capture().is_some();
        let index = match stream {
            None if are_apart => return refuse("stream: each of its outputs has a capture of its own".to_owned()),
            None => 0,
            Some(stream @ (Stream::Stdout | Stream::Stderr)) if !are_apart => {
                return refuse(format!("stream: {} has no capture of its own", stream_name(stream)));
            }
            Some(stream) => match inner.outputs.index_of(stream) {
                Some(index) => index,
                None => return refuse(format!("{}: is no output pipe of the process", stream_name(stream))),
            },
        };
        inner.outputs.capture_of(index).captured().ok_or_else(no_memory)
    }

    /// Returns the processes that held its pipes at the drain bound.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        match &lock(&self.inner).life {
            Life::Closed { holders, .. } => holders.to_vec(),
            _ => Vec::new(),
        }
    }
}

/// The operation that errors about captures name.
const OUTPUT: &str = "output";

fn no_memory() -> Error {
    Error::new(ErrorKind::OutOfMemory, OUTPUT, "no memory for a copy of the capture")
}

fn stream_name(stream: Stream) -> String {
    match stream {
        Stream::Stdout => "stdout".to_owned(),
        Stream::Stderr => "stderr".to_owned(),
        Stream::Descriptor(number) => format!("descriptor {number}"),
    }
}
