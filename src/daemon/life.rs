//! [`Life`]: the states of a daemon, and the waits for them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::holdings::Holdings;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, lock};
use crate::util::condition::wait_up_to;

/// The state of a daemon: idle → starting → running → stopping → idle, or from starting back to idle.
pub(super) enum Phase {
    Idle,
    Starting,
    Running(Box<Holdings>),
    Stopping,
}

pub(super) struct State {
    pub(super) phase: Phase,
    stop_requested: bool,
    /// How often the daemon was stopped.
    stops: u64,
    /// The result of the last stop.
    last_stop: Result<()>,
}

#[derive(Clone)]
pub(super) struct Life(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

impl Life {
    pub(super) fn new() -> Life {
        let state = State { phase: Phase::Idle, stop_requested: false, stops: 0, last_stop: Ok(()) };
        Life(Arc::new(Inner { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Makes the thread that runs the daemon stop it. A request before the start is kept.
    pub(super) fn request_stop(&self) {
        self.change(|state| state.stop_requested = true);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, left: Option<Duration>) -> MutexGuard<'a, State> {
        wait_up_to(&self.0.changed, state, left)
    }

    /// Goes from idle to starting. If the step that this returns is dropped without an outcome, the daemon is idle
    /// again.
    pub(super) fn begin_start(&self, operation: &'static str) -> Result<Step<'_>> {
        let mut state = self.state();
        let why = match state.phase {
            Phase::Idle => {
                state.phase = Phase::Starting;
                return Ok(Step { life: self, is_over: false });
            }
            Phase::Starting => "is being started already",
            Phase::Running(_) => "is started already",
            Phase::Stopping => "is being stopped",
        };
        Err(Error::new(ErrorKind::InvalidState, operation, why))
    }

    /// Goes from running to stopping. Returns what is to be given back. Fails with the result of the stop if another
    /// thread has stopped the daemon meanwhile, or does so now, and with Ok if the daemon does not run. A start that is
    /// under way is waited for; past the deadline, a stop is requested.
    pub(super) fn begin_stop(
        &self,
        operation: &'static str,
        which: StopOf,
        deadline: Deadline,
    ) -> std::result::Result<(Step<'_>, Holdings), Result<()>> {
        let mut state = self.state();
        loop {
            if let StopOf::Run(run) = which
                && run != state.stops
            {
                return Err(state.last_stop.clone());
            }
            match &mut state.phase {
                Phase::Idle => return Err(Ok(())),
                Phase::Running(holdings) => {
                    let holdings = std::mem::take(&mut **holdings);
                    state.phase = Phase::Stopping;
                    return Ok((Step { life: self, is_over: false }, holdings));
                }
                Phase::Stopping => {
                    let stops = state.stops;
                    while state.stops == stops {
                        state = self.wait(state, None);
                    }
                    return Err(state.last_stop.clone());
                }
                Phase::Starting => match deadline.left() {
                    Some(Duration::ZERO) => {
                        state.stop_requested = true;
                        self.0.changed.notify_all();
                        let why = "is still being started; a stop is requested";
                        return Err(Err(Error::new(ErrorKind::TimedOut, operation, why)));
                    }
                    left => state = self.wait(state, left),
                },
            }
        }
    }

    /// Waits until a stop is requested or another thread has begun one; if that stop has ended, returns its result.
    pub(super) fn wait_for_request(&self, operation: &'static str, deadline: Deadline) -> Result<Requested> {
        let mut state = self.state();
        let stops = state.stops;
        loop {
            if state.stops != stops {
                return Ok(Requested::Stopped(state.last_stop.clone()));
            }
            match state.phase {
                Phase::Idle => return Err(Error::new(ErrorKind::InvalidState, operation, "is not started")),
                Phase::Running(_) if state.stop_requested => return Ok(Requested::Now(StopOf::Run(stops))),
                Phase::Stopping => return Ok(Requested::Now(StopOf::Run(stops))),
                Phase::Starting | Phase::Running(_) => {}
            }
            state = match deadline.left() {
                Some(Duration::ZERO) => return Ok(Requested::NotYet),
                left => self.wait(state, left),
            };
        }
    }
}

/// Which run of the daemon is to be stopped.
#[derive(Clone, Copy)]
pub(super) enum StopOf {
    AnyRun,
    /// The run before which the daemon was stopped this often. A later run, which another thread may have started
    /// meanwhile, goes on.
    Run(u64),
}

/// How a wait for a request to stop ended.
pub(super) enum Requested {
    /// A stop of this run was requested or has begun.
    Now(StopOf),
    /// No stop was requested in time.
    NotYet,
    /// The daemon was stopped, with this result.
    Stopped(Result<()>),
}

/// A start or a stop that is under way.
pub(super) struct Step<'a> {
    life: &'a Life,
    is_over: bool,
}

impl Step<'_> {
    pub(super) fn started(mut self, holdings: Holdings) {
        self.is_over = true;
        self.life.change(|state| state.phase = Phase::Running(Box::new(holdings)));
    }

    pub(super) fn stopped(mut self, outcome: Result<()>) {
        self.is_over = true;
        self.life.change(|state| {
            state.phase = Phase::Idle;
            state.stop_requested = false;
            state.stops += 1;
            state.last_stop = outcome;
        });
    }
}

impl Drop for Step<'_> {
    /// Goes back to idle: without an outcome, a start has failed, or a panic came between.
    fn drop(&mut self) {
        if !self.is_over {
            self.life.change(|state| {
                state.stops += u64::from(matches!(state.phase, Phase::Stopping));
                state.phase = Phase::Idle;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Deadline = Deadline::LOOK;

    fn start(life: &Life) {
        life.begin_start("start").expect("idle").started(Holdings::default());
    }

    #[test]
    fn a_run_that_was_asked_to_stop_does_not_stop_its_successor() {
        let life = Life::new();
        start(&life);
        life.request_stop();
        let Ok(Requested::Now(which)) = life.wait_for_request("run", LOOK) else { panic!("not requested") };
        // Another thread is faster, and starts it again.
        let Ok((step, _)) = life.begin_stop("stop", StopOf::AnyRun, LOOK) else { panic!("not running") };
        step.stopped(Err(Error::new(ErrorKind::System, "stop", "of the first run")));
        start(&life);
        let Err(Err(outcome)) = life.begin_stop("run", which, LOOK) else { panic!("stopped the second") };
        assert!(outcome.to_string().contains("of the first run"));
        assert!(matches!(life.state().phase, Phase::Running(_)));
    }
}
