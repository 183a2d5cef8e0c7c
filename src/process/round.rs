//! [`Round`]: one thread that waits for several processes. Each of them tells it, under its own lock, so nothing is polled
//! and no thread is needed for each.

use std::sync::{Arc, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{self, Deadline, Gate, Handler, lock};

/// A wait for several processes. Its lock is taken under that of a child, and under that of a cancellation.
pub(super) struct Round {
    state: Mutex<State>,
    gate: Gate,
    /// The service in whose seat the thread waits.
    home: Arc<dyn Handler>,
    /// How many processes it waits for.
    needed: usize,
}

#[derive(Default)]
struct State {
    /// The indices of the processes that have come so far as they are awaited, in that order.
    come: Vec<usize>,
    /// Whether a service of theirs is broken.
    is_broken: bool,
    is_cancelled: bool,
}

impl Round {
    pub(super) fn new(home: Arc<dyn Handler>, needed: usize) -> Arc<Round> {
        Arc::new(Round { state: Mutex::default(), gate: Gate::default(), home, needed })
    }

    /// Notes that the process at this index has come so far.
    pub(super) fn come(&self, index: usize) {
        let mut state = lock(&self.state);
        state.come.push(index);
        if state.come.len() == self.needed {
            self.gate.notify_all(self.home.reactor());
        }
    }

    /// Has the thread find out what broke a service.
    pub(super) fn broken(&self) {
        self.change(|state| state.is_broken = true);
    }

    pub(super) fn cancel(&self) {
        self.change(|state| state.is_cancelled = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        self.gate.notify_all(self.home.reactor());
    }

    /// Waits until as many have come as are needed, and returns the index of the first one; None if the deadline passes.
    /// `check` fails with what broke a service. It runs under the lock of the round, and must not look for what is lost.
    pub(super) fn wait(
        &self,
        operation: &'static str,
        deadline: Deadline,
        check: impl Fn() -> Result<()>,
    ) -> Result<Option<usize>> {
        runtime::wait(&*self.home, operation, (&self.state, &self.gate), deadline, |state| {
            if state.come.len() >= self.needed {
                return Some(Ok(state.come.first().copied().unwrap_or_default()));
            }
            if state.is_cancelled {
                return Some(Err(Error::new(ErrorKind::Closed, operation, "the wait was cancelled")));
            }
            if std::mem::take(&mut state.is_broken) { check().err().map(Err) } else { None }
        })?
        .transpose()
    }
}
