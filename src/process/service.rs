//! [`Service`]: the handle to what spawns processes and supervises them.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::log::{Log, LogOptions, Router};
use super::options::{CloseMode, ServiceOptions};
use super::process::Process;
use super::supervisor::Supervisor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Batch, Subscription, SubscriptionOptions, listen};
use crate::runtime::{Deadline, Handler, lock};
use crate::sys::fork;

/// Spawns processes and supervises them on one thread, `coreproc-sup`. Cheap to clone; thread-safe.
///
/// Dropping the last clone kills no process: the supervisor goes on until the last process is closed and its pipes are
/// at their end.
///
/// ```
/// use coreproc::{CloseMode, Command, EventKind, Service, ServiceOptions, SubscriptionOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let events = service.subscribe(SubscriptionOptions::default())?;
/// for name in ["one", "two"] {
///     Command::new("echo").arg(name).spawn(&service)?;
/// }
/// service.wait_idle(None)?;
/// service.close(CloseMode::Leave)?;
/// let mut lines = Vec::new();
/// while let Ok(batch) = events.take(0, None) {
///     for event in batch.events().filter(|event| matches!(event.kind, EventKind::Output { .. })) {
///         lines.push(String::from_utf8_lossy(event.data).into_owned());
///     }
/// }
/// lines.sort();
/// assert_eq!(lines, ["one", "two"]);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Service(Arc<Handle>);

struct Handle {
    supervisor: Arc<Supervisor>,
    /// What writes the logs; gone before there is one.
    router: Mutex<Weak<Router>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !fork::happened() {
            self.supervisor.abandon();
        }
    }
}

impl Service {
    /// Starts a service and its thread.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a capture of more bytes than memory can have. `System` if the kernel refuses a descriptor
    /// or the thread.
    pub fn new(options: ServiceOptions) -> Result<Service> {
        fork::check("open service")?;
        options.capture.check("open service", "capture")?;
        Ok(Service(Arc::new(Handle { supervisor: Supervisor::start(options)?, router: Mutex::default() })))
    }

    pub(crate) fn supervisor(&self) -> &Arc<Supervisor> {
        &self.0.supervisor
    }

    /// Returns the process with this id, until it is closed.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, or it is closed.
    pub fn process(&self, id: u64) -> Result<Process> {
        const OPERATION: &str = "find process";
        fork::check(OPERATION)?;
        let child = self.0.supervisor.child(id).filter(|child| child.is_open());
        child.map(Process::new).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, OPERATION, "there is none that is not closed").on(format!("{id}"))
        })
    }

    /// Returns how many processes are not yet closed; those that are being spawned count, too.
    pub fn count(&self) -> usize {
        if fork::happened() { 0 } else { self.0.supervisor.open_count() }
    }

    /// Refuses spawns from now on, and ends the processes that run as `mode` says, without waiting.
    /// It may be called again, also with another mode.
    ///
    /// # Errors
    ///
    /// The first one of [`Process::stop`] or [`Process::kill`], with a message that says how many processes could not
    /// be signalled. The service is closed in any case, and a signal that the kernel refused is tried again.
    pub fn close(&self, mode: CloseMode) -> Result<()> {
        fork::check("close service")?;
        let children = self.0.supervisor.close(mode);
        let refusals: Vec<Error> = children.iter().filter_map(|child| child.end(mode).err()).collect();
        match refusals.first() {
            None => Ok(()),
            Some(first) => {
                let (refused, all) = (refusals.len(), children.len());
                Err(first.clone().during("close service").because(format!(
                    "{refused} of {all} processes could not be signalled; the first: {}",
                    first.cause()
                )))
            }
        }
    }

    /// Waits until every process is closed. None waits for ever, zero only looks.
    ///
    /// # Errors
    ///
    /// `TimedOut` if some process has not been closed in time; else those of [`Process::wait`].
    pub fn wait_idle(&self, timeout: Option<Duration>) -> Result<()> {
        fork::check("wait idle")?;
        self.0.supervisor.wait_idle(Deadline::after(timeout))
    }

    /// Opens a stream of events to take from: those of processes that are spawned from now on.
    ///
    /// # Errors
    ///
    /// `Closed` if the service is closed. `InvalidArgument` for sizes that memory cannot have.
    pub fn subscribe(&self, options: SubscriptionOptions) -> Result<Subscription> {
        fork::check("subscribe")?;
        Ok(Subscription::new(self.0.supervisor.subscribe(options)?, false))
    }

    /// Opens a log, to which commands name themselves by [`Command::log`](crate::Command::log). The first one starts a
    /// thread, `coreproc-dsp`, which writes all logs of the service. It waits as a listener does, so no event loop of
    /// the host can drive the service beside it ([`Subscription::drive`]).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for options that make no sense. `System`, `NotFound` or `PermissionDenied` if the file cannot
    /// be opened, or no thread started. `Closed` if the service is closed.
    pub fn open_log(&self, options: &LogOptions) -> Result<Log> {
        fork::check("open log")?;
        if self.0.supervisor.is_closing() {
            return Err(Error::new(ErrorKind::Closed, "open log", "the service is closed"));
        }
        let mut known = lock(&self.0.router);
        let router = match known.upgrade().filter(|router| router.is_alive()) {
            Some(router) => router,
            None => Router::start(&self.0.supervisor).map_err(|error| error.during("open log"))?,
        };
        *known = Arc::downgrade(&router);
        Log::open(router, options)
    }

    /// Opens a stream of events for which `callback` is run on a thread of its own, one batch at a time. A call that
    /// would wait inside it returns [`ErrorKind::Deadlock`].
    ///
    /// # Errors
    ///
    /// Those of [`Service::subscribe`]; `System` if the thread cannot be started.
    pub fn listen(
        &self,
        options: SubscriptionOptions,
        callback: impl FnMut(&Batch) + Send + 'static,
    ) -> Result<Subscription> {
        fork::check("listen")?;
        let queue = self.0.supervisor.subscribe(options)?;
        listen(queue, Arc::clone(&self.0.supervisor) as Arc<dyn Handler>, callback)
    }
}
