//! One client's conversation: hyper over a non-blocking socket, with the two deadlines of a connection.

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
use super::server::Server;
use crate::sys::socket;

/// hyper's smallest buffer.
const BUFFER_MIN: usize = 8192;
/// How much is still read, and how long, of a client that goes on sending after its last answer.
const LINGER_BYTES: usize = 4 << 20;
const LINGER: Duration = Duration::from_secs(1);

/// A connection that is open. It waits for a request (then it is listed with the server, which may close it to make
/// room) or serves one.
pub(super) struct Connection {
    server: Rc<Server>,
    fd: AsyncFd<OwnedFd>,
    task: OnceCell<AbortHandle>,
    /// The number under which the server lists it while it waits.
    ticket: Cell<Option<u64>>,
    /// None while a request is served: its checks have limits of their own.
    deadline: Cell<Option<Instant>>,
    /// Has something of the next request come?
    begun: Cell<bool>,
    /// Has the client said that it sends no more?
    ended: Cell<bool>,
    makes_room: Cell<bool>,
}

impl Connection {
    pub(super) fn open(server: &Rc<Server>, fd: OwnedFd) -> Result<(), i32> {
        let connection = Rc::new(Connection {
            server: Rc::clone(server),
            fd: socket::watch(fd, Interest::READABLE | Interest::WRITABLE)?,
            task: OnceCell::new(),
            ticket: Cell::new(None),
            deadline: Cell::new(after(server.options().header_timeout)),
            begun: Cell::new(true),
            ended: Cell::new(false),
            makes_room: Cell::new(false),
        });
        server.opened();
        connection.ticket.set(Some(server.list(&connection)));
        let listed = Listed(Rc::clone(&connection));
        let task = tokio::task::spawn_local(async move { listed.0.converse().await });
        let _ = connection.task.set(task.abort_handle());
        Ok(())
    }

    /// Closes it, at the next turn of the loop.
    pub(super) fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// As [`close`](Connection::close), and tells the server once that is done.
    pub(super) fn make_room(&self) {
        self.makes_room.set(true);
        self.close();
    }

    /// Is there anything to read?
    pub(super) fn has_arrived(&self) -> bool {
        !self.ended.get() && socket::has_arrived(self.fd.get_ref())
    }

    async fn converse(self: &Rc<Connection>) {
        self.talk().await;
        // A close with unread bytes would be a reset, which takes the answer back.
        if !self.ended.get() && (!self.server.is_stopping() || self.has_arrived()) {
            let _ = socket::end_writing(self.fd.get_ref());
            let _ = timeout(LINGER, self.read_on()).await;
        }
    }

    /// Answers requests until the client, or a limit, ends it.
    async fn talk(self: &Rc<Connection>) {
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let most = self.server.options().max_header_bytes;
        let http = http1::Builder::new()
            // Ours, which also see an answer that nobody takes.
            .header_read_timeout(None)
            .max_header_size(most)
            .max_buf_size(most.max(BUFFER_MIN))
            .half_close(true)
            .serve_connection(Stream(Rc::clone(self)), service);
        let mut http = pin!(http);
        let mut alarm = pin!(sleep_until(self.deadline.get().unwrap_or_else(Instant::now)));
        poll_fn(|cx| {
            // What went wrong is the client's business.
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
        self.serves();
        let form = Form::asked_for(request.headers());
        let shared = self.server.shared();
        let is_good = has_good_host(&request);
        let mut response = match (endpoint(request.uri().path()), request.method()) {
            _ if !is_good => answer::bad_host(),
            ("/health", &Method::GET | &Method::HEAD) => answer::health(&form, &shared.checks.ask().await),
            ("/ready", &Method::GET | &Method::HEAD) => answer::ready(&form, shared.ready.load(Ordering::SeqCst)),
            ("/health" | "/ready" | "*", &Method::OPTIONS) => answer::options(),
            ("/health" | "/ready", _) => answer::no_such_method(),
            _ => answer::no_such_path(),
        };
        // A body is not read, and must not be taken for the next request.
        if !is_good || !request.body().is_end_stream() || self.server.is_stopping() {
            answer::last(&mut response);
        }
        self.waits();
        response
    }

    fn serves(&self) {
        if let Some(ticket) = self.ticket.take() {
            self.server.unlist(ticket);
        }
        self.deadline.set(None);
    }

    /// For a further request, and until its answer is taken.
    fn waits(self: &Rc<Connection>) {
        self.ticket.set(Some(self.server.list(self)));
        self.deadline.set(after(self.server.options().idle_timeout));
        self.begun.set(false);
    }

    /// Notes what a read brought.
    fn received(&self, count: usize) {
        if count == 0 {
            self.ended.set(true);
        } else if !self.begun.replace(true) && self.ticket.get().is_some() {
            self.deadline.set(after(self.server.options().header_timeout));
        }
    }

    /// Reads to the end, and forgets it.
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
        self.server.closed(self.makes_room.get());
    }
}

/// In the task: takes the connection off the server's list when that ends, however it does.
struct Listed(Rc<Connection>);

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.ticket.take() {
            self.0.server.unlist(ticket);
        }
    }
}

/// The path, without one slash at its end.
fn endpoint(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// RFC 9112, 3.2: one Host, no more, and none only before HTTP/1.1; with a value that a host can have.
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

/// None: never.
fn after(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

pub(super) fn into_io<T>(result: Result<T, i32>) -> io::Result<T> {
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
