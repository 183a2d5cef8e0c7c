//! What a server listens on.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::daemon::address::{Address, literal, look_up};
use crate::error::{Error, ErrorKind, Result, describe_errno, quoted};
use crate::sys::file::{self, Kind, Open};
use crate::sys::socket;

/// A listening socket; its file, if it has one, goes with it.
pub(super) struct Listener {
    pub(super) fd: OwnedFd,
    /// As callers write it, the port being the bound one.
    pub(super) address: String,
    pub(super) file: Option<SocketFile>,
}

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
    // Every address: both families on one socket, where the host has IPv6.
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
            Ok((fd, bound)) => return Ok(Listener { fd, address: written(bound), file: None }),
            // Somebody who has it is more telling than an address that this host lacks.
            Err(errno) if refused != libc::EADDRINUSE => refused = errno,
            Err(_) => {}
        }
    }
    Err(failed(operation, given, refused))
}

fn written(address: SocketAddr) -> String {
    address.to_string()
}

fn listen_unix(operation: &'static str, given: &str, path: &Path) -> Result<Listener> {
    let refused = |errno| failed(operation, given, errno);
    // The working directory may change before the file is removed.
    let absolute = std::path::absolute(path).map_err(|e| refused(e.raw_os_error().unwrap_or(libc::EINVAL)))?;
    let _lock = lock_path(&absolute).map_err(|error| error.during(operation).on(given))?;
    let fd = match socket::listen_unix(path) {
        Err(libc::EADDRINUSE) => {
            remove_stale(path).map_err(|why| Error::new(ErrorKind::Busy, operation, why).at("listen").on(given))?;
            socket::listen_unix(path).map_err(refused)?
        }
        other => other.map_err(refused)?,
    };
    let file = SocketFile::of(absolute).map_err(|e| refused(e.raw_os_error().unwrap_or(libc::EINVAL)))?;
    // From the root it may be longer than a socket's path can be: then it is for those alone who are in this folder.
    let written = if file.path.as_os_str().len() <= socket::PATH_MAX { &file.path } else { path };
    Ok(Listener { fd, address: format!("unix:{}", written.display()), file: Some(file) })
}

/// Between finding a socket file stale and having made one's own, nobody else of us may do the same: the second
/// would remove the first one's. The lock is that of a file beside it, `PATH.lock`, which only its owner may open, and which goes with
/// the lock; a lock of the directory could be had, and kept, by everybody who may read that.
fn lock_path(path: &Path) -> Result<Option<PathLock>> {
    const OPERATION: &str = "start health server";
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(2);
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let refused = |kind, why: &str| {
        let path = quoted(path.as_os_str().as_encoded_bytes());
        Err(Error::new(kind, OPERATION, format!("{path} {why}")).at("lock"))
    };
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        let file =
            file::open(&path, Open::Keep(0o600)).map_err(|errno| Error::system(OPERATION, "open lock", errno))?;
        let facts = file::facts(&file).map_err(|errno| Error::system(OPERATION, "look at lock", errno))?;
        if facts.kind != Kind::Regular || facts.owner != file::effective_user() {
            return refused(ErrorKind::PermissionDenied, "is no file of this user");
        }
        match file::lock(&file) {
            // Its last holder may have removed it between our open and our lock.
            Ok(true) if file::is_named(&file, &path) == Ok(true) => return Ok(Some(PathLock { file, path })),
            Ok(true) => continue,
            Ok(false) => {}
            // A file system without locks.
            Err(_) => return Ok(None),
        }
        thread::sleep(PAUSE);
        waited += PAUSE;
    }
    refused(ErrorKind::Busy, "is locked by another process")
}

/// Given back, and removed, when it is dropped.
struct PathLock {
    file: File,
    path: PathBuf,
}

impl Drop for PathLock {
    fn drop(&mut self) {
        let _ = file::unlink(&self.path);
        // Not by the close alone: children of fork may have copies.
        let _ = file::unlock(&self.file);
    }
}

/// Removes the file that a dead server left; says why not, where somebody lives there or it is something else.
fn remove_stale(path: &Path) -> std::result::Result<(), String> {
    let file = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    if !file.file_type().is_socket() {
        return Err("the path exists and is no socket".to_owned());
    }
    match socket::connect(socket::Peer::Unix(path)) {
        Err(libc::ECONNREFUSED) => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let why = describe_errno(error.raw_os_error().unwrap_or(libc::EIO));
                Err(format!("the socket of a server that has ended cannot be removed: {why}"))
            }
            _ => Ok(()),
        },
        Err(libc::ENOENT) => Ok(()),
        // A full backlog (EAGAIN) is somebody's as well.
        Ok(_) | Err(libc::EAGAIN) => Err(describe_errno(libc::EADDRINUSE)),
        Err(errno) => Err(format!("the socket that is there cannot be tried: {}", describe_errno(errno))),
    }
}

/// The file of a Unix socket, known by its inode: a successor's is left alone.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<SocketFile> {
        let file = fs::symlink_metadata(&path)?;
        Ok(SocketFile { identity: (file.dev(), file.ino()), path })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.identity);
        if ours {
            // Gone already, or a folder that is read-only by now: the next server finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}
