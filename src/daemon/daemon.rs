//! [`Daemon`]: the handle, which callers hold.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::health::HealthServer;
use super::holdings::Holdings;
use super::life::{Life, Phase, Requested, StopOf};
use super::options::DaemonOptions;
use super::registry::Registry;
use super::signals;
use super::stop_handle::StopHandle;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, is_in_callback, lock};
use crate::sys::fork;

const START: &str = "start daemon";
const RUN: &str = "run daemon";
const STOP: &str = "stop daemon";

/// The life of this program as a daemon. Cheap to clone; thread-safe.
///
/// It starts in this order: PID file, health server, registry. It stops in this order: not ready, health server down,
/// PID file released, unregistered. So a program that finds the daemon in the registry gets answers from it, and a
/// program that has seen its PID file released can use its address.
///
/// If the last clone is dropped while the daemon runs, it gives everything back without waiting for requests. A check
/// that has a clone keeps the daemon alive: give the check a [`StopHandle`] instead.
///
/// ```
/// use coreproc::{Daemon, DaemonEntry, DaemonOptions, Registry};
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let scratch = scratch.path();
/// let daemon = Daemon::new(DaemonOptions {
///     pid_file: Some(scratch.join("mailer.pid")),
///     health_address: Some("127.0.0.1:0".to_owned()),
///     registry: Some(Registry::new(scratch.join("daemons"))),
///     entry: DaemonEntry { code: "shop".to_owned(), daemon: "mailer".to_owned(), ..DaemonEntry::default() },
///     ..DaemonOptions::default()
/// });
/// daemon.start()?;
/// // A program would go on with `daemon.stop_on_signals()?` and `daemon.run()?`.
/// assert!(daemon.is_ready());
/// daemon.stop()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Daemon(Arc<Inner>);

struct Inner {
    options: DaemonOptions,
    health: Option<HealthServer>,
    /// What `/ready` answers while the daemon runs.
    ready: AtomicBool,
    life: Life,
    listening: Mutex<Option<signals::Listening>>,
}

impl Daemon {
    /// Makes a daemon that has not started. Nothing is opened or looked at.
    pub fn new(options: DaemonOptions) -> Daemon {
        let health = options.health_address.as_ref().map(|address| HealthServer::new(address, options.health));
        Daemon(Arc::new(Inner {
            options,
            health,
            ready: AtomicBool::new(true),
            life: Life::new(),
            listening: Mutex::new(None),
        }))
    }

    /// Adds a check to its health server: see [`HealthServer::add_check`].
    ///
    /// # Errors
    ///
    /// Those of [`HealthServer::add_check`]. `InvalidState` if the daemon has no health address.
    pub fn add_check(
        &self,
        name: impl Into<String>,
        check: impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<()> {
        const OPERATION: &str = "add check";
        fork::check_original(OPERATION)?;
        let none = || Error::new(ErrorKind::InvalidState, OPERATION, "the daemon has no health address");
        self.0.health.as_ref().ok_or_else(none)?.add_check(name, check)
    }

    /// Takes the PID file, starts the health server, and registers. If a step fails, the steps before it are undone. A
    /// daemon that was stopped can be started again.
    ///
    /// # Errors
    ///
    /// `InvalidState` if it is started already. `InvalidArgument` if the entry has no code or no daemon. As
    /// [`PidFile::acquire`](super::PidFile::acquire), [`HealthServer::start`] and [`Registry::register`].
    pub fn start(&self) -> Result<()> {
        fork::check_original(START)?;
        let options = &self.0.options;
        let step = self.0.life.begin_start(START)?;
        if options.registry.is_some() {
            Registry::check_entry(&options.entry)
                .map_err(|reason| Error::invalid(START, format!("registry entry: {reason}")))?;
        }
        let mut holdings = Holdings::default();
        if let Err(error) = holdings.take(options, self.0.health.as_ref()) {
            let mut errors = vec![error];
            errors.extend(holdings.give_back(Deadline::within(options.shutdown_timeout)));
            return collected(START, errors);
        }
        step.started(holdings);
        self.show_ready();
        Ok(())
    }

    /// Stops the daemon within the shutdown timeout: requests under way are waited for, and cut when the time is over.
    /// A step that fails does not keep the steps after it from being taken. If another thread stops the daemon already,
    /// this waits for that and returns the same result; if the daemon does not run, there is nothing to do. Afterwards
    /// signals do what they did before [`stop_on_signals`](Daemon::stop_on_signals).
    ///
    /// # Errors
    ///
    /// The errors of all steps that failed, in one text, with the kind of the first. `TimedOut` also if the daemon is
    /// still being started when the time is over; a stop is then requested. `Deadlock` inside one of its checks or any
    /// callback; use [`request_stop`](Daemon::request_stop) there.
    pub fn stop(&self) -> Result<()> {
        self.stop_run(StopOf::AnyRun)
    }

    fn stop_run(&self, which: StopOf) -> Result<()> {
        fork::check_original(STOP)?;
        self.refuse_in_callback(STOP)?;
        let deadline = Deadline::within(self.0.options.shutdown_timeout);
        let (step, holdings) = match self.0.life.begin_stop(STOP, which, deadline) {
            Ok(begun) => begun,
            Err(outcome) => return outcome,
        };
        let errors = holdings.give_back(deadline);
        self.restore_signals();
        let outcome = collected(STOP, errors);
        step.stopped(outcome.clone());
        outcome
    }

    /// Waits until a stop is requested, and stops the daemon; or until another thread has stopped it, and returns the
    /// result of that stop.
    ///
    /// # Errors
    ///
    /// `InvalidState` if the daemon is not started. Those of [`stop`](Daemon::stop).
    pub fn run(&self) -> Result<()> {
        match self.wait(RUN, Deadline::after(None))? {
            Requested::Stopped(outcome) => outcome,
            Requested::Now(which) => self.stop_run(which),
            Requested::NotYet => self.stop(),
        }
    }

    /// Waits until a stop is requested or another thread has begun one, and does not stop the daemon: for loops that
    /// look at other things in between. None waits without limit, zero only looks.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no stop was requested in time. `InvalidState` if the daemon is not started. `Deadlock` inside one
    /// of its checks or any callback, unless it only looks.
    pub fn wait_for_stop_request(&self, timeout: Option<Duration>) -> Result<()> {
        const OPERATION: &str = "wait for stop request";
        match self.wait(OPERATION, Deadline::after(timeout))? {
            Requested::NotYet => Err(Error::new(ErrorKind::TimedOut, OPERATION, "none came in time")),
            Requested::Now(_) | Requested::Stopped(_) => Ok(()),
        }
    }

    fn wait(&self, operation: &'static str, deadline: Deadline) -> Result<Requested> {
        fork::check_original(operation)?;
        if !deadline.only_looks() {
            self.refuse_in_callback(operation)?;
        }
        self.0.life.wait_for_request(operation, deadline)
    }

    fn refuse_in_callback(&self, operation: &'static str) -> Result<()> {
        if is_in_callback() || self.0.health.as_ref().is_some_and(HealthServer::is_in_check) {
            return Err(Error::new(ErrorKind::Deadlock, operation, "would wait inside a callback"));
        }
        Ok(())
    }

    /// Makes [`run`](Daemon::run) stop the daemon and return: see [`StopHandle::request_stop`].
    pub fn request_stop(&self) {
        self.stop_handle().request_stop();
    }

    /// Returns a handle that requests a stop without keeping the daemon alive.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle::new(self.0.life.clone())
    }

    /// Sets what `/ready` answers while the daemon runs: true at first.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::SeqCst);
        if !fork::is_child() {
            self.show_ready();
        }
    }

    /// Passes the flag on to the health server of a daemon that runs.
    fn show_ready(&self) {
        let state = self.0.life.state();
        if let (Phase::Running(_), Some(health)) = (&state.phase, &self.0.health) {
            health.set_ready(self.0.ready.load(Ordering::SeqCst));
        }
    }

    /// Returns whether the daemon runs and is ready.
    pub fn is_ready(&self) -> bool {
        !fork::is_child()
            && self.0.ready.load(Ordering::SeqCst)
            && matches!(self.0.life.state().phase, Phase::Running(_))
    }

    /// Returns the address of its health server: the bound address while it listens, else the given one; empty if it
    /// has none.
    pub fn health_address(&self) -> String {
        self.0.health.as_ref().map_or(String::new(), HealthServer::address)
    }

    /// Makes SIGTERM and SIGINT request a stop of this daemon from now on, until
    /// [`restore_signals`](Daemon::restore_signals), the end of a stop, or the drop of the daemon. Nothing else in this
    /// library changes the disposition of a signal. Called before the start, it misses no signal. A second call does
    /// nothing; several daemons may listen.
    ///
    /// Handlers that the program has installed for the two signals do not run meanwhile. The signals are taken by any
    /// thread that does not block them, or by a thread of this library, `coreproc-sig`; no mask is changed. A child of
    /// fork has the dispositions that it would have without this.
    ///
    /// # Errors
    ///
    /// `System` if the kernel refuses the thread or the handlers.
    pub fn stop_on_signals(&self) -> Result<()> {
        fork::check_original("stop on signals")?;
        let mut listening = lock(&self.0.listening);
        if listening.is_none() {
            *listening = Some(signals::listen(self.stop_handle())?);
        }
        Ok(())
    }

    /// Undoes [`stop_on_signals`](Daemon::stop_on_signals). If no other daemon listens, both signals do again what they
    /// did before, unless the program has installed another handler meanwhile, which stays.
    pub fn restore_signals(&self) {
        if !fork::is_child() {
            drop(lock(&self.0.listening).take());
        }
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if fork::is_child() {
            return;
        }
        // A thread that starts or stops the daemon has a clone, so no thread does.
        let phase = std::mem::replace(&mut self.life.state().phase, Phase::Idle);
        if let Phase::Running(holdings) = phase {
            self.health = None;
            holdings.abandon();
        }
    }
}

/// Makes one error of all of them.
fn collected(operation: &'static str, mut errors: Vec<Error>) -> Result<()> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => {
            let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
            let all = Error::new(errors[0].kind(), operation, texts.join("; "));
            Err(errors[0].errno().into_iter().fold(all, Error::errno_is))
        }
    }
}
