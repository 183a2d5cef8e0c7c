//! [`HealthServer`]: the handle, which callers hold.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::checks::Checks;
use super::options::HealthOptions;
use super::running::Running;
use super::shared::Shared;
use super::thread;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, is_in_callback, lock};
use crate::sys::fork;
use crate::util::condition::wait_up_to;

/// An HTTP server on one thread, `coreproc-http`, that says whether its program is well. Cheap to clone; thread-safe.
///
/// `GET` and `HEAD` of `/health`, also with a `/` at the end, run the checks side by side and answer `ok` (200) or
/// `unhealthy: …` (503); of `/ready` they answer `ready` (200) or `not ready` (503). With `Accept: application/json`
/// the answer tells the state of each check. Dropping the last clone stops the server at once, without waiting.
///
/// ```
/// use std::time::Duration;
///
/// use coreproc::{HealthOptions, HealthServer, probe_health};
///
/// # fn main() -> coreproc::Result<()> {
/// let server = HealthServer::new("127.0.0.1:0", HealthOptions::default());
/// server.add_check("disk", || Err("full".to_owned()))?;
/// server.start()?;
/// let probe = probe_health(&server.address(), Duration::from_secs(10));
/// assert_eq!(probe.reason, "503: unhealthy: disk: full");
/// server.stop(Duration::from_secs(10))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HealthServer(Arc<Handle>);

struct Handle {
    /// The address, as it was given.
    given: String,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Notified when a start has ended.
    start_ended: Condvar,
}

enum State {
    Stopped,
    /// A start is under way. The address may be a name, whose lookup has no time limit, so of the other calls only a
    /// stop waits for it.
    Starting,
    Running(Arc<Running>),
}

impl HealthServer {
    /// Makes a server that will listen at `address`, which is not looked at before [`start`](HealthServer::start):
    ///
    /// - `127.0.0.1:0`, `[::1]:0`, or `localhost:0` (the first address of the name that is free);
    /// - `:8080`: every interface of the machine, so that every program that can reach it can ask;
    /// - `unix:/run/it.sock`: a socket file, for its owner and, as the umask allows, its group;
    /// - `unix:@it`: a name that is no file (unix(7), "abstract"), for every program in the network namespace.
    ///
    /// With port 0 the kernel chooses the port.
    pub fn new(address: impl Into<String>, options: HealthOptions) -> HealthServer {
        let options = options.resolved();
        let shared = Shared { options, ready: AtomicBool::new(true), checks: Checks::new(options.check_timeout) };
        HealthServer(Arc::new(Handle {
            given: address.into(),
            shared: Arc::new(shared),
            state: Mutex::new(State::Stopped),
            start_ended: Condvar::new(),
        }))
    }

    /// Adds a check, which runs for each `/health`; it may be added while the server runs. A check may block, on a
    /// thread of its own (`coreproc-check`), and it may panic; after its time limit the answer does not wait for it.
    /// Requests that come while it runs share that run. If the name is empty, the answer shows the error alone. The
    /// check is dropped after its last run, once the server is.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the name is taken, is longer than 100 bytes, or has control characters. `Unsupported` in a
    /// build without the feature `health`.
    pub fn add_check(
        &self,
        name: impl Into<String>,
        check: impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static,
    ) -> Result<()> {
        const OPERATION: &str = "add check";
        fork::check_original(OPERATION)?;
        self.0.shared.checks.add(OPERATION, name.into(), Box::new(check))
    }

    /// Sets what `/ready` answers: true at first.
    pub fn set_ready(&self, ready: bool) {
        self.0.shared.ready.store(ready, Ordering::SeqCst);
    }

    /// Returns what `/ready` answers.
    pub fn is_ready(&self) -> bool {
        self.0.shared.ready.load(Ordering::SeqCst)
    }

    /// Binds, listens and serves. Once this has returned, connections are accepted. A socket file that a server left
    /// behind is replaced, under the lock of a file `PATH.lock` that exists for this moment. The mode of a socket file
    /// is 0660, less what the umask takes; a program that wants others to connect changes it afterwards. A name is
    /// looked up by getaddrinfo(3), on this thread.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the address cannot be read. `Busy` if another server listens there. `InvalidState` if this
    /// one runs already. `NotFound` if the name has no addresses. `PermissionDenied`, `System` and the like for other
    /// errors of the kernel. `Unsupported` in a build without the feature `health`.
    pub fn start(&self) -> Result<()> {
        const OPERATION: &str = "start health server";
        fork::check_original(OPERATION)?;
        let begun = self.begin_start().map_err(|why| Error::new(ErrorKind::InvalidState, OPERATION, why));
        let mut start = begun.map_err(|error| error.on(&self.0.given))?;
        start.outcome = State::Running(Arc::new(thread::start(OPERATION, &self.0.given, &self.0.shared)?));
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

    /// Returns the bound address while the server runs, with the port that the kernel chose for port 0; else the given
    /// address.
    pub fn address(&self) -> String {
        if !fork::is_child()
            && let State::Running(running) = &*lock(&self.0.state)
        {
            return running.address().to_owned();
        }
        self.0.given.clone()
    }

    /// Stops the server: no further connection is accepted, connections without a request under way are closed at once,
    /// and requests under way are waited for up to `timeout` ([`Duration::MAX`]: without limit), then cut. Afterwards
    /// nothing listens and no connection is open, and the server can be started again. A check that runs past its time
    /// limit is not waited for. If the server does not run, there is nothing to do; if it is being started, this waits
    /// for that up to `timeout` too.
    ///
    /// # Errors
    ///
    /// `TimedOut` if requests were cut, or if the server was still being started, which then goes on. `Deadlock` inside
    /// one of its checks or any callback. `Panic` if its thread panicked.
    pub fn stop(&self, timeout: Duration) -> Result<()> {
        const OPERATION: &str = "stop health server";
        fork::check_original(OPERATION)?;
        let deadline = Deadline::within(timeout);
        let Some(running) = self.running(OPERATION, deadline)? else { return Ok(()) };
        let stopped = running.stop(OPERATION, deadline);
        let mut state = lock(&self.0.state);
        if matches!(&*state, State::Running(now) if Arc::ptr_eq(now, &running)) {
            *state = State::Stopped;
        }
        stopped
    }

    /// Returns the thread that is to be stopped; None if there is none.
    fn running(&self, operation: &'static str, deadline: Deadline) -> Result<Option<Arc<Running>>> {
        let failed = |kind, why| Err(Error::new(kind, operation, why).on(&self.0.given));
        let mut state = lock(&self.0.state);
        loop {
            let in_callback = self.is_in_check() || is_in_callback();
            let left = deadline.left();
            state = match (&*state, left) {
                (State::Stopped, _) => return Ok(None),
                _ if in_callback => return failed(ErrorKind::Deadlock, "would wait inside a callback"),
                (State::Running(running), _) => return Ok(Some(Arc::clone(running))),
                (State::Starting, Some(Duration::ZERO)) => return failed(ErrorKind::TimedOut, "is being started"),
                (State::Starting, left) => wait_up_to(&self.0.start_ended, state, left),
            };
        }
    }

    /// Returns whether this thread runs one of its checks: there, a wait for the server would be a wait for the thread
    /// itself.
    pub(crate) fn is_in_check(&self) -> bool {
        self.0.shared.checks.is_running_here()
    }
}

/// A start that is under way. It has failed if it is dropped without another outcome.
struct Start<'a> {
    handle: &'a Handle,
    outcome: State,
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        *lock(&self.handle.state) = std::mem::replace(&mut self.outcome, State::Stopped);
        self.handle.start_ended.notify_all();
    }
}

impl std::fmt::Debug for HealthServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthServer").field("address", &self.address()).field("ready", &self.is_ready()).finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !fork::is_child()
            && let State::Running(running) = &*lock(&self.state)
        {
            running.abandon();
        }
    }
}
