//! [`Watcher`]: what is told once that a child has come so far, besides the threads that wait for it alone.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::info::State;
use crate::process::round::Round;
use crate::sys::pipe;

pub(super) struct Watcher {
    until: State,
    call: Call,
}

/// How it is told.
pub(in crate::process) enum Call {
    /// A thread that waits for several processes, of which this is the one at the index.
    Round(Arc<Round>, usize),
    /// An event loop that watches the other end of this pipe, which is written to and closed.
    Pipe(OwnedFd),
}

impl Call {
    /// Tells that the child has come so far.
    pub(super) fn come(self) {
        match self {
            Call::Round(round, index) => round.come(index),
            // Without a byte, a copy of the end in a child that the host forks would keep the pipe from being readable.
            Call::Pipe(end) => _ = pipe::write(&end, b"!"),
        }
    }

    /// Tells that the service is broken.
    fn broken(&self) {
        match self {
            Call::Round(round, _) => round.broken(),
            Call::Pipe(end) => _ = pipe::write(end, b"!"),
        }
    }
}

#[derive(Default)]
pub(super) struct Watchers(Vec<Watcher>);

impl Watchers {
    pub(super) fn add(&mut self, until: State, call: Call) {
        self.0.push(Watcher { until, call });
    }

    /// Tells those that wait for no more than this.
    pub(super) fn come(&mut self, state: State) {
        for watcher in self.0.extract_if(.., |watcher| watcher.until <= state) {
            watcher.call.come();
        }
    }

    pub(super) fn broken(&self) {
        self.0.iter().for_each(|watcher| watcher.call.broken());
    }

    /// Forgets a wait that has ended.
    pub(super) fn forget(&mut self, ended: &Arc<Round>) {
        self.0.retain(|watcher| !matches!(&watcher.call, Call::Round(round, _) if Arc::ptr_eq(round, ended)));
    }

    /// Forgets the descriptors without closing them: their numbers may be the host's.
    pub(super) fn lose(&mut self) {
        for watcher in self.0.extract_if(.., |watcher| matches!(watcher.call, Call::Pipe(_))) {
            std::mem::forget(watcher);
        }
    }
}
