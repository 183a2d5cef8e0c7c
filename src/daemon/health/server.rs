//! The server's thread, `coreproc-http`: a current-thread tokio runtime that accepts, lists what is open, and ends in
//! order. It runs no user code, so nothing can hold it up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::task::{LocalSet, yield_now};

use super::HealthOptions;
use super::connection::{Connection, into_io};
use super::handle::Shared;
use super::listener::{Listener, listen};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{lock, panic_message};
use crate::sys::{descriptor, socket, thread};

/// How long no connection is accepted where there is no descriptor for it, and none to be freed.
const SHORTAGE: Duration = Duration::from_millis(100);

/// A thread that serves, seen from the handle.
pub(super) struct Running {
    address: String,
    orders: watch::Sender<Order>,
    life: Arc<Life>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Serve,
    /// Finish what is under way.
    Finish,
    /// Now.
    End,
}

/// How the thread ended, once it has.
#[derive(Default)]
struct Life {
    end: Mutex<Option<End>>,
    over: Condvar,
}

enum End {
    /// So many requests were under way when it was ordered to end.
    Stopped {
        cut: usize,
    },
    Panicked(String),
}

pub(super) fn start(operation: &'static str, given: &str, shared: &Arc<Shared>) -> Result<Running> {
    let listener = listen(operation, given)?;
    let (orders, received) = watch::channel(Order::Serve);
    let running = Running { address: listener.address.clone(), orders, life: Arc::default() };
    let (report, reported) = mpsc::channel();
    let life = Arc::clone(&running.life);
    let shared = Arc::clone(shared);
    shared.checks.open();
    thread::start("coreproc-http", move || {
        let run = AssertUnwindSafe(|| run(listener, &shared, received, &report));
        let end = match catch_unwind(run) {
            Ok(cut) => End::Stopped { cut },
            Err(payload) => End::Panicked(panic_message(payload.as_ref())),
        };
        shared.checks.close();
        *lock(&life.end) = Some(end);
        life.over.notify_all();
    })
    .map_err(|error| error.during(operation).on(given))?;
    match reported.recv() {
        Ok(Ok(())) => Ok(running),
        Ok(Err((stage, errno))) => Err(Error::system(operation, stage, errno).on(given)),
        Err(_) => Err(Error::new(ErrorKind::Panic, operation, "the server's thread ended").on(given)),
    }
}

impl Running {
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Waits for its end; past the deadline, cuts it short. None: for ever.
    pub(super) fn stop(&self, operation: &'static str, deadline: Option<Instant>) -> Result<()> {
        self.order(Order::Finish);
        let mut end = lock(&self.life.end);
        while end.is_none() {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let over = &self.life.over;
            end = match left {
                Some(Duration::ZERO) => {
                    self.order(Order::End);
                    // It waits for nobody any more.
                    over.wait_while(end, |end| end.is_none()).unwrap_or_else(PoisonError::into_inner)
                }
                Some(left) => over.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0,
                None => over.wait(end).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let failed = |kind, why: String| Err(Error::new(kind, operation, why).on(self.address.clone()));
        match &*end {
            None | Some(End::Stopped { cut: 0 }) => Ok(()),
            Some(End::Stopped { cut: 1 }) => failed(ErrorKind::TimedOut, "a request was still under way".to_owned()),
            Some(End::Stopped { cut }) => failed(ErrorKind::TimedOut, format!("{cut} requests were still under way")),
            Some(End::Panicked(why)) => failed(ErrorKind::Panic, why.clone()),
        }
    }

    /// Ends it without waiting.
    pub(super) fn abandon(&self) {
        self.order(Order::End);
    }

    fn order(&self, order: Order) {
        self.orders.send_if_modified(|given| {
            let stronger = order > *given;
            *given = order.max(*given);
            stronger
        });
    }
}

type Report = mpsc::Sender<std::result::Result<(), (&'static str, i32)>>;

/// The thread's life; how many requests were cut at its end.
fn run(listener: Listener, shared: &Arc<Shared>, orders: watch::Receiver<Order>, report: &Report) -> usize {
    let failed = |stage, errno| {
        let _ = report.send(Err((stage, errno)));
        0
    };
    let runtime = match new_runtime() {
        Ok(runtime) => runtime,
        Err(errno) => return failed("runtime", errno),
    };
    LocalSet::new().block_on(&runtime, async {
        let Listener { fd, file, .. } = listener;
        let fd = match socket::watch(fd, Interest::READABLE) {
            Ok(fd) => fd,
            Err(errno) => return failed("poll", errno),
        };
        let _ = report.send(Ok(()));
        let server = Rc::new(Server {
            shared: Arc::clone(shared),
            limit: limit(shared.options.max_connections),
            open: Cell::new(0),
            closing: Cell::new(false),
            list: RefCell::default(),
            room: Notify::new(),
            stopping: Cell::new(false),
        });
        let mut orders = orders;
        server.accept_until(&fd, ordered(&mut orders, Order::Finish)).await;
        let at_once = *orders.borrow() == Order::End;
        server.stopping.set(true);
        // In this order: nobody can find it, and what has found it is served.
        drop(file);
        if !at_once {
            server.accept_the_rest(&fd);
        }
        socket::end(fd.get_ref());
        drop(fd);
        if !at_once {
            server.finish().await;
        }
        server.until_closed(ordered(&mut orders, Order::End)).await
    })
}

fn new_runtime() -> std::result::Result<Runtime, i32> {
    // tokio's own descriptors are its own business, but not on 0–2.
    let _kept = descriptor::StdioKept::new()?;
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(|error| error.raw_os_error().unwrap_or(libc::ENOMEM))
}

/// The program needs descriptors too.
fn limit(wanted: usize) -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    wanted.min(usize::try_from(files / 2).unwrap_or(usize::MAX)).max(1)
}

/// Until that much, or more, was ordered; a handle that has gone orders everything.
async fn ordered(orders: &mut watch::Receiver<Order>, least: Order) {
    let _ = orders.wait_for(|order| *order >= least).await;
}

/// What the connections of one run share, on its thread.
pub(super) struct Server {
    shared: Arc<Shared>,
    limit: usize,
    open: Cell<usize>,
    /// One was told to close to make room, and has not yet.
    closing: Cell<bool>,
    list: RefCell<List>,
    /// Told when a connection has closed, or could be.
    room: Notify,
    stopping: Cell<bool>,
}

/// Connections that wait for their client, the one that has waited longest first.
#[derive(Default)]
struct List {
    next: u64,
    waiting: BTreeMap<u64, Rc<Connection>>,
}

impl Server {
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn options(&self) -> &HealthOptions {
        &self.shared.options
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub(super) fn opened(&self) {
        self.open.set(self.open.get() + 1);
    }

    pub(super) fn closed(&self, to_make_room: bool) {
        self.open.set(self.open.get() - 1);
        if to_make_room {
            self.closing.set(false);
        }
        self.room.notify_one();
    }

    pub(super) fn list(&self, connection: &Rc<Connection>) -> u64 {
        let mut list = self.list.borrow_mut();
        list.next += 1;
        let ticket = list.next;
        list.waiting.insert(ticket, Rc::clone(connection));
        self.room.notify_one();
        ticket
    }

    pub(super) fn unlist(&self, ticket: u64) {
        // Dropped outside the borrow: the last owner tells the server.
        let connection = self.list.borrow_mut().waiting.remove(&ticket);
        drop(connection);
    }

    async fn accept_until(self: &Rc<Server>, listener: &AsyncFd<OwnedFd>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let mut next = pin!(self.next(listener));
            let accepted = poll_fn(|cx| {
                if stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                next.as_mut().poll(cx).map(Some)
            });
            match accepted.await {
                None => return,
                // One that the poller cannot take is closed.
                Some(fd) => {
                    let _ = Connection::open(self, fd);
                }
            }
        }
    }

    /// The next connection; where there is no room for it, once there is.
    async fn next(&self, listener: &AsyncFd<OwnedFd>) -> OwnedFd {
        loop {
            let Ok(mut ready) = listener.readable().await else {
                tokio::time::sleep(SHORTAGE).await;
                continue;
            };
            if self.open.get() >= self.limit {
                if socket::has_arrived(listener.get_ref()) {
                    self.make_room().await;
                    self.room.notified().await;
                } else {
                    ready.clear_ready();
                }
                continue;
            }
            let Ok(accepted) = ready.try_io(|listener| into_io(socket::accept(listener.get_ref()))) else { continue };
            match accepted.map_err(|error| error.raw_os_error()) {
                Ok(fd) => return fd,
                // The client has gone already.
                Err(Some(libc::ECONNABORTED | libc::EPROTO | libc::EINTR)) => {}
                // No descriptors, no memory: the connection waits where it is.
                Err(_) if self.make_room().await => self.room.notified().await,
                Err(_) => tokio::time::sleep(SHORTAGE).await,
            }
        }
    }

    /// Closes a connection, unless one is being closed; false where all are served. It is the one that has waited
    /// longest; but requests that have arrived come first, unless they are never read.
    async fn make_room(&self) -> bool {
        const PATIENCE: u32 = 8;
        for patience in (0..=PATIENCE).rev() {
            if self.closing.get() {
                return true;
            }
            if self.list.borrow().waiting.is_empty() {
                return false;
            }
            if let Some(connection) = self.longest_waiting(patience == 0) {
                self.closing.set(true);
                connection.make_room();
                return true;
            }
            yield_now().await;
        }
        true
    }

    /// Of the first few, the first without a request that has arrived; or the first of `all`.
    fn longest_waiting(&self, all: bool) -> Option<Rc<Connection>> {
        const LOOKED_AT: usize = 32;
        let list = self.list.borrow();
        let mut first = list.waiting.values().take(LOOKED_AT);
        first.find(|connection| all || !connection.has_arrived()).cloned()
    }

    /// What the kernel has connected already.
    fn accept_the_rest(self: &Rc<Server>, listener: &AsyncFd<OwnedFd>) {
        while self.open.get() < self.limit
            && let Ok(fd) = socket::accept(listener.get_ref())
        {
            let _ = Connection::open(self, fd);
        }
    }

    /// Lets requests that have arrived begin, and closes the connections without one.
    async fn finish(&self) {
        const PATIENCE: u32 = 8;
        let (mut patience, mut fewest) = (PATIENCE, usize::MAX);
        while patience > 0 {
            let unread = self.list.borrow().waiting.values().filter(|connection| connection.has_arrived()).count();
            if unread == 0 {
                break;
            }
            // Turns of the loop, as long as they help: a client may be sending what is never read.
            patience = if unread < fewest { PATIENCE } else { patience - 1 };
            fewest = fewest.min(unread);
            yield_now().await;
        }
        for connection in self.list.borrow().waiting.values() {
            connection.close();
        }
    }

    /// Waits until nothing is open, or the order comes; how many requests are under way then.
    async fn until_closed(&self, end: impl Future<Output = ()>) -> usize {
        let mut end = pin!(end);
        while self.open.get() > 0 {
            let mut closed = pin!(self.room.notified());
            let over = poll_fn(|cx| {
                if closed.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                end.as_mut().poll(cx).map(|()| true)
            });
            if over.await {
                break;
            }
        }
        self.open.get().saturating_sub(self.list.borrow().waiting.len())
    }
}
