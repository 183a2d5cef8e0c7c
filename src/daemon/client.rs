//! Asking others whether they are well: [`wait_for_health`], [`probe_health`], and the same of `/ready`.

use std::time::Duration;

#[cfg(feature = "health")]
use super::address::Address;
#[cfg(feature = "health")]
use super::http::Client;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "health")]
use crate::runtime::is_in_callback;
use crate::sys::fork;

/// What was learnt of somebody's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Was the answer 200?
    pub ok: bool,
    /// The body of that answer, such as `ok`; else the last thing that was in its way, such as `connection refused`
    /// or `503: unhealthy: no database`. One line.
    pub reason: String,
}

/// Which question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Health,
    Ready,
}

impl Endpoint {
    #[cfg(feature = "health")]
    fn path(self) -> &'static str {
        match self {
            Endpoint::Health => "/health",
            Endpoint::Ready => "/ready",
        }
    }
}

/// Asks `/health` at `address` until the answer is 200, or `timeout` ([`Duration::MAX`]: never) has passed: at once,
/// then after 1 ms, and at growing intervals up to 50 ms.
///
/// An address is `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, `:8080` (this machine), `unix:/path` or `unix:@name`, also
/// with `http://` before it. The answer may take the whole timeout, but one that does not come within 10 s is asked for
/// again. What makes asking pointless (an address that cannot be read, a call inside a callback, in a child of fork,
/// without the feature `health`) is a reason at once. On the caller's thread; names are looked up on one of their own,
/// `coreproc-lookup`, because that has no time limit.
pub fn wait_for_health(address: &str, timeout: Duration) -> Probe {
    told(wait_for("wait for health", address, Endpoint::Health, timeout))
}

/// As [`wait_for_health`], of `/ready`.
pub fn wait_for_ready(address: &str, timeout: Duration) -> Probe {
    told(wait_for("wait for ready", address, Endpoint::Ready, timeout))
}

/// Asks `/health` at `address` once; see [`wait_for_health`].
pub fn probe_health(address: &str, timeout: Duration) -> Probe {
    told(probe("probe health", address, Endpoint::Health, timeout))
}

/// As [`probe_health`], of `/ready`.
pub fn probe_ready(address: &str, timeout: Duration) -> Probe {
    told(probe("probe ready", address, Endpoint::Ready, timeout))
}

fn told(result: Result<Probe>) -> Probe {
    result.unwrap_or_else(|error| Probe { ok: false, reason: error.to_string() })
}

/// As [`wait_for_health`]; what makes asking pointless is an error.
pub(crate) fn wait_for(operation: &'static str, address: &str, endpoint: Endpoint, timeout: Duration) -> Result<Probe> {
    ask(operation, address, endpoint, timeout, Patience::UntilOk)
}

/// As [`probe_health`]; what makes asking pointless is an error.
pub(crate) fn probe(operation: &'static str, address: &str, endpoint: Endpoint, timeout: Duration) -> Result<Probe> {
    ask(operation, address, endpoint, timeout, Patience::Once)
}

#[derive(Clone, Copy)]
enum Patience {
    Once,
    UntilOk,
}

#[cfg(feature = "health")]
fn ask(
    operation: &'static str,
    address: &str,
    endpoint: Endpoint,
    timeout: Duration,
    patience: Patience,
) -> Result<Probe> {
    fork::check(operation)?;
    let mut client = Client::new(Address::parse_peer(operation, address)?);
    if is_in_callback() {
        return Err(Error::new(ErrorKind::Deadlock, operation, "would wait inside a callback"));
    }
    Ok(match patience {
        Patience::Once => client.probe(endpoint.path(), timeout),
        Patience::UntilOk => client.wait_for(endpoint.path(), timeout),
    })
}

#[cfg(not(feature = "health"))]
fn ask(
    operation: &'static str,
    _address: &str,
    _endpoint: Endpoint,
    _timeout: Duration,
    _patience: Patience,
) -> Result<Probe> {
    fork::check(operation)?;
    Err(Error::new(ErrorKind::Unsupported, operation, "this build is without the feature \"health\""))
}
