//! A small HTTP client for one question at a time: hyper, turned by the caller's thread, which waits in poll(2). No
//! runtime, so that it works in a host that has one, and no descriptor but the connection's.

use std::cell::Cell;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response, StatusCode};

use super::address::{Address, literal, look_up};
use super::client::Probe;
use super::health::one_line;
use crate::error::describe_errno;
use crate::sys::clock::exact;
use crate::sys::{socket, thread};

/// How long one answer is awaited, where there is time to ask again.
const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How much of a body is read, and of an answer in all.
const BODY_MAX: usize = 16 * 1024;
const ANSWER_MAX: usize = 1 << 20;

pub(super) struct Client {
    address: Address,
    /// Of a name, once it was looked up.
    found: Vec<SocketAddr>,
    /// Of a name that is being looked up.
    looking: Option<Receiver<Result<Vec<SocketAddr>, String>>>,
}

/// Why there was no answer.
enum Failure {
    Because(String),
    /// The time was over first.
    Cut,
}

impl From<i32> for Failure {
    fn from(errno: i32) -> Failure {
        Failure::Because(describe_errno(errno))
    }
}

/// None: never.
type Deadline = Option<Instant>;

fn left(deadline: Deadline) -> Option<Duration> {
    deadline.map(|at| at.saturating_duration_since(Instant::now()))
}

fn is_over(deadline: Deadline) -> bool {
    left(deadline) == Some(Duration::ZERO)
}

impl Client {
    pub(super) fn new(address: Address) -> Client {
        Client { address, found: Vec::new(), looking: None }
    }

    pub(super) fn probe(&mut self, path: &str, timeout: Duration) -> Probe {
        let deadline = Instant::now().checked_add(timeout);
        match self.ask(path, deadline) {
            Ok(probe) => probe,
            Err(Failure::Because(reason)) => Probe { ok: false, reason },
            Err(Failure::Cut) => cut(timeout),
        }
    }

    pub(super) fn wait_for(&mut self, path: &str, timeout: Duration) -> Probe {
        let deadline = Instant::now().checked_add(timeout);
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            let attempt = Instant::now().checked_add(ATTEMPT);
            let attempt = deadline.map_or(attempt, |end| Some(attempt.map_or(end, |attempt| attempt.min(end))));
            match self.ask(path, attempt) {
                Ok(probe) if probe.ok => return probe,
                Ok(probe) => last = Some(probe),
                Err(Failure::Because(reason)) => last = Some(Probe { ok: false, reason }),
                // What was learnt before says more than that the time is over.
                Err(Failure::Cut) => {}
            }
            match left(deadline) {
                Some(Duration::ZERO) => return last.unwrap_or_else(|| cut(timeout)),
                left => std::thread::sleep(left.map_or(pause, |left| left.min(pause))),
            }
            if is_over(deadline) {
                return last.unwrap_or_else(|| cut(timeout));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One question, at the first of the addresses that answers.
    fn ask(&mut self, path: &str, deadline: Deadline) -> Result<Probe, Failure> {
        let (host, port) = match &self.address {
            Address::Tcp(host, port) => (host, port),
            Address::Unix(file) => return exchange(socket::Peer::Unix(file), "localhost", path, deadline),
            Address::Abstract(name) => return exchange(socket::Peer::Abstract(name), "localhost", path, deadline),
        };
        let name = self.address.to_string();
        let name = if host.is_empty() { format!("localhost{name}") } else { name };
        let this_machine = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let addresses = match literal(host, *port, &this_machine) {
            Some(addresses) => addresses,
            None => self.resolve(deadline)?,
        };
        let mut failure = Failure::Cut;
        for (index, address) in addresses.iter().enumerate() {
            // One that does not answer leaves time for the others.
            let shares = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let until = left(deadline).map(|left| Instant::now() + left / shares);
            match exchange(socket::Peer::Tcp(*address), &name, path, until) {
                Ok(probe) => return Ok(probe),
                Err(Failure::Cut) => {}
                Err(because) => failure = because,
            }
        }
        Err(failure)
    }

    /// The addresses of the name, looked up on a thread that is left alone when the time is over.
    fn resolve(&mut self, deadline: Deadline) -> Result<Vec<SocketAddr>, Failure> {
        let Address::Tcp(host, port) = &self.address else { return Ok(Vec::new()) };
        if !self.found.is_empty() {
            return Ok(self.found.clone());
        }
        let looking = match self.looking.take() {
            Some(looking) => looking,
            None => {
                let (sender, receiver) = channel();
                let (host, port) = (host.clone(), *port);
                thread::start("coreproc-lookup", move || {
                    let _ = sender.send(look_up(&host, port));
                })
                .map_err(|error| Failure::Because(error.to_string()))?;
                receiver
            }
        };
        let found = match left(deadline) {
            Some(left) => looking.recv_timeout(left),
            None => looking.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match found {
            Ok(Ok(found)) => {
                self.found.clone_from(&found);
                Ok(found)
            }
            Ok(Err(why)) => Err(Failure::Because(why)),
            Err(RecvTimeoutError::Timeout) => {
                self.looking = Some(looking);
                Err(Failure::Cut)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Failure::Because("the lookup's thread ended".to_owned())),
        }
    }
}

fn cut(timeout: Duration) -> Probe {
    Probe { ok: false, reason: format!("no answer within {}", exact(timeout)) }
}

/// Connects, asks, reads the answer.
fn exchange(peer: socket::Peer<'_>, host: &str, path: &str, deadline: Deadline) -> Result<Probe, Failure> {
    let socket = Rc::new(Socket {
        fd: socket::connect(peer)?,
        deadline,
        reads: Cell::new(false),
        writes: Cell::new(false),
        read: Cell::new(0),
    });
    while !socket::wait(&socket.fd, false, true, left(deadline)) {
        if is_over(deadline) {
            return Err(Failure::Cut);
        }
    }
    socket::connected(&socket.fd)?;
    let (status, body) = socket.drive(converse(Stream(Rc::clone(&socket)), host, path))??;
    let text = one_line(&String::from_utf8_lossy(&body));
    let ok = status == StatusCode::OK;
    let reason = match (ok, text.is_empty()) {
        (true, _) => text,
        (false, true) => status.as_u16().to_string(),
        (false, false) => format!("{}: {text}", status.as_u16()),
    };
    Ok(Probe { ok, reason })
}

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
        // Its errors come out of the answer.
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

/// What the kernel said, where it is behind it.
fn because(error: &hyper::Error) -> Failure {
    let errno = error.source().and_then(|e| e.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error);
    Failure::Because(errno.map_or_else(|| format!("no HTTP answer: {error}"), describe_errno))
}

/// A connection, and what it was found not to be ready for.
struct Socket {
    fd: OwnedFd,
    deadline: Deadline,
    reads: Cell<bool>,
    writes: Cell<bool>,
    /// Bytes so far.
    read: Cell<usize>,
}

impl Socket {
    /// Turns `future`, which waits for this socket alone, on this thread.
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
            if is_over(self.deadline) {
                return Err(Failure::Cut);
            }
            // A wait may be interrupted, or be shorter than asked: what the future waits for stays until it is polled.
            if socket::wait(&self.fd, self.reads.get(), self.writes.get(), left(self.deadline)) {
                self.reads.set(false);
                self.writes.set(false);
                woken.0.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Parts of a future wake each other while it is polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Woken>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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
        // A server that never stops sending keeps one poll going: the limits are here too.
        if is_over(self.0.deadline) {
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
        // Half-closed, a question would be taken for given up by some servers; the close follows soon.
        Poll::Ready(Ok(()))
    }
}
