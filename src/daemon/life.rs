//! The states of a daemon, and those who wait for them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::entry::DaemonEntry;
use super::pid_file::PidFile;
use super::registry::Registry;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, lock};
use crate::sys::fork;

/// What a daemon that runs holds.
#[derive(Default)]
pub(super) struct Holdings {
    pub(super) pid_file: Option<PidFile>,
    pub(super) health: bool,
    pub(super) registered: Option<(Registry, DaemonEntry)>,
}

pub(super) enum Phase {
    Idle,
    Starting,
    Running(Box<Holdings>),
    Stopping,
}

pub(super) struct State {
    pub(super) phase: Phase,
    stop_requested: bool,
    /// How often it was stopped, and how that went the last time.
    stops: u64,
    last_stop: Result<()>,
}

#[derive(Clone)]
pub(super) struct Life(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

/// Asks a daemon to stop, and does not keep it alive: for checks, other threads, and whatever else should outlive
/// nothing. Cheap to clone; thread-safe.
#[derive(Clone)]
pub struct StopHandle(Life);

impl StopHandle {
    /// Has [`Daemon::run`](super::Daemon::run) stop its daemon and return. Never waits, and may be called anywhere but
    /// in a signal handler. Before a start it is kept for the run that follows.
    pub fn request_stop(&self) {
        if !fork::happened() {
            self.0.change(|state| state.stop_requested = true);
        }
    }
}

impl Life {
    pub(super) fn new() -> Life {
        let state = State { phase: Phase::Idle, stop_requested: false, stops: 0, last_stop: Ok(()) };
        Life(Arc::new(Inner { state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(super) fn stop_handle(&self) -> StopHandle {
        StopHandle(self.clone())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, left: Option<Duration>) -> MutexGuard<'a, State> {
        let changed = &self.0.changed;
        match left {
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(left) => changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// From idle to starting; back to idle if the step that this gives is dropped without an outcome.
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

    /// From running to stopping, with what there is to be given back; or the outcome of the stop that somebody else
    /// was at; or Ok for a daemon that does not run. One that is being started is waited for; past the deadline, a stop
    /// is requested of it.
    pub(super) fn begin_stop(
        &self,
        operation: &'static str,
        meant: Meant,
        deadline: Deadline,
    ) -> std::result::Result<(Step<'_>, Holdings), Result<()>> {
        let mut state = self.state();
        loop {
            if let Meant::Run(run) = meant
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

    /// Waits until a stop is requested or somebody has begun one; the outcome, if that one is over.
    pub(super) fn wait_for_request(&self, operation: &'static str, deadline: Deadline) -> Result<Requested> {
        let mut state = self.state();
        let stops = state.stops;
        loop {
            if state.stops != stops {
                return Ok(Requested::Stopped(state.last_stop.clone()));
            }
            match state.phase {
                Phase::Idle => return Err(Error::new(ErrorKind::InvalidState, operation, "is not started")),
                Phase::Running(_) if state.stop_requested => return Ok(Requested::Now(Meant::Run(stops))),
                Phase::Stopping => return Ok(Requested::Now(Meant::Run(stops))),
                Phase::Starting | Phase::Running(_) => {}
            }
            state = match deadline.left() {
                Some(Duration::ZERO) => return Ok(Requested::NotYet),
                left => self.wait(state, left),
            };
        }
    }
}

/// Which run of the daemon a stop is for.
#[derive(Clone, Copy)]
pub(super) enum Meant {
    /// Whichever it is in.
    Now,
    /// The one before which it was stopped so often: a later one, which somebody may have started meanwhile, goes on.
    Run(u64),
}

/// What became of a wait for a request to stop.
pub(super) enum Requested {
    Now(Meant),
    NotYet,
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
    /// Without an outcome: a start that failed, or a panic on the way.
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
        life.stop_handle().request_stop();
        let Ok(Requested::Now(meant)) = life.wait_for_request("run", LOOK) else { panic!("not requested") };
        // Somebody else is faster, and starts it again.
        let Ok((step, _)) = life.begin_stop("stop", Meant::Now, LOOK) else { panic!("not running") };
        step.stopped(Err(Error::new(ErrorKind::System, "stop", "of the first run")));
        start(&life);
        let Err(Err(outcome)) = life.begin_stop("run", meant, LOOK) else { panic!("stopped the second") };
        assert!(outcome.to_string().contains("of the first run"));
        assert!(matches!(life.state().phase, Phase::Running(_)));
    }
}
