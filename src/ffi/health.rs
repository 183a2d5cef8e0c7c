//! `coreproc_health`.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::time::Duration;

use super::bytes::coreproc_bytes;
use super::call::{call, call_owning, call_with_room};
use super::check::{coreproc_check, user_check};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free_with_room, read, shared};
use super::limit::{count, duration};
use super::user_data::coreproc_destroy;
use super::versioned::versioned;
use crate::error::Result;
use crate::{HealthOptions, HealthServer};

/// An HTTP server that says whether its program is well. Shared: reference-counted, thread-safe.
/// Freeing the last reference stops it at once, without waiting.
///
/// GET and HEAD of /health, also with a "/" at the end, run the checks side by side and answer
/// "ok\n" (200) or "unhealthy: WHY\n" (503); those of /ready answer "ready\n" (200) or "not
/// ready\n" (503). With "Accept: application/json" the answer is an object with a status and each
/// check's name, state ("passed", "failed", "panicked", "timed out", "still running", "not run"),
/// duration_ms and error. The server runs on one thread, coreproc-http, and checks run on threads
/// of their own, coreproc-check.
#[derive(Clone)]
pub struct coreproc_health(HealthServer);

const _: () = shared::<coreproc_health>();

impl Born for coreproc_health {}

/// The limits of a health server. Zero is the default everywhere, UNLIMITED no limit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_health_options {
    /// sizeof(coreproc_health_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How long one run of a check may take before the answer goes out without it (0: 5000). The
    /// check itself is not stopped; while it runs it is not started again.
    pub check_timeout_ms: u64,
    /// Connections at once (0: 4096), and never more than half of RLIMIT_NOFILE. When a further one
    /// comes, the one that has waited longest for its client's next request is closed.
    pub max_connections: u64,
    /// Bytes of a request's line and headers (0: 16 KiB). A longer one is answered with 431.
    pub max_header_bytes: u64,
    /// The time from a connection's beginning, or a further request's first byte, to the end of its
    /// headers (0: 10000).
    pub header_timeout_ms: u64,
    /// How long a connection may stay without a further request, or without taking its answer (0:
    /// 60000).
    pub idle_timeout_ms: u64,
}

versioned!(coreproc_health_options, 48);
const _: () = assert!(size_of::<coreproc_health_options>() == 48);

/// # Safety
/// As for [`Operation::options`].
pub(super) unsafe fn health_options(op: Operation, options: *const coreproc_health_options) -> Result<HealthOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    op.reserved(options.reserved)?;
    // The core takes 0 for its default as well.
    let time = |ms| duration(ms, Duration::ZERO);
    Ok(HealthOptions {
        check_timeout: time(options.check_timeout_ms),
        max_connections: count(options.max_connections),
        max_header_bytes: count(options.max_header_bytes),
        header_timeout: time(options.header_timeout_ms),
        idle_timeout: time(options.idle_timeout_ms),
    })
}

/// Makes a server that will listen at `address`: `127.0.0.1:0`, `[::1]:0`, `localhost:0` (its first
/// address that is free), `:8080` (every interface of the machine: every client that can reach it
/// can ask), `unix:/run/it.sock` (a socket file, for its owner and, as the umask allows, its
/// group), `unix:@it` (a name that is not a file: unix(7), "abstract"; for every user in the
/// network namespace). Port 0 lets the kernel choose. Nothing is opened, and the address is not
/// looked at, before coreproc_health_start. `options` may be NULL. Free `*out` with
/// coreproc_health_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_new(
    address: *const c_char,
    address_len: usize,
    options: *const coreproc_health_options,
    out: Option<&mut MaybeUninit<Box<coreproc_health>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("new health server", err, |op| {
        // SAFETY: `address` has `address_len` bytes.
        let address = unsafe { op.utf8("address", address, address_len) }?;
        let out = op.out(out)?;
        // SAFETY: `options` is NULL or begins with its size.
        let options = unsafe { health_options(op, options) }?;
        out.write(Box::new(coreproc_health(HealthServer::new(address, options))));
        Ok(())
    })
}

/// Adds a check, even while the server runs. If `name` is empty, the answer shows the reason alone.
/// `destroy` may be NULL. The library uses `user_data`, on any thread, until `destroy` has run,
/// which happens exactly once: after the last run, once the server is freed; or before this call
/// returns, if it fails. Thread-safe.
///
/// Errors: INVALID_ARGUMENT, also for a name that is taken, is longer than 100 bytes, or has
/// control characters; UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_add_check(
    health: Option<&coreproc_health>,
    name: *const c_char,
    name_len: usize,
    check: coreproc_check,
    user_data: *mut c_void,
    destroy: coreproc_destroy,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_owning("add check", err, (user_data, destroy), |op, user| {
        let check = user_check(op, check, user)?;
        let health = op.handle("health", health)?;
        // SAFETY: `name` has `name_len` bytes.
        health.0.add_check(unsafe { op.utf8("name", name, name_len) }?, check)
    })
}

/// Sets what /ready answers from now on: 1 (ready, as at first) or 0. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_set_ready(
    health: Option<&coreproc_health>,
    ready: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("set ready", err, |op| {
        let health = op.handle("health", health)?;
        health.0.set_ready(op.ready(ready)?);
        Ok(())
    })
}

/// Returns 1 if /ready answers 200, else 0; 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_ready(health: Option<&coreproc_health>) -> u32 {
    read(health, 0, |health| u32::from(health.0.is_ready()))
}

/// Binds, listens and serves; once this has returned, connections are accepted. A socket file that
/// a server left behind is replaced, under the lock of a file PATH.lock that exists for this
/// moment. Its mode is 0660, less the umask; a program that wants others to connect changes it
/// afterwards. A name is looked up by getaddrinfo(3), on this thread. After a stop the server can
/// be started again. Thread-safe.
///
/// Errors: INVALID_ARGUMENT for an address that cannot be read; BUSY if another server listens
/// there; INVALID_STATE while it runs; NOT_FOUND for a name without addresses; PERMISSION_DENIED;
/// SYSTEM; UNSUPPORTED.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_start(
    health: Option<&coreproc_health>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("start health server", err, |op| op.handle("health", health)?.0.start())
}

/// Gets the bound address while it runs, with the port that port 0 became; else the given one. Free
/// `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_address(
    health: Option<&coreproc_health>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("health address", err, |op| {
        let health = op.handle("health", health)?;
        op.out(out)?.write(coreproc_bytes::new(health.0.address()));
        Ok(())
    })
}

/// Stops it: no further connection is accepted, connections without a request under way are closed
/// at once, and requests under way are waited for up to `timeout_ms` (-1: for ever); then they are
/// cut, and the result is TIMED_OUT. In every case nothing listens and no connection is open
/// afterwards. Stopping a server that does not run is fine. A check that runs past its time limit
/// is not waited for. If another thread is starting the server, waits for that up to `timeout_ms`,
/// too; a start that takes longer goes on, and the result is TIMED_OUT. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside one of its checks or any callback; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_stop(
    health: Option<&coreproc_health>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("stop health server", err, |op| {
        let health = op.handle("health", health)?;
        health.0.stop(op.timeout(timeout_ms)?.unwrap_or(Duration::MAX))
    })
}

/// Returns another reference to the same server, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_ref(health: Option<&coreproc_health>) -> Option<Box<coreproc_health>> {
    another(health)
}

/// Gives a reference back. NULL is fine. Never blocks. The last one stops the server at once,
/// without waiting for requests or checks. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_health_free(health: Option<Box<coreproc_health>>) {
    free_with_room(health);
}
