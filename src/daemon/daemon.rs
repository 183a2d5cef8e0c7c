//! [`Daemon`]: PID file, health server and registry entry, taken and given back in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::entry::DaemonEntry;
use super::health::{HealthOptions, HealthServer};
use super::life::{Holdings, Life, Meant, Phase, Requested, StopHandle};
use super::pid_file::PidFile;
use super::registry::{PATIENCE, Registry};
use super::{names, signals};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, is_in_callback, lock};
use crate::sys::fork;

const START: &str = "start daemon";
const RUN: &str = "run daemon";
const STOP: &str = "stop daemon";

/// What a daemon has.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// Its PID file, if it has one.
    pub pid_file: Option<PathBuf>,
    /// How long a stop may take; [`Duration::MAX`] for as long as it takes.
    pub shutdown_timeout: Duration,
    /// Where its health server listens, if it has one: see [`HealthServer::new`].
    pub health_address: Option<String>,
    /// The limits of its health server.
    pub health: HealthOptions,
    /// The registry that it is found in, if it is.
    pub registry: Option<Registry>,
    /// What the registry says: code and daemon are needed. PID and start are filled in when it starts, and the health
    /// address where there is a health server; project (the current folder) and binary where they are empty.
    pub entry: DaemonEntry,
}

impl Default for DaemonOptions {
    /// Nothing of it all, and 30 seconds for a stop.
    fn default() -> DaemonOptions {
        DaemonOptions {
            pid_file: None,
            shutdown_timeout: Duration::from_secs(30),
            health_address: None,
            health: HealthOptions::default(),
            registry: None,
            entry: DaemonEntry::default(),
        }
    }
}

/// The life of this program as a daemon. Cheap to clone; thread-safe.
///
/// It starts in this order: PID file, health server, registry; and stops in this: not ready, health server down,
/// PID file released, unregistered. Nobody finds a daemon that does not answer yet, and whoever waits for its end by
/// its PID file knows that its address is free.
///
/// When the last clone is dropped while it runs, it gives everything back without waiting for requests. A check that
/// has a clone keeps it alive; give it a [`StopHandle`].
#[derive(Clone)]
pub struct Daemon(Arc<Inner>);

struct Inner {
    options: DaemonOptions,
    health: Option<HealthServer>,
    /// What the program wants `/ready` to say while it runs.
    ready: AtomicBool,
    life: Life,
    listening: Mutex<Option<signals::Listening>>,
}

impl Daemon {
    /// A daemon that has not started: nothing is opened, and nothing is looked at.
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
    /// Those of the health server; [`ErrorKind::InvalidState`] where the daemon has none.
    pub fn add_check(
        &self,
        name: impl Into<String>,
        check: impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<()> {
        const OPERATION: &str = "add check";
        fork::check(OPERATION)?;
        let none = || Error::new(ErrorKind::InvalidState, OPERATION, "the daemon has no health address");
        self.0.health.as_ref().ok_or_else(none)?.add_check(name, check)
    }

    /// Takes the PID file, starts the health server, registers. When a step fails, what was done before it is undone.
    /// A daemon that was stopped can be started again.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidState`] when it is started already; [`ErrorKind::InvalidArgument`] for an entry without
    /// code or daemon; those of [`PidFile::acquire`], [`HealthServer::start`] and [`Registry::register`].
    pub fn start(&self) -> Result<()> {
        fork::check(START)?;
        let options = &self.0.options;
        let step = self.0.life.begin_start(START)?;
        if options.registry.is_some() {
            names::file_name(&options.entry.code, &options.entry.daemon)
                .and_then(|_| options.entry.check_texts())
                .map_err(|reason| Error::invalid(START, format!("registry entry: {reason}")))?;
        }
        let mut holdings = Holdings::default();
        if let Err(error) = self.take(&mut holdings) {
            let mut errors = vec![error];
            errors.extend(self.give_back(holdings, Instant::now().checked_add(options.shutdown_timeout)));
            return collected(START, errors);
        }
        step.started(holdings);
        self.show_ready();
        Ok(())
    }

    fn take(&self, holdings: &mut Holdings) -> Result<()> {
        let options = &self.0.options;
        if let Some(path) = &options.pid_file {
            let pid_file = PidFile::new(path);
            pid_file.acquire()?;
            holdings.pid_file = Some(pid_file);
        }
        if let Some(health) = &self.0.health {
            // Until all of it is there.
            health.set_ready(false);
            health.start()?;
            holdings.health = true;
        }
        if let Some(registry) = &options.registry {
            let entry = registry.register(&self.filled_in())?;
            holdings.registered = Some((registry.clone(), entry));
        }
        Ok(())
    }

    fn filled_in(&self) -> DaemonEntry {
        let text = |path: std::io::Result<PathBuf>| path.map_or(String::new(), |path| path.to_string_lossy().into());
        let mut entry = self.0.options.entry.clone();
        entry.pid = std::process::id().cast_signed();
        entry.started = Some(SystemTime::now());
        if let Some(health) = &self.0.health {
            entry.health = health.address();
        }
        if entry.project.is_empty() {
            entry.project = text(std::env::current_dir());
        }
        if entry.binary.is_empty() {
            entry.binary = text(std::env::current_exe());
        }
        entry
    }

    /// Stops it, within the shutdown timeout: requests under way are waited for, and cut when it is over. The steps
    /// after one that failed are taken all the same. One that is being stopped is waited for, and gives the same
    /// result; one that does not run is fine. Afterwards signals do what they did before
    /// [`stop_on_signals`](Daemon::stop_on_signals).
    ///
    /// # Errors
    /// Of all steps that failed, in one text, with the kind of the first; [`ErrorKind::TimedOut`] also for one that
    /// is still being started when the time is over, of which a stop is then requested; [`ErrorKind::Deadlock`] inside one of its
    /// checks or any callback, where [`request_stop`](Daemon::request_stop) is right.
    pub fn stop(&self) -> Result<()> {
        self.stop_meant(Meant::Now)
    }

    fn stop_meant(&self, meant: Meant) -> Result<()> {
        fork::check(STOP)?;
        self.refuse_in_callback(STOP)?;
        let time = self.0.options.shutdown_timeout;
        let deadline = Instant::now().checked_add(time);
        let (step, holdings) = match self.0.life.begin_stop(STOP, meant, Deadline::after(Some(time))) {
            Ok(begun) => begun,
            Err(outcome) => return outcome,
        };
        let errors = self.give_back(holdings, deadline);
        self.restore_signals();
        let outcome = collected(STOP, errors);
        step.stopped(outcome.clone());
        outcome
    }

    /// In the order of a stop; what failed.
    fn give_back(&self, holdings: Holdings, deadline: Option<Instant>) -> Vec<Error> {
        let left = |most: Duration| match deadline {
            None => most,
            Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(most),
        };
        let mut errors = Vec::new();
        if holdings.health
            && let Some(health) = &self.0.health
        {
            health.set_ready(false);
            errors.extend(health.stop(left(Duration::MAX)).err());
        }
        if let Some(pid_file) = holdings.pid_file {
            errors.extend(pid_file.release().err());
        }
        if let Some((registry, entry)) = holdings.registered {
            errors.extend(registry.unregister_own_within(&entry, left(PATIENCE)).err());
        }
        errors
    }

    /// Waits until a stop is requested, and stops it; or until somebody else has stopped it, and returns how that went.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidState`] for a daemon that is not started; those of [`stop`](Daemon::stop).
    pub fn run(&self) -> Result<()> {
        match self.wait(RUN, Deadline::after(None))? {
            Requested::Stopped(outcome) => outcome,
            Requested::Now(meant) => self.stop_meant(meant),
            Requested::NotYet => self.stop(),
        }
    }

    /// Waits until a stop is requested, or was begun by somebody, and leaves it at that: for loops that have other
    /// things to look at in between. None waits for ever, zero only looks.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; [`ErrorKind::InvalidState`] for a daemon that is not started;
    /// [`ErrorKind::Deadlock`] inside one of its checks or any callback, unless it only looks.
    pub fn wait_for_stop_request(&self, timeout: Option<Duration>) -> Result<()> {
        const OPERATION: &str = "wait for stop request";
        match self.wait(OPERATION, Deadline::after(timeout))? {
            Requested::NotYet => Err(Error::new(ErrorKind::TimedOut, OPERATION, "none came in time")),
            Requested::Now(_) | Requested::Stopped(_) => Ok(()),
        }
    }

    fn wait(&self, operation: &'static str, deadline: Deadline) -> Result<Requested> {
        fork::check(operation)?;
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

    /// Has [`run`](Daemon::run) stop it and return: see [`StopHandle::request_stop`].
    pub fn request_stop(&self) {
        self.stop_handle().request_stop();
    }

    /// What requests a stop without keeping the daemon alive.
    pub fn stop_handle(&self) -> StopHandle {
        self.0.life.stop_handle()
    }

    /// What `/ready` answers while it runs: true unless told otherwise.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::SeqCst);
        if !fork::happened() {
            self.show_ready();
        }
    }

    fn show_ready(&self) {
        let state = self.0.life.state();
        if let (Phase::Running(_), Some(health)) = (&state.phase, &self.0.health) {
            health.set_ready(self.0.ready.load(Ordering::SeqCst));
        }
    }

    /// Does it run, and is it ready?
    pub fn is_ready(&self) -> bool {
        !fork::happened()
            && self.0.ready.load(Ordering::SeqCst)
            && matches!(self.0.life.state().phase, Phase::Running(_))
    }

    /// Where its health server listens: the bound address while it does, else the given one; empty where it has none.
    pub fn health_address(&self) -> String {
        self.0.health.as_ref().map_or(String::new(), HealthServer::address)
    }

    /// From now on SIGTERM and SIGINT request a stop of this daemon: the one thing in this library that touches
    /// dispositions. Until [`restore_signals`](Daemon::restore_signals), the end of a stop, or the drop of the daemon.
    /// Called before the start, it misses no signal. Again is fine; several daemons may listen.
    ///
    /// What the program had installed for the two does not run meanwhile. They are taken by any thread that does not
    /// block them, or by a thread of this library, `coreproc-sig`; no mask is touched. A child of fork gets what it
    /// would have without this.
    ///
    /// # Errors
    /// [`ErrorKind::System`].
    pub fn stop_on_signals(&self) -> Result<()> {
        fork::check("stop on signals")?;
        let mut listening = lock(&self.0.listening);
        if listening.is_none() {
            *listening = Some(signals::listen(self.stop_handle())?);
        }
        Ok(())
    }

    /// Undoes [`stop_on_signals`](Daemon::stop_on_signals): when no other daemon listens, both signals do again what
    /// they did before, unless the program has installed something over it meanwhile, which stays.
    pub fn restore_signals(&self) {
        if !fork::happened() {
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
        if fork::happened() {
            return;
        }
        // Whoever starts or stops it has a clone.
        let phase = std::mem::replace(&mut self.life.state().phase, Phase::Idle);
        if let Phase::Running(holdings) = phase {
            self.health = None;
            drop(holdings.pid_file);
            if let Some((registry, entry)) = holdings.registered {
                // Without waiting for the folder's lock or the disk; the entry ends with this process anyway.
                let _ = registry.unregister_own_within(&entry, Duration::ZERO);
            }
        }
    }
}

/// All that went wrong, as one error.
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
