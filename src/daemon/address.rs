//! Addresses of health servers: `HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `unix:PATH`, `unix:@NAME`.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::error::{Error, Result, quoted};

/// One address, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A name or a number (IPv6 without its brackets; empty for any address) and a port.
    Tcp(String, u16),
    /// The path of a socket file.
    Unix(PathBuf),
    /// The name, without the `@`, of a socket that has no file: unix(7), "abstract".
    Abstract(String),
}

/// The longest name that DNS knows is 253 bytes; a number with its zone is shorter.
const HOST_MAX: usize = 255;
/// The size of `sun_path` in unix(7), without the NUL.
const PATH_MAX: usize = 107;

impl Address {
    /// Reads the address at which a server listens.
    pub(super) fn parse(operation: &'static str, text: &str) -> Result<Address> {
        read(text).map_err(|why| Error::invalid(operation, why).on(quoted(text.as_bytes())))
    }

    /// Reads the address that a client asks: it may have `http://` before it and a `/` after it.
    pub(super) fn parse_peer(operation: &'static str, text: &str) -> Result<Address> {
        let refused = |why: &str| Error::invalid(operation, why).on(quoted(text.as_bytes()));
        let address = match text.strip_prefix("http://") {
            None => text.to_owned(),
            Some(rest) => match rest.strip_suffix('/').unwrap_or(rest) {
                rest if rest.contains('/') => return Err(refused("a path after the address; the path is chosen here")),
                rest if has_port(rest) => rest.to_owned(),
                rest => format!("{rest}:80"),
            },
        };
        if address.starts_with("https://") {
            return Err(refused("https is not spoken"));
        }
        match read(&address) {
            Ok(Address::Tcp(_, 0)) => Err(refused("port 0 is nobody's")),
            Ok(address) => Ok(address),
            Err(why) => Err(refused(&why)),
        }
    }
}

fn has_port(text: &str) -> bool {
    // The colons of an IPv6 address are inside brackets.
    text.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
}

fn read(text: &str) -> std::result::Result<Address, String> {
    if text.contains('\0') {
        return Err("contains a NUL byte".to_owned());
    }
    if let Some(name) = text.strip_prefix("unix:@") {
        return match name.len() {
            0 => Err("no name after \"unix:@\"".to_owned()),
            1..=PATH_MAX => Ok(Address::Abstract(name.to_owned())),
            long => Err(format!("the name has {long} bytes, the kernel allows {PATH_MAX}")),
        };
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.len() {
            0 => Err("no path after \"unix:\"".to_owned()),
            1..=PATH_MAX => Ok(Address::Unix(path.into())),
            long => Err(format!("the path has {long} bytes, the kernel allows {PATH_MAX}")),
        };
    }
    let Some((host, port)) = text.rsplit_once(':').filter(|_| has_port(text)) else {
        return Err("no port; an address is HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH or unix:@NAME".to_owned());
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the port {} is no number", quoted(port.as_bytes())));
    }
    let port = port.parse().map_err(|_| format!("the port {port} is above 65535"))?;
    let host = match host.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.strip_suffix(']').ok_or("a \"[\" without its \"]\"")?;
            if !inner.contains(':') {
                return Err("between brackets stands an IPv6 address".to_owned());
            }
            inner
        }
        None if host.contains(':') => return Err("an IPv6 address stands between brackets".to_owned()),
        None => host,
    };
    if host.len() > HOST_MAX {
        return Err(format!("the host has {} bytes, names have at most {HOST_MAX}", host.len()));
    }
    if let Some(odd) = host.chars().find(|c| c.is_control() || c.is_whitespace() || "/\\@?#[]".contains(*c)) {
        return Err(format!("{odd:?} in the host"));
    }
    Ok(Address::Tcp(host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

/// Returns the addresses of `host` if it is a number; those of `any` if it is empty; None if it is a name.
pub(super) fn literal(host: &str, port: u16, any: &[IpAddr]) -> Option<Vec<SocketAddr>> {
    if host.is_empty() {
        return Some(any.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
    }
    host.parse::<IpAddr>().ok().map(|ip| vec![SocketAddr::new(ip, port)])
}

/// Returns the addresses of a name, by getaddrinfo(3), which has no time limit.
pub(super) fn look_up(host: &str, port: u16) -> std::result::Result<Vec<SocketAddr>, String> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() { Err(format!("{host} has no address")) } else { Ok(addresses) }
        }
        Err(error) => Err(format!("looking up {host}: {}", without_prefix(&error.to_string()))),
    }
}

/// Removes "failed to lookup address information: ", which std writes before what getaddrinfo says.
fn without_prefix(text: &str) -> &str {
    text.rsplit_once(": ").map_or(text, |(_, why)| why)
}
