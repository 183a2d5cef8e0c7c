//! Asks other programs whether they are well: [`wait_for_health`], [`probe_health`], and the same for `/ready`.
//!
//! `target` finds the addresses of the server that is asked, and asks it once or until it is well; `http` is one
//! question over one connection; `probe` is the answer.

#[cfg(feature = "health")]
mod http;
mod probe;
#[cfg(feature = "health")]
mod target;

use std::time::Duration;

pub use probe::Probe;

#[cfg(feature = "health")]
use super::address::Address;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "health")]
use crate::runtime::{Deadline, is_in_callback};
use crate::sys::fork;

/// The question that is asked.
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

/// Asks `/health` at `address` until the answer is 200, or `timeout` ([`Duration::MAX`]: no limit) has passed: at once,
/// then after 1 ms, and at growing intervals up to 50 ms.
///
/// An address is `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, `:8080` (this machine), `unix:/path` or `unix:@name`,
/// also with `http://` before it. The answer may take the whole timeout, but a question that is not answered within 10
/// s is asked again. If asking is pointless (an address that cannot be read, a call inside a callback or in a child of
/// fork, a build without the feature `health`), it returns the reason at once. It asks on the caller's thread; names
/// are looked up on a thread of their own, `coreproc-lookup`, because a lookup has no time limit.
pub fn wait_for_health(address: &str, timeout: Duration) -> Probe {
    reported(wait_for("wait for health", address, Endpoint::Health, timeout))
}

/// Like [`wait_for_health`], for `/ready`.
pub fn wait_for_ready(address: &str, timeout: Duration) -> Probe {
    reported(wait_for("wait for ready", address, Endpoint::Ready, timeout))
}

/// Asks `/health` at `address` once; see [`wait_for_health`].
pub fn probe_health(address: &str, timeout: Duration) -> Probe {
    reported(probe("probe health", address, Endpoint::Health, timeout))
}

/// Like [`probe_health`], for `/ready`.
pub fn probe_ready(address: &str, timeout: Duration) -> Probe {
    reported(probe("probe ready", address, Endpoint::Ready, timeout))
}

fn reported(result: Result<Probe>) -> Probe {
    result.unwrap_or_else(|error| Probe { ok: false, reason: error.to_string() })
}

/// Like [`wait_for_health`], but pointless asking is an error.
pub(crate) fn wait_for(operation: &'static str, address: &str, endpoint: Endpoint, timeout: Duration) -> Result<Probe> {
    ask(operation, address, endpoint, timeout, Repeat::UntilOk)
}

/// Like [`probe_health`], but pointless asking is an error.
pub(crate) fn probe(operation: &'static str, address: &str, endpoint: Endpoint, timeout: Duration) -> Result<Probe> {
    ask(operation, address, endpoint, timeout, Repeat::Never)
}

/// How often the question is asked.
#[derive(Clone, Copy)]
enum Repeat {
    Never,
    UntilOk,
}

#[cfg(feature = "health")]
fn ask(operation: &'static str, address: &str, endpoint: Endpoint, timeout: Duration, repeat: Repeat) -> Result<Probe> {
    fork::check_original(operation)?;
    let mut target = target::Target::new(Address::parse_peer(operation, address)?);
    if is_in_callback() {
        return Err(Error::new(ErrorKind::Deadlock, operation, "would wait inside a callback"));
    }
    let deadline = Deadline::within(timeout);
    let answer = match repeat {
        Repeat::Never => target.ask_once(endpoint.path(), deadline),
        Repeat::UntilOk => target.ask_until_ok(endpoint.path(), deadline),
    };
    Ok(answer.unwrap_or_else(|| Probe::unanswered(timeout)))
}

#[cfg(not(feature = "health"))]
fn ask(
    operation: &'static str,
    _address: &str,
    _endpoint: Endpoint,
    _timeout: Duration,
    _repeat: Repeat,
) -> Result<Probe> {
    fork::check_original(operation)?;
    Err(Error::new(ErrorKind::Unsupported, operation, "this build is without the feature \"health\""))
}
