//! Sockets of the health server and its client: they listen, accept and connect, and never wait except in [`wait`].
//!
//! System calls: socket(2), bind(2), listen(2), accept4(2), connect(2), setsockopt(2), getsockopt(2), recv(2), send(2),
//! shutdown(2), poll(2); see tcp(7), unix(7).

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clock::whole_ms;
use super::descriptor::{Result, above_stdio, set_nonblocking};
use super::{retried, retried_raw};

/// How many connections the kernel keeps until they are accepted; it keeps `net.core.somaxconn` if that is less.
const BACKLOG: i32 = 4096;

fn errno_of(error: &std::io::Error) -> i32 {
    // std refuses some arguments without asking the kernel.
    error.raw_os_error().unwrap_or(libc::EINVAL)
}

/// Makes a listening socket; returns it with the address that it got. SO_REUSEADDR is set: connections of a server that
/// has ended do not keep its address.
pub(crate) fn listen_tcp(address: SocketAddr) -> Result<(OwnedFd, SocketAddr)> {
    let listener = TcpListener::bind(address).map_err(|e| errno_of(&e))?;
    let bound = listener.local_addr().map_err(|e| errno_of(&e))?;
    let fd = prepare(listener.into())?;
    // Accepted connections inherit it: pipelined answers would wait for acknowledgements otherwise.
    let on: libc::c_int = 1;
    // SAFETY: one int and its size. A failure costs latency alone.
    unsafe {
        let size = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), size);
    }
    Ok((fd, bound))
}

/// Makes a listening socket at `path`. Whatever the umask is, only its owner and group can connect: Linux takes the
/// mode of the file from that of the socket, so it is never another.
pub(crate) fn listen_unix(path: &Path) -> Result<OwnedFd> {
    const MODE: libc::mode_t = 0o660;
    let fd = unix_socket()?;
    // SAFETY: takes no pointers.
    if unsafe { libc::fchmod(fd.as_raw_fd(), MODE) } != 0 {
        return Err(super::errno());
    }
    let (address, size) = unix_address(&[], path.as_os_str().as_bytes(), &[0])?;
    bind(&fd, &address, size)?;
    prepare(fd)
}

/// Makes a listening socket with a name that is no file, to which every process in this network namespace can connect.
pub(crate) fn listen_abstract(name: &str) -> Result<OwnedFd> {
    let fd = unix_socket()?;
    let (address, size) = unix_address(&[0], name.as_bytes(), &[])?;
    bind(&fd, &address, size)?;
    prepare(fd)
}

fn unix_socket() -> Result<OwnedFd> {
    // SAFETY: no pointers; the result is a new descriptor.
    let fd = unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(super::errno());
        }
        OwnedFd::from_raw_fd(fd)
    };
    above_stdio(fd)
}

fn bind(fd: &OwnedFd, address: &libc::sockaddr_un, size: libc::socklen_t) -> Result<()> {
    // SAFETY: an address structure, of which `size` bytes are used.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const *address).cast(), size) } == 0 {
        Ok(())
    } else {
        Err(super::errno())
    }
}

/// Makes an address of these bytes, one part after the other; returns it with the size that counts.
fn unix_address(before: &[u8], name: &[u8], after: &[u8]) -> Result<(libc::sockaddr_un, libc::socklen_t)> {
    if name.len() > PATH_MAX {
        return Err(libc::ENAMETOOLONG);
    }
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; PATH_MAX + 1] };
    let bytes = before.iter().chain(name).chain(after);
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    let size = std::mem::offset_of!(libc::sockaddr_un, sun_path) + before.len() + name.len() + after.len();
    Ok((address, size as libc::socklen_t))
}

/// Makes it listen, above 2 and non-blocking.
fn prepare(fd: OwnedFd) -> Result<OwnedFd> {
    let fd = above_stdio(fd)?;
    set_nonblocking(&fd)?;
    // SAFETY: takes no pointers. It is called again, because std's backlog is 128.
    if unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) } != 0 {
        return Err(super::errno());
    }
    Ok(fd)
}

/// Accepts the next connection: non-blocking, close-on-exec, above 2.
pub(crate) fn accept(listener: &OwnedFd) -> Result<OwnedFd> {
    // SAFETY: no address is asked for; the result is a new descriptor.
    let fd = unsafe {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let fd = libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags);
        if fd < 0 {
            return Err(super::errno());
        }
        OwnedFd::from_raw_fd(fd)
    };
    above_stdio(fd)
}

/// Gives a descriptor to the runtime that this thread runs.
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays the same open descriptor for as long as the runtime watches it.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    watched.map_err(|error| errno_of(&error.into()))
}

/// The address of a server.
#[derive(Clone, Copy)]
pub(crate) enum Peer<'a> {
    Tcp(SocketAddr),
    Unix(&'a Path),
    /// A name that is no file.
    Abstract(&'a str),
}

/// Starts a connection, which is established once it can be written to and [`connected`] says so.
pub(crate) fn connect(peer: Peer<'_>) -> Result<OwnedFd> {
    match peer {
        Peer::Tcp(SocketAddr::V4(address)) => {
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            begin(libc::AF_INET, &address, size_of_val(&address) as libc::socklen_t)
        }
        Peer::Tcp(SocketAddr::V6(address)) => {
            let address = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            begin(libc::AF_INET6, &address, size_of_val(&address) as libc::socklen_t)
        }
        Peer::Unix(path) => {
            let (address, size) = unix_address(&[], path.as_os_str().as_bytes(), &[0])?;
            begin(libc::AF_UNIX, &address, size)
        }
        Peer::Abstract(name) => {
            let (address, size) = unix_address(&[0], name.as_bytes(), &[])?;
            begin(libc::AF_UNIX, &address, size)
        }
    }
}

/// The longest path of a socket, and the longest name without a file.
pub(crate) const PATH_MAX: usize = 107;

fn begin<T>(family: libc::c_int, address: &T, size: libc::socklen_t) -> Result<OwnedFd> {
    // SAFETY: no pointers; the result is a new descriptor.
    let fd = unsafe {
        let fd = libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
        if fd < 0 {
            return Err(super::errno());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let fd = above_stdio(fd)?;
    // SAFETY: `T` is the address structure of `family`, of which `size` bytes are used.
    if unsafe { libc::connect(fd.as_raw_fd(), (&raw const *address).cast(), size) } == 0 {
        return Ok(fd);
    }
    match super::errno() {
        // An interrupted connect goes on as well.
        libc::EINPROGRESS | libc::EINTR => Ok(fd),
        errno => Err(errno),
    }
}

/// Tells whether a connection that has become writable is established.
pub(crate) fn connected(fd: &OwnedFd) -> Result<()> {
    let mut errno: libc::c_int = 0;
    let mut size = size_of_val(&errno) as libc::socklen_t;
    // SAFETY: one int and its size.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut errno).cast(), &raw mut size)
    };
    match (result, errno) {
        (0, 0) => Ok(()),
        (0, errno) => Err(errno),
        _ => Err(super::errno()),
    }
}

/// Reads once. Returns how many bytes came, 0 at the end; EAGAIN if there is nothing now.
pub(crate) fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    let (raw, start, length) = (fd.as_raw_fd(), buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the buffer and its length.
    retried_raw(|| unsafe { libc::recv(raw, start.cast(), length, 0) } as libc::c_long)
}

/// Writes once. Returns how many bytes were taken; EAGAIN if there is no room now. Never raises SIGPIPE.
pub(crate) fn send(fd: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    let (raw, start, length) = (fd.as_raw_fd(), bytes.as_ptr(), bytes.len());
    // SAFETY: the bytes and their length.
    retried_raw(|| unsafe { libc::send(raw, start.cast(), length, libc::MSG_NOSIGNAL) } as libc::c_long)
}

/// Says that nothing more will be written.
pub(crate) fn end_writing(fd: &OwnedFd) -> Result<()> {
    // SAFETY: takes no pointers.
    if unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) } == 0 { Ok(()) } else { Err(super::errno()) }
}

/// Ends a connection, or a listening socket, for every process that has a copy of the descriptor: a close would leave
/// it to a child of fork.
pub(crate) fn end(fd: &OwnedFd) {
    // SAFETY: takes no pointers. It fails if the connection has ended already.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Returns whether something has arrived (bytes, the end, an error) that was not read.
pub(crate) fn has_arrived(fd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    retried(|| poll(&mut polled, PollTimeout::ZERO)).is_ok_and(|count| count > 0)
}

/// Waits until `fd` can be read or written, as asked, or has failed; false if the time is over first. None: for ever.
pub(crate) fn wait(fd: &OwnedFd, read: bool, write: bool, timeout: Option<Duration>) -> bool {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLIN, read);
    flags.set(PollFlags::POLLOUT, write);
    let mut polled = [PollFd::new(fd.as_fd(), flags)];
    let timeout =
        timeout.map_or(PollTimeout::NONE, |time| PollTimeout::from(u16::try_from(whole_ms(time)).unwrap_or(u16::MAX)));
    // The wait may be interrupted, or cut at what a timeout can hold: the caller looks at its clock and waits again.
    poll(&mut polled, timeout).is_ok_and(|count| count > 0)
}
