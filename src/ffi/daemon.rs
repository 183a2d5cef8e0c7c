//! `coreproc_daemon`.

use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;

use super::bytes::coreproc_bytes;
use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::health::{coreproc_check, coreproc_health_options, health_options, user_check, utf8};
use super::pid_file::path;
use super::registry::{coreproc_daemon_entry, coreproc_registry, entry_of};
use super::service::duration;
use super::subscription::coreproc_destroy;
use crate::error::{Error, Result};
use crate::{Daemon, DaemonOptions};

/// The life of this program as a daemon: PID file, health server and registry entry, each where the options say
/// so. Shared: reference-counted, thread-safe. Freeing the last reference while it runs gives everything back,
/// without waiting for requests.
///
/// It starts in this order: PID file, health server, registry; and stops in this: not ready, health server down,
/// PID file released, unregistered.
pub struct coreproc_daemon(Daemon);

/// What a daemon has. Zero is the default, or nothing, everywhere. All of it is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_daemon_options {
    /// sizeof(coreproc_daemon_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How long a stop may take (0: 30000; UNLIMITED: as long as it takes).
    pub shutdown_timeout_ms: u64,
    /// Its PID file, or empty.
    pub pid_file: *const c_char,
    /// The length of `pid_file`.
    pub pid_file_len: usize,
    /// Where its health server listens, as for coreproc_health_new, or empty: then it has none.
    pub health_address: *const c_char,
    /// The length of `health_address`.
    pub health_address_len: usize,
    /// The limits of its health server; may be NULL.
    pub health: *const coreproc_health_options,
    /// The registry that it is found in; NULL: none.
    pub registry: *const coreproc_registry,
    /// What the registry says of it; needed where there is a registry, with code and daemon. PID and start are
    /// filled in when it starts, the health address where there is a health server, and project (the current
    /// folder) and binary where they are empty.
    pub entry: *const coreproc_daemon_entry,
}

const _: () = assert!(size_of::<coreproc_daemon_options>() == 72);

const NO_OPTIONS: coreproc_daemon_options = coreproc_daemon_options {
    struct_size: 0,
    reserved: 0,
    shutdown_timeout_ms: 0,
    pid_file: std::ptr::null(),
    pid_file_len: 0,
    health_address: std::ptr::null(),
    health_address_len: 0,
    health: std::ptr::null(),
    registry: std::ptr::null(),
    entry: std::ptr::null(),
};

/// # Safety
/// `options` is NULL or valid for reads of the size that it states, and what it points to likewise.
unsafe fn daemon_options(operation: &'static str, options: *const coreproc_daemon_options) -> Result<DaemonOptions> {
    // SAFETY: the caller's promises; plain data.
    unsafe {
        let options = guard::options(operation, options, 72, NO_OPTIONS)?;
        guard::reserved(operation, options.reserved)?;
        let default = DaemonOptions::default();
        let pid_file = path(operation, "pid_file", options.pid_file, options.pid_file_len)?;
        let address = utf8(operation, "health_address", options.health_address, options.health_address_len)?;
        let entry = entry_of(operation, options.entry)?;
        if entry.pid != 0 {
            return Err(Error::invalid(operation, format!("entry: pid is {}, must be 0", entry.pid)));
        }
        Ok(DaemonOptions {
            pid_file: (!pid_file.is_empty()).then(|| OsStr::from_bytes(pid_file.as_bytes()).into()),
            shutdown_timeout: duration(options.shutdown_timeout_ms, default.shutdown_timeout),
            health_address: (!address.is_empty()).then(|| address.to_owned()),
            health: health_options(operation, options.health)?,
            registry: options.registry.as_ref().map(|registry| registry.registry.clone()),
            entry,
        })
    }
}

/// A daemon that has not started: nothing is opened, and nothing is looked at. `options` may be NULL. `*out` is to
/// be freed with coreproc_daemon_free. Thread-safe. Errors: INVALID_ARGUMENT names the field.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_new(
    options: *const coreproc_daemon_options,
    out: *mut *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "new daemon";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let out = guard::out(OPERATION, out)?;
            let daemon = Daemon::new(daemon_options(OPERATION, options)?);
            out.write(Box::into_raw(Box::new(coreproc_daemon(daemon))));
            Ok(())
        })
    }
}

/// Adds a check to its health server: as coreproc_health_add_check. Inside it coreproc_daemon_request_stop is
/// fine, and coreproc_daemon_stop returns DEADLOCK. Thread-safe. Errors: INVALID_STATE where it has no health
/// address; those of coreproc_health_add_check.
///
/// # Safety
/// Pointers are NULL or valid; `user_data` may be used from another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_add_check(
    daemon: *mut coreproc_daemon,
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
            let daemon = guard::handle(OPERATION, "daemon", daemon)?;
            daemon.0.add_check(utf8(OPERATION, "name", name, name_len)?, check)
        })
    }
}

/// Takes the PID file, starts the health server, registers. When a step fails, what was done before it is undone.
/// One that was stopped can be started again. Thread-safe. Errors: INVALID_STATE when it is started already;
/// INVALID_ARGUMENT for an entry without code or daemon; those of coreproc_pid_file_acquire,
/// coreproc_health_start and coreproc_registry_register.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_start(
    daemon: *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "start daemon";
    // SAFETY: the caller's promises.
    unsafe { guard::call_with_room(OPERATION, err, || guard::handle(OPERATION, "daemon", daemon)?.0.start()) }
}

/// Waits until a stop is requested (coreproc_daemon_request_stop, a signal after coreproc_daemon_stop_on_signals)
/// and stops it; or until another thread has stopped it, and returns how that went. Thread-safe. Errors:
/// INVALID_STATE when it is not started; those of coreproc_daemon_stop.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_run(
    daemon: *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "run daemon";
    // SAFETY: the caller's promises.
    unsafe { guard::call_with_room(OPERATION, err, || guard::handle(OPERATION, "daemon", daemon)?.0.run()) }
}

/// Waits until a stop is requested, or was begun by somebody, up to `timeout_ms` (-1: for ever; 0: only looks),
/// and leaves it at that: for loops that have other things to look at. Thread-safe. Errors: INVALID_ARGUMENT;
/// TIMED_OUT; INVALID_STATE when it is not started; DEADLOCK inside one of its checks or any callback.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_wait_for_stop_request(
    daemon: *mut coreproc_daemon,
    timeout_ms: i64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "wait for stop request";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let daemon = guard::handle(OPERATION, "daemon", daemon)?;
            daemon.0.wait_for_stop_request(guard::timeout(OPERATION, timeout_ms)?)
        })
    }
}

/// Has coreproc_daemon_run stop it and return. Never waits; may be called from any thread, and inside a check or
/// any callback, but not in a signal handler. Before a start it is kept for the run that follows. Thread-safe.
/// Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_request_stop(
    daemon: *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "request stop";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            guard::handle(OPERATION, "daemon", daemon)?.0.request_stop();
            Ok(())
        })
    }
}

/// Stops it, within the shutdown timeout: requests under way are waited for, and cut when it is over. The steps
/// after one that failed are taken all the same. One that is being stopped is waited for, and gives the same
/// result; one that does not run is fine. Afterwards signals do what they did before
/// coreproc_daemon_stop_on_signals. Thread-safe. Errors: the message has those of all steps that failed, the
/// result is the first's (TIMED_OUT when requests were cut); TIMED_OUT also for one that is still being started
/// when the time is over, of which a stop is then requested; DEADLOCK inside one of its checks or any callback.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_stop(
    daemon: *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "stop daemon";
    // SAFETY: the caller's promises.
    unsafe { guard::call_with_room(OPERATION, err, || guard::handle(OPERATION, "daemon", daemon)?.0.stop()) }
}

/// What /ready answers while it runs: 1, as at first, or 0. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_set_ready(
    daemon: *mut coreproc_daemon,
    ready: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "set ready";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let daemon = guard::handle(OPERATION, "daemon", daemon)?;
            match ready {
                0 | 1 => daemon.0.set_ready(ready == 1),
                other => return Err(guard::unknown(OPERATION, "ready", other)),
            }
            Ok(())
        })
    }
}

/// Does it run, and is it ready? 1 or 0; 0 for NULL. Thread-safe.
///
/// # Safety
/// `daemon` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_ready(daemon: *const coreproc_daemon) -> u32 {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { daemon.as_ref() }.map_or(0, |daemon| u32::from(daemon.0.is_ready())))
}

/// Where its health server listens: the bound address while it does, else the given one; empty where it has none.
/// `*out` is to be freed with coreproc_bytes_free. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_health_address(
    daemon: *mut coreproc_daemon,
    out: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "health address";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let daemon = guard::handle(OPERATION, "daemon", daemon)?;
            guard::out(OPERATION, out)?.write(coreproc_bytes::into_raw(daemon.0.health_address().into_bytes()));
            Ok(())
        })
    }
}

/// From now on SIGTERM and SIGINT request a stop of this daemon: the one thing in this library that touches
/// dispositions. Until coreproc_daemon_restore_signals, the end of a stop, or the last free. Called before the
/// start, it misses no signal. Again is fine; several daemons may listen.
///
/// What the program had installed for the two does not run meanwhile. They are taken by any thread that does not
/// block them, else by a thread of this library, coreproc-sig, by a handler with SA_ONSTACK and SA_RESTART; no
/// mask is touched. A child of fork() gets what it would have without this. Thread-safe. Errors: SYSTEM
/// (sigaction(2), pthread_create(3)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_stop_on_signals(
    daemon: *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "stop on signals";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "daemon", daemon)?.0.stop_on_signals()) }
}

/// Undoes coreproc_daemon_stop_on_signals: when no other daemon listens, both signals do again what they did
/// before, unless the program has installed something over it meanwhile, which stays. Thread-safe. Errors:
/// INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_restore_signals(
    daemon: *mut coreproc_daemon,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "restore signals";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            guard::handle(OPERATION, "daemon", daemon)?.0.restore_signals();
            Ok(())
        })
    }
}

/// Another reference to the same daemon, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `daemon` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_ref(daemon: *mut coreproc_daemon) -> *mut coreproc_daemon {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { daemon.as_ref() }
            .map_or(std::ptr::null_mut(), |d| Box::into_raw(Box::new(coreproc_daemon(d.0.clone()))))
    })
}

/// Gives a reference back; NULL is fine. The last one to a daemon that runs gives everything back, without
/// waiting for requests.
///
/// # Safety
/// `daemon` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_free(daemon: *mut coreproc_daemon) {
    if !daemon.is_null() {
        // SAFETY: the caller's promise; made by `new` or `ref`.
        guard::free_with_room(|| drop(unsafe { Box::from_raw(daemon) }));
    }
}
