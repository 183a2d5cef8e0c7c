//! [`HealthServer`]: the handle. It owns nothing that runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::HealthOptions;
use super::checks::Checks;
use super::server::{self, Running};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{is_in_callback, lock};
use crate::sys::fork;

/// An HTTP server on one thread, `coreproc-http`, that says whether its program is well. Cheap to clone;
/// thread-safe.
///
/// `GET` and `HEAD` of `/health`, also with a `/` at the end, run the checks side by side and answer `ok` (200) or
/// `unhealthy: …` (503); of `/ready`, `ready` (200) or `not ready` (503). With `Accept: application/json` the answer tells each check's state.
/// Dropping the last clone stops it at once, without waiting.
#[derive(Clone)]
pub struct HealthServer(Arc<Handle>);

struct Handle {
    given: String,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Told when it is not being started any more.
    settled: Condvar,
}

enum State {
    Stopped,
    /// Its address may be a name, whose lookup has no time limit: nobody else waits for that but a stop.
    Starting,
    Running(Arc<Running>),
}

/// What the handle and the server's thread share.
pub(super) struct Shared {
    pub(super) options: HealthOptions,
    pub(super) ready: AtomicBool,
    pub(super) checks: Checks,
}

impl HealthServer {
    /// A server that will listen at `address`: `127.0.0.1:0`, `[::1]:0`, `localhost:0` (its first address that can be
    /// had), `:8080` (every interface of the machine: whoever can reach it can ask), `unix:/run/it.sock` (a socket file,
    /// for its owner and, as the umask has it, its group), `unix:@it` (a name that is no file: unix(7), "abstract"; for
    /// everybody in the network namespace). Port 0 lets the kernel choose. Nothing is opened, and the address is not
    /// looked at, before [`start`](HealthServer::start).
    pub fn new(address: impl Into<String>, options: HealthOptions) -> HealthServer {
        let options = options.resolved();
        let shared = Shared { options, ready: AtomicBool::new(true), checks: Checks::new(options.check_timeout) };
        HealthServer(Arc::new(Handle {
            given: address.into(),
            shared: Arc::new(shared),
            state: Mutex::new(State::Stopped),
            settled: Condvar::new(),
        }))
    }

    /// Adds a check, which is run for each `/health`, at any time. It may block, on a thread of its own
    /// (`coreproc-check`); it may panic; after its time limit it is left to itself. Requests that come while it runs
    /// share that run. An empty name is none: then its error stands in the answer alone. It is dropped after its last
    /// run, once the server is.
    ///
    /// Errors: [`ErrorKind::InvalidArgument`] for a name that is taken, longer than 100 bytes, or has control
    /// characters; [`ErrorKind::Unsupported`].
    pub fn add_check(
        &self,
        name: impl Into<String>,
        check: impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<()> {
        const OPERATION: &str = "add check";
        fork::check(OPERATION)?;
        self.0.shared.checks.add(OPERATION, name.into(), Box::new(check))
    }

    /// What `/ready` answers: true at first.
    pub fn set_ready(&self, ready: bool) {
        self.0.shared.ready.store(ready, Ordering::SeqCst);
    }

    /// What `/ready` answers.
    pub fn is_ready(&self) -> bool {
        self.0.shared.ready.load(Ordering::SeqCst)
    }

    /// Binds, listens and serves. Once this has returned, connections are accepted. A socket file that a server left
    /// behind is replaced, under the lock of a file `PATH.lock` that is there for this moment. Its mode is 0660, less
    /// what the umask takes; a program that wants others to connect changes it afterwards. A name is looked up by
    /// getaddrinfo(3), on this thread.
    ///
    /// Errors: [`ErrorKind::InvalidArgument`] for an address that cannot be read; [`ErrorKind::Busy`] where somebody
    /// listens there; [`ErrorKind::InvalidState`] while it runs; [`ErrorKind::NotFound`] for a name without addresses;
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::System`], [`ErrorKind::Unsupported`].
    pub fn start(&self) -> Result<()> {
        const OPERATION: &str = "start health server";
        fork::check(OPERATION)?;
        let begun = self.begin_start().map_err(|why| Error::new(ErrorKind::InvalidState, OPERATION, why));
        let mut start = begun.map_err(|error| error.on(&self.0.given))?;
        start.outcome = State::Running(Arc::new(server::start(OPERATION, &self.0.given, &self.0.shared)?));
        Ok(())
    }

    fn begin_start(&self) -> std::result::Result<Start<'_>, &'static str> {
        let mut state = lock(&self.0.state);
        match *state {
            State::Running(_) => Err("is started already"),
            State::Starting => Err("is being started"),
            State::Stopped => {
                *state = State::Starting;
                Ok(Start { handle: &self.0, outcome: State::Stopped })
            }
        }
    }

    /// The bound address while it runs, with the port that port 0 became; else the given one.
    pub fn address(&self) -> String {
        if !fork::happened()
            && let State::Running(running) = &*lock(&self.0.state)
        {
            return running.address().to_owned();
        }
        self.0.given.clone()
    }

    /// Stops: nothing is accepted any more, connections without a request under way are closed at once, and requests
    /// under way are waited for up to `timeout`; then they are cut, which is [`ErrorKind::TimedOut`]. In every case
    /// nothing listens and no connection is open afterwards, and it can be started again. Stopping what does not run
    /// is fine. A check that runs past its time limit is not waited for. One that is being started is waited for up to
    /// `timeout`, too: if that is not enough, it goes on, and this is [`ErrorKind::TimedOut`].
    ///
    /// Errors: also [`ErrorKind::Deadlock`] inside one of its checks or any callback, and [`ErrorKind::Panic`].
    pub fn stop(&self, timeout: Duration) -> Result<()> {
        const OPERATION: &str = "stop health server";
        fork::check(OPERATION)?;
        // None: for ever.
        let deadline = Instant::now().checked_add(timeout);
        let Some(running) = self.running(OPERATION, deadline)? else { return Ok(()) };
        let stopped = running.stop(OPERATION, deadline);
        let mut state = lock(&self.0.state);
        if matches!(&*state, State::Running(now) if Arc::ptr_eq(now, &running)) {
            *state = State::Stopped;
        }
        stopped
    }

    /// What is to be stopped, if anything is.
    fn running(&self, operation: &'static str, deadline: Option<Instant>) -> Result<Option<Arc<Running>>> {
        let failed = |kind, why| Err(Error::new(kind, operation, why).on(&self.0.given));
        let mut state = lock(&self.0.state);
        loop {
            let in_callback = self.is_in_check() || is_in_callback();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            state = match (&*state, left) {
                (State::Stopped, _) => return Ok(None),
                _ if in_callback => return failed(ErrorKind::Deadlock, "would wait inside a callback"),
                (State::Running(running), _) => return Ok(Some(Arc::clone(running))),
                (State::Starting, Some(Duration::ZERO)) => return failed(ErrorKind::TimedOut, "is being started"),
                (State::Starting, None) => self.0.settled.wait(state).unwrap_or_else(PoisonError::into_inner),
                (State::Starting, Some(left)) => {
                    self.0.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Does this thread run one of its checks? Waiting for the server there would be waiting for itself.
    pub(crate) fn is_in_check(&self) -> bool {
        self.0.shared.checks.is_running_here()
    }
}

/// A start that is under way; without an outcome, it failed.
struct Start<'a> {
    handle: &'a Handle,
    outcome: State,
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        *lock(&self.handle.state) = std::mem::replace(&mut self.outcome, State::Stopped);
        self.handle.settled.notify_all();
    }
}

impl std::fmt::Debug for HealthServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthServer").field("address", &self.address()).field("ready", &self.is_ready()).finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !fork::happened()
            && let State::Running(running) = &*lock(&self.state)
        {
            running.abandon();
        }
    }
}
