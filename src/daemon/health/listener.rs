//! [`Listener`]: the socket that a server listens on, with its file.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::address::{Address, literal, look_up};
use crate::daemon::lock_file::{self, Locked};
use crate::error::{Error, ErrorKind, Result, describe_errno};
use crate::runtime::Deadline;
use crate::sys::file::{self, Facts, Kind, Open};
use crate::sys::socket;
use crate::util::path::{quoted, with_suffix};

/// A listening socket. Its file, if it has one, is removed with it.
pub(super) struct Listener {
    pub(super) fd: OwnedFd,
    /// The address as callers write it, with the bound port.
    pub(super) address: String,
    pub(super) file: Option<SocketFile>,
}

/// Listens at the address `given`.
pub(super) fn listen(operation: &'static str, given: &str) -> Result<Listener> {
    match Address::parse(operation, given)? {
        Address::Tcp(host, port) => listen_tcp(operation, given, &host, port),
        Address::Unix(path) => listen_unix(operation, given, &path),
        Address::Abstract(name) => {
            let fd = socket::listen_abstract(&name).map_err(|errno| failed(operation, given, errno))?;
            Ok(Listener { fd, address: given.to_owned(), file: None })
        }
    }
}

fn failed(operation: &'static str, given: &str, errno: i32) -> Error {
    let error = Error::system(operation, "listen", errno).on(given);
    if errno == libc::EADDRINUSE { error.kind_is(ErrorKind::Busy) } else { error }
}

fn listen_tcp(operation: &'static str, given: &str, host: &str, port: u16) -> Result<Listener> {
    // For every address: one socket of both families if the machine has IPv6, else one of IPv4.
    let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    let addresses = match literal(host, port, &any) {
        Some(addresses) => addresses,
        None => {
            look_up(host, port).map_err(|why| Error::new(ErrorKind::NotFound, operation, why).at("lookup").on(given))?
        }
    };
    let mut refused = libc::EADDRNOTAVAIL;
    for address in addresses {
        match socket::listen_tcp(address) {
            Ok((fd, bound)) => return Ok(Listener { fd, address: bound.to_string(), file: None }),
            // An address in use explains more than an address that is not this machine's.
            Err(errno) if refused != libc::EADDRINUSE => refused = errno,
            Err(_) => {}
        }
    }
    Err(failed(operation, given, refused))
}

fn listen_unix(operation: &'static str, given: &str, path: &Path) -> Result<Listener> {
    let refused = |errno| failed(operation, given, errno);
    // The working directory may change before the file is removed.
    let absolute = std::path::absolute(path).map_err(|e| refused(e.raw_os_error().unwrap_or(libc::EINVAL)))?;
    let _lock = PathLock::take(operation, &absolute).map_err(|error| error.on(given))?;
    let fd = match socket::listen_unix(path) {
        Err(libc::EADDRINUSE) => {
            remove_stale(path).map_err(|why| Error::new(ErrorKind::Busy, operation, why).at("listen").on(given))?;
            socket::listen_unix(path).map_err(refused)?
        }
        other => other.map_err(refused)?,
    };
    let file = SocketFile::new(absolute).map_err(refused)?;
    // From the root the path may be longer than a socket's can be; then only programs in this directory can use it.
    let address = if file.path.as_os_str().len() <= socket::PATH_MAX { &file.path } else { path };
    Ok(Listener { fd, address: format!("unix:{}", address.display()), file: Some(file) })
}

/// Removes the file that a dead server left behind. The error says that a server lives there, or that the file is
/// something else.
fn remove_stale(path: &Path) -> std::result::Result<(), String> {
    if file::look(path).map_err(describe_errno)?.kind != Kind::Other(file::SOCKET) {
        return Err("the path exists and is no socket".to_owned());
    }
    match socket::connect(socket::Peer::Unix(path)) {
        Err(libc::ECONNREFUSED) => match file::unlink(path) {
            Ok(()) | Err(libc::ENOENT) => Ok(()),
            Err(errno) => {
                let why = describe_errno(errno);
                Err(format!("the socket of a server that has ended cannot be removed: {why}"))
            }
        },
        Err(libc::ENOENT) => Ok(()),
        // With a full backlog (EAGAIN) a server listens as well.
        Ok(_) | Err(libc::EAGAIN) => Err(describe_errno(libc::EADDRINUSE)),
        Err(errno) => Err(format!("the socket that is there cannot be tried: {}", describe_errno(errno))),
    }
}

/// The lock of `PATH.lock`, which is removed and given back when this is dropped.
///
/// From the moment when it finds a socket file stale until it has made its own, a server keeps other servers of this
/// library from doing the same: the second would remove the first one's file. Only the owner may open the lock's file;
/// a lock of the directory could be taken, and kept, by every process that may read the directory.
struct PathLock {
    file: File,
    path: PathBuf,
}

impl PathLock {
    /// Takes the lock; None if the file system has no locks.
    fn take(operation: &'static str, socket: &Path) -> Result<Option<PathLock>> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let path = with_suffix(socket, ".lock");
        let refused = |kind, why: &str| Err(Error::new(kind, operation, format!("{} {why}", quoted(&path))).at("lock"));
        let check = |file: &File| {
            let facts = file::facts(file).map_err(|errno| Error::system(operation, "look at lock", errno))?;
            if facts.kind != Kind::Regular || facts.owner != file::effective_user() {
                return refused(ErrorKind::PermissionDenied, "is no file of this user");
            }
            Ok(())
        };
        match lock_file::lock(operation, &path, Open::Keep(0o600), Deadline::after(Some(PATIENCE)), check)? {
            Locked::Yes(file) => Ok(Some(PathLock { file, path })),
            Locked::Unsupported(_) => Ok(None),
            Locked::Busy => refused(ErrorKind::Busy, "is locked by another process").map(|()| None),
        }
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        let _ = file::unlink(&self.path);
        // A close alone does not do: children of fork may have copies.
        let _ = file::unlock(&self.file);
    }
}

/// The file of a Unix socket, removed when this is dropped. It is known by its inode, so that a successor's is left
/// alone.
pub(super) struct SocketFile {
    path: PathBuf,
    facts: Facts,
}

impl SocketFile {
    fn new(path: PathBuf) -> std::result::Result<SocketFile, i32> {
        let facts = file::look(&path)?;
        Ok(SocketFile { path, facts })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = file::look(&self.path).is_ok_and(|facts| facts.is_same_file(&self.facts));
        if is_ours {
            // If it cannot be removed, the next server finds it stale.
            let _ = file::unlink(&self.path);
        }
    }
}
