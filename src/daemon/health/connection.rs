//! [`Connection`]: one client's conversation. hyper over a non-blocking socket, with the two time limits of a
//! connection.

use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::HOST;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::answer::{self, Form};
use super::options::HealthOptions;
use super::roster::{Closable, Roster};
use crate::sys::socket;

/// The smallest buffer that hyper takes.
const BUFFER_MIN: usize = 8192;
/// How many more bytes are read from a client that goes on sending after its last answer.
const LINGER_BYTES: usize = 4 << 20;
/// How long such a client is read.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that is open. It waits for a request (then it is on the list of the roster, which may close it to make
/// room) or serves one.
pub(super) struct Connection {
    roster: Rc<Roster<Connection>>,
    fd: AsyncFd<OwnedFd>,
    task: OnceCell<AbortHandle>,
    /// The ticket under which the roster lists it while it waits.
    ticket: Cell<Option<u64>>,
    /// The time by which the client must have sent a request or taken its answer. None while a request is served: its
    /// checks have limits of their own.
    deadline: Cell<Option<Instant>>,
    /// Whether a part of the next request has arrived.
    begun: Cell<bool>,
    /// Whether the client has said that it sends no more.
    ended: Cell<bool>,
    makes_room: Cell<bool>,
}

impl Closable for Connection {
    fn has_arrived(&self) -> bool {
        !self.ended.get() && socket::has_arrived(self.fd.get_ref())
    }

    fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn make_room(&self) {
        self.makes_room.set(true);
        self.close();
    }
}

impl Connection {
    /// Begins to serve a connection that was accepted.
    pub(super) fn open(roster: &Rc<Roster<Connection>>, fd: OwnedFd) -> Result<(), i32> {
        let connection = Rc::new(Connection {
            roster: Rc::clone(roster),
            fd: socket::watch(fd, Interest::READABLE | Interest::WRITABLE)?,
            task: OnceCell::new(),
            ticket: Cell::new(None),
            deadline: Cell::new(after(roster.shared.options.header_timeout)),
            begun: Cell::new(true),
            ended: Cell::new(false),
            makes_room: Cell::new(false),
        });
        roster.opened();
        connection.ticket.set(Some(roster.list(&connection)));
        let listed = Listed(Rc::clone(&connection));
        let task = tokio::task::spawn_local(async move { listed.0.converse().await });
        let _ = connection.task.set(task.abort_handle());
        Ok(())
    }

    fn options(&self) -> &HealthOptions {
        &self.roster.shared.options
    }

    /// Runs the connection's task.
    async fn converse(self: &Rc<Connection>) {
        self.talk().await;
        // Closing with unread bytes would reset the connection, and the client could lose its answer.
        if !self.ended.get() && (!self.roster.is_stopping() || self.has_arrived()) {
            let _ = socket::end_writing(self.fd.get_ref());
            let _ = timeout(LINGER, self.read_on()).await;
        }
    }

    /// Answers requests until the client or a time limit ends the connection.
    async fn talk(self: &Rc<Connection>) {
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let most = self.options().max_header_bytes;
        let http = http1::Builder::new()
            // Our own time limit also covers an answer that the client does not take.
            .header_read_timeout(None)
            .max_header_size(most)
            .max_buf_size(most.max(BUFFER_MIN))
            .half_close(true)
            .serve_connection(Stream(Rc::clone(self)), service);
        let mut http = pin!(http);
        let mut alarm = pin!(sleep_until(self.deadline.get().unwrap_or_else(Instant::now)));
        poll_fn(|cx| {
            // An error of hyper's is the client's fault.
            if http.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { self.poll_deadline(alarm.as_mut(), cx) }
        })
        .await;
    }

    fn poll_deadline(&self, mut alarm: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline.get() else { return Poll::Pending };
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.poll(cx)
    }

    async fn answer(self: &Rc<Connection>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.begin_to_serve();
        let form = Form::asked_for(request.headers());
        let shared = &self.roster.shared;
        let is_good = has_good_host(&request);
        let mut response = match (endpoint(request.uri().path()), request.method()) {
            _ if !is_good => answer::bad_host(),
            ("/health", &Method::GET | &Method::HEAD) => answer::health(&form, &shared.checks.ask().await),
            ("/ready", &Method::GET | &Method::HEAD) => answer::ready(&form, shared.ready.load(Ordering::SeqCst)),
            ("/health" | "/ready" | "*", &Method::OPTIONS) => answer::options(),
            ("/health" | "/ready", _) => answer::no_such_method(),
            _ => answer::no_such_path(),
        };
        // The body is not read, and must not be taken for the next request.
        if !is_good || !request.body().is_end_stream() || self.roster.is_stopping() {
            answer::last(&mut response);
        }
        self.begin_to_wait();
        response
    }

    fn begin_to_serve(&self) {
        if let Some(ticket) = self.ticket.take() {
            self.roster.unlist(ticket);
        }
        self.deadline.set(None);
    }

    /// Begins to wait until the client has taken the answer and sent a further request.
    fn begin_to_wait(self: &Rc<Connection>) {
        self.ticket.set(Some(self.roster.list(self)));
        self.deadline.set(after(self.options().idle_timeout));
        self.begun.set(false);
    }

    /// Notes how many bytes a read brought.
    fn received(&self, count: usize) {
        if count == 0 {
            self.ended.set(true);
        } else if !self.begun.replace(true) && self.ticket.get().is_some() {
            self.deadline.set(after(self.options().header_timeout));
        }
    }

    /// Reads to the end, and discards what it reads.
    async fn read_on(&self) {
        let mut sink = [0; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            let read = self.fd.async_io(Interest::READABLE, |fd| into_io(socket::receive(fd, &mut sink))).await;
            match read {
                Ok(count @ 1..) => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        socket::end(self.fd.get_ref());
        self.roster.closed(self.makes_room.get());
    }
}

/// The connection in its task: it is taken off the roster's list when the task ends, however that ends.
struct Listed(Rc<Connection>);

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.ticket.take() {
            self.0.roster.unlist(ticket);
        }
    }
}

/// Returns the path without a slash at its end.
fn endpoint(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Returns whether a request has a Host header as RFC 9112, 3.2 demands: one, or none before HTTP/1.1, with a value
/// that a host can have.
fn has_good_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => {
            host.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\,\"<>".contains(byte))
        }
        (Some(_), Some(_)) => false,
    }
}

/// Returns the moment after this time; None if that is never.
fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn into_io<T>(result: Result<T, i32>) -> io::Result<T> {
    result.map_err(io::Error::from_raw_os_error)
}

/// The connection's socket as hyper reads and writes it.
struct Stream(Rc<Connection>);

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        let room = buf.remaining().min(bytes.len());
        loop {
            let mut ready = ready!(self.0.fd.poll_read_ready(cx))?;
            if let Ok(read) = ready.try_io(|fd| into_io(socket::receive(fd.get_ref(), &mut bytes[..room]))) {
                let count = read?;
                self.0.received(count);
                buf.put_slice(&bytes[..count]);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.fd.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|fd| into_io(socket::send(fd.get_ref(), buf))) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(into_io(socket::end_writing(self.0.fd.get_ref())))
    }
}
