//! One question to an HTTP server: hyper, polled by the caller's thread, which waits in poll(2). It needs no runtime,
//! so that it works in a host that has one, and no descriptor but the connection's.

use std::cell::Cell;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, StatusCode};

use super::probe::Probe;
use crate::error::describe_errno;
use crate::runtime::Deadline;
use crate::sys::socket;
use crate::util::text::one_line;

/// The longest reason, in bytes.
const REASON_MAX: usize = 1000;
/// How many bytes of a body are read.
const BODY_MAX: usize = 16 * 1024;
/// How many bytes of an answer are read, headers included.
const ANSWER_MAX: usize = 1 << 20;

/// Why there was no answer.
pub(super) enum Failure {
    Because(String),
    /// The deadline passed first.
    TimedOut,
}

impl From<i32> for Failure {
    fn from(errno: i32) -> Failure {
        Failure::Because(describe_errno(errno))
    }
}

/// Connects, asks, and reads the answer.
pub(super) fn exchange(peer: socket::Peer<'_>, host: &str, path: &str, deadline: Deadline) -> Result<Probe, Failure> {
    let socket = Rc::new(Socket {
        fd: socket::connect(peer)?,
        deadline,
        reads: Cell::new(false),
        writes: Cell::new(false),
        read: Cell::new(0),
    });
    while !socket::wait(&socket.fd, false, true, deadline.left()) {
        if deadline.is_over() {
            return Err(Failure::TimedOut);
        }
    }
    socket::connected(&socket.fd)?;
    let (status, body) = socket.drive(converse(Stream(Rc::clone(&socket)), host, path))??;
    let text = one_line(&String::from_utf8_lossy(&body), REASON_MAX);
    let ok = status == StatusCode::OK;
    let reason = match (ok, text.is_empty()) {
        (true, _) => text,
        (false, true) => status.as_u16().to_string(),
        (false, false) => format!("{}: {text}", status.as_u16()),
    };
    Ok(Probe { ok, reason })
}

/// Sends the request. Returns the status and the beginning of the body.
async fn converse(stream: Stream, host: &str, path: &str) -> Result<(StatusCode, Vec<u8>), Failure> {
    let request = Request::get(path)
        .header("host", host)
        .header("accept", "text/plain")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::Because(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(|e| because(&e))?;
    let mut answer = pin!(async move {
        let response = sender.send_request(request).await.map_err(|e| because(&e))?;
        let status = response.status();
        Ok((status, beginning(response).await?))
    });
    let mut connection = pin!(connection);
    let mut connected = true;
    poll_fn(|cx| {
        // An error of the connection is an error of the answer, too.
        connected = connected && connection.as_mut().poll(cx).is_pending();
        answer.as_mut().poll(cx)
    })
    .await
}

async fn beginning(response: Response<Incoming>) -> Result<Vec<u8>, Failure> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while bytes.len() < BODY_MAX
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame.map_err(|e| because(&e))?.into_data() {
            bytes.extend_from_slice(&data[..data.len().min(BODY_MAX - bytes.len())]);
        }
    }
    Ok(bytes)
}

/// Returns the kernel's reason if there is one behind the error, else hyper's.
fn because(error: &hyper::Error) -> Failure {
    let errno = error.source().and_then(|e| e.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error);
    Failure::Because(errno.map_or_else(|| format!("no HTTP answer: {error}"), describe_errno))
}

/// A connection.
struct Socket {
    fd: OwnedFd,
    deadline: Deadline,
    /// Whether a read found nothing and waits.
    reads: Cell<bool>,
    /// Whether a write found no room and waits.
    writes: Cell<bool>,
    /// Bytes read so far.
    read: Cell<usize>,
}

impl Socket {
    /// Runs `future`, which waits for this socket alone, on this thread.
    fn drive<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                    return Ok(output);
                }
            }
            if self.deadline.is_over() {
                return Err(Failure::TimedOut);
            }
            // A wait may be interrupted, or be shorter than asked for; the future then goes on waiting.
            if socket::wait(&self.fd, self.reads.get(), self.writes.get(), self.deadline.left()) {
                self.reads.set(false);
                self.writes.set(false);
                woken.0.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Set when a part of the future wakes another while it is polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The socket as hyper reads and writes it.
struct Stream(Rc<Socket>);

impl Stream {
    fn poll<T>(result: Result<T, i32>, wanted: &Cell<bool>) -> Poll<io::Result<T>> {
        match result {
            Err(libc::EAGAIN) => {
                wanted.set(true);
                Poll::Pending
            }
            other => Poll::Ready(other.map_err(io::Error::from_raw_os_error)),
        }
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        let room = buf.remaining().min(bytes.len());
        // A server that never stops sending keeps one poll going, so the limits are checked here too.
        if self.0.deadline.is_over() {
            return Poll::Pending;
        }
        if self.0.read.get() > ANSWER_MAX {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EMSGSIZE)));
        }
        let read = Stream::poll(socket::receive(&self.0.fd, &mut bytes[..room]), &self.0.reads);
        if let Poll::Ready(Ok(count)) = read {
            self.0.read.set(self.0.read.get() + count);
        }
        read.map_ok(|count| buf.put_slice(&bytes[..count]))
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Stream::poll(socket::send(&self.0.fd, buf), &self.0.writes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Some servers take a half-closed connection for one that was given up; the close follows soon.
        Poll::Ready(Ok(()))
    }
}
