//! The server's thread, `coreproc-http`: a current-thread tokio runtime that accepts connections, serves them, and ends
//! in order. It runs no code of the host, so nothing can hold it up.

use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::connection::Connection;
use super::listener::{Listener, listen};
use super::roster::Roster;
use super::running::{End, Order, Running};
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::panic_message;
use crate::sys::{descriptor, limits, socket, thread};

/// How long no connection is accepted if there is no descriptor for it, and none can be freed.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Listens at the address `given`, and starts the thread. Once this has returned, connections are accepted.
pub(super) fn start(operation: &'static str, given: &str, shared: &Arc<Shared>) -> Result<Running> {
    let listener = listen(operation, given)?;
    let (running, orders, life) = Running::new(listener.address.clone());
    let (report, reported) = mpsc::channel();
    let shared = Arc::clone(shared);
    shared.checks.open();
    thread::start("coreproc-http", move || {
        let run = AssertUnwindSafe(|| run(listener, &shared, orders, &report));
        let end = match catch_unwind(run) {
            Ok(cut) => End::Stopped { cut },
            Err(payload) => End::Panicked(panic_message(payload.as_ref())),
        };
        shared.checks.close();
        life.end(end);
    })
    .map_err(|error| error.during(operation).on(given))?;
    match reported.recv() {
        Ok(Ok(())) => Ok(running),
        Ok(Err((stage, errno))) => Err(Error::system(operation, stage, errno).on(given)),
        Err(_) => Err(Error::new(ErrorKind::Panic, operation, "the server's thread ended").on(given)),
    }
}

/// Whether the thread could begin to serve; else the step that failed and its errno.
type Report = mpsc::Sender<std::result::Result<(), (&'static str, i32)>>;

/// Serves until it is told to stop. Returns how many requests were cut at the end.
fn run(listener: Listener, shared: &Arc<Shared>, mut orders: watch::Receiver<Order>, report: &Report) -> usize {
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
        let roster = Rc::new(Roster::new(Arc::clone(shared), limit(shared.options.max_connections)));
        accept_until(&roster, &fd, ordered(&mut orders, Order::Finish)).await;
        let at_once = *orders.borrow() == Order::End;
        roster.begin_to_stop();
        // First the socket file is removed, so that no further client finds the server; then the clients that have
        // found it are served.
        drop(file);
        if !at_once {
            accept_the_rest(&roster, &fd);
        }
        socket::end(fd.get_ref());
        drop(fd);
        if !at_once {
            roster.close_idle().await;
        }
        roster.until_closed(ordered(&mut orders, Order::End)).await
    })
}

fn new_runtime() -> std::result::Result<Runtime, i32> {
    // tokio opens descriptors as it likes, but none may become 0, 1 or 2.
    let _kept = descriptor::StdioKept::new()?;
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(|error| error.raw_os_error().unwrap_or(libc::ENOMEM))
}

/// Returns the most connections: half of the descriptors are left to the host.
fn limit(wanted: usize) -> usize {
    wanted.min(usize::try_from(limits::descriptors() / 2).unwrap_or(usize::MAX)).max(1)
}

/// Waits until `least`, or more, was ordered. A handle that is gone counts as the strongest order.
async fn ordered(orders: &mut watch::Receiver<Order>, least: Order) {
    let _ = orders.wait_for(|order| *order >= least).await;
}

/// Accepts and serves connections until `stop`.
async fn accept_until(roster: &Rc<Roster<Connection>>, listener: &AsyncFd<OwnedFd>, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    loop {
        let mut next = pin!(next(roster, listener));
        let accepted = poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            next.as_mut().poll(cx).map(Some)
        });
        match accepted.await {
            None => return,
            // A connection that the poller cannot take is closed.
            Some(fd) => {
                let _ = Connection::open(roster, fd);
            }
        }
    }
}

/// Waits for the next connection and, if there is no room for it, until there is.
async fn next(roster: &Roster<Connection>, listener: &AsyncFd<OwnedFd>) -> OwnedFd {
    loop {
        let Ok(mut ready) = listener.readable().await else {
            tokio::time::sleep(SHORTAGE).await;
            continue;
        };
        if roster.is_full() {
            if socket::has_arrived(listener.get_ref()) {
                roster.make_room().await;
                roster.changed().await;
            } else {
                ready.clear_ready();
            }
            continue;
        }
        let accepted =
            ready.try_io(|listener| socket::accept(listener.get_ref()).map_err(std::io::Error::from_raw_os_error));
        let Ok(accepted) = accepted else { continue };
        match accepted.map_err(|error| error.raw_os_error()) {
            Ok(fd) => return fd,
            // The client has gone already.
            Err(Some(libc::ECONNABORTED | libc::EPROTO | libc::EINTR)) => {}
            // If there are no descriptors or no memory, the kernel keeps the connection waiting.
            Err(_) if roster.make_room().await => roster.changed().await,
            Err(_) => tokio::time::sleep(SHORTAGE).await,
        }
    }
}

/// Accepts the connections that the kernel has made already.
fn accept_the_rest(roster: &Rc<Roster<Connection>>, listener: &AsyncFd<OwnedFd>) {
    while !roster.is_full()
        && let Ok(fd) = socket::accept(listener.get_ref())
    {
        let _ = Connection::open(roster, fd);
    }
}
