//! `coreproc_health`.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::bytes::coreproc_bytes;
use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::subscription::{UserData, coreproc_destroy};
use crate::daemon::{Endpoint, Probe, probe, wait_for};
use crate::error::{Error, Result};
use crate::{HealthOptions, HealthServer};

/// `/health`: do its checks pass?
pub const COREPROC_ENDPOINT_HEALTH: u32 = 1;
/// `/ready`: does it take work?
pub const COREPROC_ENDPOINT_READY: u32 = 2;

/// An HTTP server that says whether its program is well. Shared: reference-counted, thread-safe. Freeing the
/// last reference stops it at once, without waiting.
///
/// GET and HEAD of /health, also with a "/" at the end, run the checks side by side and answer "ok\n" (200) or "unhealthy: WHY\n" (503); of
/// /ready, "ready\n" (200) or "not ready\n" (503). With "Accept: application/json" the answer is an object with
/// a status and each check's name, state ("passed", "failed", "panicked", "timed out", "still running", "not
/// run"), duration_ms and error. It runs on one thread, coreproc-http, and checks on their own, coreproc-check.
pub struct coreproc_health(pub(super) HealthServer);

/// What a health server allows. Zero is the default everywhere, UINT64_MAX no limit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_health_options {
    /// sizeof(coreproc_health_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How long one run of a check may take before the answer goes out without it (0: 5 s). The check itself is
    /// not stopped; while it runs it is not started again.
    pub check_timeout_ms: u64,
    /// Connections at once (0: 4096), and never more than half of RLIMIT_NOFILE. When a further one comes, that
    /// which has waited longest for its client's next request is closed.
    pub max_connections: u64,
    /// Bytes of a request's line and headers (0: 16 KiB). A longer one is answered with 431.
    pub max_header_bytes: u64,
    /// From a connection's beginning, or a further request's first byte, to the end of its headers (0: 10 s).
    pub header_timeout_ms: u64,
    /// How long a connection may stay without a further request, or without taking its answer (0: 60 s).
    pub idle_timeout_ms: u64,
}

const _: () = assert!(size_of::<coreproc_health_options>() == 48);

/// The answer of a check that is running: valid during the callback, on its thread.
pub struct coreproc_check_answer {
    reason: RefCell<Option<String>>,
}

/// A check: returns 0 when all is well, else any other value, after it has said why with
/// coreproc_check_answer_reason. It runs on a thread of the library, coreproc-check, for each request that finds
/// it idle, never twice at once; it may block. It must not throw or longjmp. Inside it, stopping the server that
/// runs it returns DEADLOCK. Its thread blocks all signals, and a program that it starts by fork(2) or
/// posix_spawn(3) inherits that.
pub type coreproc_check =
    Option<unsafe extern "C" fn(answer: *mut coreproc_check_answer, user_data: *mut c_void) -> i32>;

/// A check with its user data, as the core calls it. `destroy` runs exactly once: when what is returned is
/// dropped, or here, when `check` is NULL.
///
/// # Safety
/// The header's contract of `coreproc_check`.
pub(super) unsafe fn user_check(
    operation: &'static str,
    check: coreproc_check,
    user: UserData,
) -> Result<impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static> {
    let check = check.ok_or_else(|| Error::invalid(operation, "check: is NULL"))?;
    Ok(move || {
        let user = &user;
        let mut answer = coreproc_check_answer { reason: RefCell::new(None) };
        // SAFETY: the caller's promise.
        match unsafe { check(&raw mut answer, user.pointer) } {
            0 => Ok(()),
            code => Err(answer.reason.into_inner().unwrap_or_else(|| format!("failed with {code}"))),
        }
    })
}

/// Milliseconds, where 0 is the default and the maximum no limit.
fn time(ms: u64) -> Duration {
    if ms == u64::MAX { Duration::MAX } else { Duration::from_millis(ms) }
}

/// # Safety
/// `options` is NULL or valid for reads of the size that it states.
pub(super) unsafe fn health_options(
    operation: &'static str,
    options: *const coreproc_health_options,
) -> Result<HealthOptions> {
    let zero = coreproc_health_options {
        struct_size: 0,
        reserved: 0,
        check_timeout_ms: 0,
        max_connections: 0,
        max_header_bytes: 0,
        header_timeout_ms: 0,
        idle_timeout_ms: 0,
    };
    // SAFETY: the caller's promise; plain data.
    let options = unsafe { guard::options(operation, options, 48, zero)? };
    guard::reserved(operation, options.reserved)?;
    let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Ok(HealthOptions {
        check_timeout: time(options.check_timeout_ms),
        max_connections: size(options.max_connections),
        max_header_bytes: size(options.max_header_bytes),
        header_timeout: time(options.header_timeout_ms),
        idle_timeout: time(options.idle_timeout_ms),
    })
}

/// # Safety
/// `pointer` is NULL or valid for reads of `len` bytes.
pub(super) unsafe fn utf8<'a>(
    operation: &'static str,
    name: &str,
    pointer: *const c_char,
    len: usize,
) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { guard::bytes(operation, name, pointer.cast(), len)? };
    std::str::from_utf8(bytes).map_err(|_| Error::invalid(operation, format!("{name}: is not UTF-8")))
}

/// A server that will listen at `address`: `127.0.0.1:0`, `[::1]:0`, `localhost:0` (its first address that can
/// be had), `:8080` (every interface of the machine: whoever can reach it can ask), `unix:/run/it.sock` (a socket file,
/// for its owner and, as the umask has it, its group), `unix:@it` (a name that is no file: unix(7), "abstract"; for
/// everybody in the network namespace). Port 0 lets the kernel choose. Nothing is opened, and the address is not
/// looked at, before coreproc_health_start. `options` may be NULL. `*out` is to be freed with
/// coreproc_health_free. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_new(
    address: *const c_char,
    address_len: usize,
    options: *const coreproc_health_options,
    out: *mut *mut coreproc_health,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "new health server";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let address = utf8(OPERATION, "address", address, address_len)?;
            let out = guard::out(OPERATION, out)?;
            let server = HealthServer::new(address, health_options(OPERATION, options)?);
            out.write(Box::into_raw(Box::new(coreproc_health(server))));
            Ok(())
        })
    }
}

/// Adds a check, also while the server runs. `name` may be empty: then its reason stands in the answer alone.
/// `destroy` may be NULL. `user_data` is the library's until `destroy` has run, which it does exactly once, on
/// any thread: after the last run, once the server is freed; or before this returns, when it fails. Thread-safe.
/// Errors: INVALID_ARGUMENT (also a name that is taken, is longer than 100 bytes, or has control characters),
/// UNSUPPORTED.
///
/// # Safety
/// Pointers are NULL or valid; `user_data` may be used from another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_add_check(
    health: *mut coreproc_health,
    name: *const c_char,
    name_len: usize,
    check: coreproc_check,
    user_data: *mut c_void,
    destroy: coreproc_destroy,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "add check";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call_owning(OPERATION, err, (user_data, destroy), |user| {
            let check = user_check(OPERATION, check, user)?;
            let health = guard::handle(OPERATION, "health", health)?;
            health.0.add_check(utf8(OPERATION, "name", name, name_len)?, check)
        })
    }
}

/// Says, inside a check, why it fails; a later call replaces an earlier one. It is of no effect when the check
/// then returns 0. UTF-8 (what is not is replaced); line breaks become blanks; after 1000 bytes it is cut.
/// Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid; `answer` is what this thread's running check was given.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_check_answer_reason(
    answer: *mut coreproc_check_answer,
    text: *const c_char,
    text_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "reason of a check";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let answer = guard::handle(OPERATION, "answer", answer)?;
            let text = guard::bytes(OPERATION, "text", text.cast(), text_len)?;
            answer.reason.replace(Some(String::from_utf8_lossy(text).into_owned()));
            Ok(())
        })
    }
}

/// What /ready answers from now on: 0 not ready, 1 ready, which it is at first. Thread-safe.
/// Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_set_ready(
    health: *mut coreproc_health,
    ready: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "set ready";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let health = guard::handle(OPERATION, "health", health)?;
            if ready > 1 {
                return Err(guard::unknown(OPERATION, "ready", ready));
            }
            health.0.set_ready(ready == 1);
            Ok(())
        })
    }
}

/// 1 when /ready answers 200, else 0; 0 for NULL. Thread-safe.
///
/// # Safety
/// `health` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_ready(health: *const coreproc_health) -> u32 {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { health.as_ref() }.map_or(0, |health| u32::from(health.0.is_ready())))
}

/// Binds, listens and serves; once this has returned, connections are accepted. A socket file that a server left
/// behind is replaced, under the lock of a file PATH.lock that is there for this moment. Its mode is 0660, less what
/// the umask takes; a program that wants others to connect changes it afterwards. A name is looked up by
/// getaddrinfo(3), on this thread.
/// After a stop it can be started again. Thread-safe. Errors: INVALID_ARGUMENT for an address that cannot be
/// read, BUSY where somebody listens there, INVALID_STATE while it runs, NOT_FOUND for a name without addresses,
/// PERMISSION_DENIED, SYSTEM, UNSUPPORTED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_start(
    health: *mut coreproc_health,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "start health server";
    // SAFETY: the caller's promises.
    unsafe { guard::call_with_room(OPERATION, err, || guard::handle(OPERATION, "health", health)?.0.start()) }
}

/// The bound address while it runs, with the port that port 0 became; else the given one. `*out` is to be freed
/// with coreproc_bytes_free. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_address(
    health: *mut coreproc_health,
    out: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "health address";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let health = guard::handle(OPERATION, "health", health)?;
            guard::out(OPERATION, out)?.write(coreproc_bytes::into_raw(health.0.address().into_bytes()));
            Ok(())
        })
    }
}

/// Stops it: nothing is accepted any more, connections without a request under way are closed at once, and
/// requests under way are waited for up to `timeout_ms` (-1: for ever); then they are cut, which is TIMED_OUT.
/// In every case nothing listens and no connection is open afterwards. Stopping what does not run is fine. A
/// check that runs past its time limit is not waited for. One that another thread is starting is waited for up to
/// `timeout_ms`, too; then it goes on, which is TIMED_OUT. Thread-safe. Errors: INVALID_ARGUMENT, TIMED_OUT,
/// DEADLOCK inside one of its checks or any callback, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_stop(
    health: *mut coreproc_health,
    timeout_ms: i64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "stop health server";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call_with_room(OPERATION, err, || {
            let health = guard::handle(OPERATION, "health", health)?;
            health.0.stop(guard::timeout(OPERATION, timeout_ms)?.unwrap_or(Duration::MAX))
        })
    }
}

/// Another reference to the same server, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `health` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_ref(health: *mut coreproc_health) -> *mut coreproc_health {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { health.as_ref() }
            .map_or(std::ptr::null_mut(), |health| Box::into_raw(Box::new(coreproc_health(health.0.clone()))))
    })
}

/// Gives a reference back; NULL is fine. Never blocks. The last one stops the server at once, without waiting
/// for requests or checks.
///
/// # Safety
/// `health` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_free(health: *mut coreproc_health) {
    if !health.is_null() {
        // SAFETY: the caller's promise; made by `new` or `ref`.
        guard::free_with_room(|| drop(unsafe { Box::from_raw(health) }));
    }
}

/// Asks a server at `address` until it answers 200, or `timeout_ms` (-1: never) has passed: at once, then after
/// 1 ms, and at growing intervals up to 50 ms. `endpoint` is a COREPROC_ENDPOINT value. An address is
/// `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, `:8080` (this machine), `unix:/path` or `unix:@name`, also with
/// `http://` before it. `*ok` becomes 1 or 0. `*reason`, where `reason` is not NULL, becomes the body of the answer, such as
/// "ok", or the last thing that was in its way, such as "connection refused" or "503: unhealthy: no database";
/// it is to be freed with coreproc_bytes_free. Names are looked up on a thread of the library, coreproc-lookup.
/// Thread-safe. Errors: INVALID_ARGUMENT, DEADLOCK inside an event callback, UNSUPPORTED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_wait(
    address: *const c_char,
    address_len: usize,
    endpoint: u32,
    timeout_ms: i64,
    ok: *mut u32,
    reason: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "wait for health";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call_with_room(OPERATION, err, || {
            let address = utf8(OPERATION, "address", address, address_len)?;
            let endpoint = self::endpoint(OPERATION, endpoint)?;
            let timeout = guard::timeout(OPERATION, timeout_ms)?.unwrap_or(Duration::MAX);
            let ok = guard::out(OPERATION, ok)?;
            write_probe(wait_for(OPERATION, address, endpoint, timeout)?, ok, reason);
            Ok(())
        })
    }
}

/// As coreproc_health_wait, but asks once. Thread-safe. Errors: INVALID_ARGUMENT, DEADLOCK, UNSUPPORTED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_health_probe(
    address: *const c_char,
    address_len: usize,
    endpoint: u32,
    timeout_ms: i64,
    ok: *mut u32,
    reason: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "probe health";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call_with_room(OPERATION, err, || {
            let address = utf8(OPERATION, "address", address, address_len)?;
            let endpoint = self::endpoint(OPERATION, endpoint)?;
            let timeout = guard::timeout(OPERATION, timeout_ms)?.unwrap_or(Duration::MAX);
            let ok = guard::out(OPERATION, ok)?;
            write_probe(probe(OPERATION, address, endpoint, timeout)?, ok, reason);
            Ok(())
        })
    }
}

fn endpoint(operation: &'static str, value: u32) -> Result<Endpoint> {
    match value {
        COREPROC_ENDPOINT_HEALTH => Ok(Endpoint::Health),
        COREPROC_ENDPOINT_READY => Ok(Endpoint::Ready),
        other => Err(guard::unknown(operation, "endpoint", other)),
    }
}

/// # Safety
/// `ok` is valid for a write, `reason` NULL or so.
unsafe fn write_probe(probe: Probe, ok: *mut u32, reason: *mut *mut coreproc_bytes) {
    // SAFETY: the caller's promise.
    unsafe {
        ok.write(u32::from(probe.ok));
        if !reason.is_null() {
            reason.write(coreproc_bytes::into_raw(probe.reason.into_bytes()));
        }
    }
}
