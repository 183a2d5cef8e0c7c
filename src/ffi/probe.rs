//! Questions to the health server of another program.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

use super::bytes::coreproc_bytes;
use super::call::call_with_room;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use crate::daemon::{Endpoint, Probe, probe, wait_for};
use crate::error::Result;

/// `/health`: whether its checks pass.
pub const COREPROC_ENDPOINT_HEALTH: u32 = 1;
/// `/ready`: whether it takes work.
pub const COREPROC_ENDPOINT_READY: u32 = 2;

fn endpoint_of(op: Operation, value: u32) -> Result<Endpoint> {
    match value {
        COREPROC_ENDPOINT_HEALTH => Ok(Endpoint::Health),
        COREPROC_ENDPOINT_READY => Ok(Endpoint::Ready),
        other => Err(op.unknown("endpoint", other)),
    }
}

/// The outputs of a question: whether all is well, and the reason.
type Out<'a> = (Option<&'a mut MaybeUninit<u32>>, Option<&'a mut MaybeUninit<Box<coreproc_bytes>>>);

/// Asks in one of the ways of the core.
///
/// # Safety
/// As for [`Operation::utf8`], with the address.
unsafe fn ask(
    op: Operation,
    way: impl FnOnce(&'static str, &str, Endpoint, Duration) -> Result<Probe>,
    (address, address_len): (*const c_char, usize),
    endpoint: u32,
    timeout_ms: i64,
    (ok, reason): Out<'_>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let address = unsafe { op.utf8("address", address, address_len) }?;
    let endpoint = endpoint_of(op, endpoint)?;
    let timeout = op.timeout(timeout_ms)?.unwrap_or(Duration::MAX);
    let ok = op.out(ok)?;
    let probe = way(op.0, address, endpoint, timeout)?;
    ok.write(u32::from(probe.ok));
    if let Some(reason) = reason {
        reason.write(coreproc_bytes::new(probe.reason));
    }
    Ok(())
}

/// Asks a server at `address` until it answers 200, or `timeout_ms` (-1: never) has passed: at
/// once, then after 1 ms, and at growing intervals up to 50 ms. `endpoint` is a COREPROC_ENDPOINT
/// value. An address is `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, `:8080` (this machine),
/// `unix:/path` or `unix:@name`, also with `http://` before it. `*ok` becomes 1 or 0. `*reason`
/// becomes the body of the answer, such as "ok", or the last obstacle, such as "connection refused"
/// or "503: unhealthy: no database"; free it with coreproc_bytes_free. `reason` may be NULL. Names
/// are looked up on a thread of the library, coreproc-lookup. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; DEADLOCK inside an event callback; UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_wait(
    address: *const c_char,
    address_len: usize,
    endpoint: u32,
    timeout_ms: i64,
    ok: Option<&mut MaybeUninit<u32>>,
    reason: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("wait for health", err, |op| {
        // SAFETY: `address` has `address_len` bytes.
        unsafe { ask(op, wait_for, (address, address_len), endpoint, timeout_ms, (ok, reason)) }
    })
}

/// Like coreproc_health_wait, but asks once. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; DEADLOCK inside an event callback; UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_probe(
    address: *const c_char,
    address_len: usize,
    endpoint: u32,
    timeout_ms: i64,
    ok: Option<&mut MaybeUninit<u32>>,
    reason: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("probe health", err, |op| {
        // SAFETY: `address` has `address_len` bytes.
        unsafe { ask(op, probe, (address, address_len), endpoint, timeout_ms, (ok, reason)) }
    })
}
