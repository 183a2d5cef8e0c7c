//! [`Subscription`]: the handle that callers hold.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::driving::Driver;
use super::queue::Queue;
use crate::error::{Error, Result};
use crate::runtime::{self, Deadline};

/// A stream of the events of processes. Cheap to clone; thread-safe; dropping the last clone closes it.
///
/// With a callback ([`Service::listen`](crate::Service::listen)) a thread of its own, `coreproc-dsp`, takes
/// the events; otherwise take them with [`Subscription::take`], from as many threads as you like.
///
/// ```
/// use coreproc::{CloseMode, Command, ErrorKind, EventKind, Service, ServiceOptions, SubscriptionOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let subscription = service.subscribe(SubscriptionOptions::default())?;
/// Command::new("printf").arg("one\ntwo\n").spawn(&service)?;
/// service.close(CloseMode::Leave)?;
///
/// let mut lines = Vec::new();
/// let end = loop {
///     let batch = match subscription.take(0, None) {
///         Ok(batch) => batch,
///         Err(error) => break error,
///     };
///     for event in batch.events().filter(|event| matches!(event.kind, EventKind::Output { .. })) {
///         lines.push(String::from_utf8_lossy(event.data).into_owned());
///     }
/// };
/// assert_eq!(end.kind(), ErrorKind::Closed);
/// assert_eq!(lines, ["one", "two"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Subscription(Arc<Handle>);

/// The part that the clones of a subscription share.
struct Handle {
    queue: Arc<Queue>,
    driver: Driver,
    /// Whether a dispatcher takes the events.
    listens: bool,
}

impl Handle {
    fn close(&self) {
        self.queue.close();
        self.driver.stop();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.queue.reactor().is_forked() {
            self.close();
        }
    }
}

impl Subscription {
    pub(crate) fn new(queue: Arc<Queue>, listens: bool) -> Subscription {
        Subscription(Arc::new(Handle { queue, driver: Driver::default(), listens }))
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.0.queue
    }

    /// Takes a batch of up to `max_events` events of one process (0: all that wait), waiting up to `timeout`
    /// (None: for ever; zero: only looks).
    ///
    /// # Errors
    ///
    /// `TimedOut` if no event came in time. `Closed` at the end: after a close, or when the service is closed,
    /// all its processes too, and all events are taken. `InvalidArgument` if a callback takes the events.
    pub fn take(&self, max_events: usize, timeout: Option<Duration>) -> Result<Batch> {
        let mut batch = self.take_whole(timeout)?;
        if max_events > 0 {
            batch.cut(|events| events.take(max_events).for_each(drop));
        }
        Ok(batch)
    }

    pub(crate) fn take_whole(&self, timeout: Option<Duration>) -> Result<Batch> {
        self.0.queue.reactor().check_fork("take")?;
        self.refuse_listener("take")?;
        let Handle { queue, driver, .. } = &*self.0;
        let deadline = Deadline::after(timeout);
        let taken = driver.take(queue, deadline).unwrap_or_else(|| queue.take(deadline))?;
        Ok(Batch::new(Arc::clone(queue), taken))
    }

    /// Returns a descriptor that is readable while events may be waiting or the stream has ended: the end of a pipe,
    /// non-blocking, owned by the subscription. A [`take`](Subscription::take) that found nothing arms it. Its bytes
    /// mean nothing, and may be read.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if a callback takes the events, or the subscription drives. `System` if no pipe can be made.
    pub fn fd(&self) -> Result<RawFd> {
        const OPERATION: &str = "subscription fd";
        self.0.queue.reactor().check_fork(OPERATION)?;
        self.refuse_listener(OPERATION)?;
        let mut state = self.0.queue.state();
        if self.0.driver.has_started() {
            return Err(Error::invalid(OPERATION, "subscription: drives the service, and has the descriptor for that"));
        }
        let (ready, over) = (state.has_ready(), state.has_ended());
        state.watch.pipe(ready, over).map_err(|errno| Error::system(OPERATION, "pipe", errno))
    }

    /// Has the host's own event loop do the service's work, in [`take`](Subscription::take), without a hand-off between
    /// threads: the descriptor, an epoll, is readable while there is work and when the stream has ended, for event
    /// loops that accept an epoll, level- or edge-triggered. It is owned by the subscription.
    ///
    /// Until the subscription is closed, or a take returns `Closed`, nothing happens to the processes of the service
    /// but in takes: no output is read, no exit is seen. (Deadlines are met.) So whenever the descriptor is readable,
    /// take until `TimedOut` or `Closed`, and soon. Those takes only look: a timeout other than zero is
    /// `InvalidArgument`. Other waits of the service go on, and end when a take has brought what they wait for.
    ///
    /// # Errors
    ///
    /// `Busy` while another subscription drives, or another thread waits for something of the service (the thread of an
    /// earlier callback does, for as long as it lives): then use [`Subscription::fd`]. `InvalidArgument` if a callback
    /// takes the events, or [`Subscription::fd`] was called before. `Closed` if the subscription is closed. `System` if
    /// no epoll can be made.
    pub fn drive(&self) -> Result<RawFd> {
        const OPERATION: &str = "subscription drive";
        self.0.queue.reactor().check_fork(OPERATION)?;
        self.refuse_listener(OPERATION)?;
        self.0.driver.start(&self.0.queue, OPERATION)
    }

    /// Ends the subscription: discards what waits, lifts its backpressure, and wakes every taker. Idempotent.
    /// With a callback, waits until the dispatcher has ended, except from inside the callback.
    ///
    /// # Errors
    ///
    /// `Panic` if the callback, or the library, panicked.
    pub fn close(&self) -> Result<()> {
        self.0.queue.reactor().check_fork("close")?;
        self.0.close();
        if self.0.listens && !runtime::is_in_callback() {
            self.0.queue.wait_for_dispatcher()?;
        }
        Ok(())
    }

    fn refuse_listener(&self, operation: &'static str) -> Result<()> {
        if self.0.listens {
            return Err(Error::invalid(operation, "subscription: its callback takes the events"));
        }
        Ok(())
    }
}
