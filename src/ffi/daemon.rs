//! `coreproc_daemon`.

use std::ffi::{OsStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use super::bytes::coreproc_bytes;
use super::call::{call, call_owning, call_with_room};
use super::check::{coreproc_check, user_check};
use super::convert::Operation;
use super::entries::{coreproc_daemon_entry, entry_of};
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free_with_room, read, shared};
use super::health::{coreproc_health_options, health_options};
use super::limit::duration;
use super::registry::coreproc_registry;
use super::user_data::coreproc_destroy;
use super::versioned::versioned;
use crate::error::Result;
use crate::{Daemon, DaemonOptions};

/// The life of this program as a daemon: PID file, health server and registry entry, each if the
/// options ask for it. Shared: reference-counted, thread-safe. Freeing the last reference while it
/// runs gives everything back, without waiting for requests.
///
/// It starts in this order: PID file, health server, registry; and stops in this: not ready, health
/// server down, PID file released, unregistered.
#[derive(Clone)]
pub struct coreproc_daemon(Daemon);

const _: () = shared::<coreproc_daemon>();

impl Born for coreproc_daemon {}

/// The parts of a daemon, and their options. Zero is the default, or none, everywhere. All of it is
/// copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_daemon_options {
    /// sizeof(coreproc_daemon_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How long a stop may take (0: 30000; UNLIMITED: as long as it takes).
    pub shutdown_timeout_ms: u64,
    /// The path of its PID file, or empty.
    pub pid_file: *const c_char,
    /// The length of `pid_file`.
    pub pid_file_len: usize,
    /// The address of its health server, as for coreproc_health_new, or empty if it has none.
    pub health_address: *const c_char,
    /// The length of `health_address`.
    pub health_address_len: usize,
    /// The limits of its health server; may be NULL.
    pub health: *const coreproc_health_options,
    /// The registry in which it enters itself; NULL: none.
    pub registry: *const coreproc_registry,
    /// Its entry in the registry; needed, with code and daemon, if there is a registry. The start
    /// fills in the PID, the time and, if there is a health server, its address; and the project
    /// (the working directory) and the binary if they are empty.
    pub entry: *const coreproc_daemon_entry,
}

versioned!(coreproc_daemon_options, 72);
const _: () = assert!(size_of::<coreproc_daemon_options>() == 72);

/// # Safety
/// As for [`Operation::options`], also of the structs in them; each text has as many bytes as its length says; the
/// registry is NULL or live.
unsafe fn daemon_options(op: Operation, options: *const coreproc_daemon_options) -> Result<DaemonOptions> {
    // SAFETY: the caller's promises.
    unsafe {
        let options = op.options(options)?;
        op.reserved(options.reserved)?;
        let default = DaemonOptions::default();
        let pid_file = op.path("pid_file", options.pid_file, options.pid_file_len)?;
        let address = op.utf8("health_address", options.health_address, options.health_address_len)?;
        let entry = entry_of(op, options.entry)?;
        if entry.pid != 0 {
            return Err(op.invalid(format!("entry: pid is {}, must be 0", entry.pid)));
        }
        Ok(DaemonOptions {
            pid_file: (!pid_file.is_empty()).then(|| OsStr::from_bytes(pid_file.as_bytes()).into()),
            shutdown_timeout: duration(options.shutdown_timeout_ms, default.shutdown_timeout),
            health_address: (!address.is_empty()).then(|| address.to_owned()),
            health: health_options(op, options.health)?,
            registry: options.registry.as_ref().map(|registry| registry.registry.clone()),
            entry,
        })
    }
}

/// Makes a daemon that has not started: nothing is opened, and nothing is looked at. `options` may
/// be NULL. Free `*out` with coreproc_daemon_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT names the field.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_new(
    options: *const coreproc_daemon_options,
    out: Option<&mut MaybeUninit<Box<coreproc_daemon>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("new daemon", err, |op| {
        let out = op.out(out)?;
        // SAFETY: `options` is NULL or begins with its size, and what it points to is as its fields say.
        let options = unsafe { daemon_options(op, options) }?;
        out.write(Box::new(coreproc_daemon(Daemon::new(options))));
        Ok(())
    })
}

/// Adds a check to its health server: see coreproc_health_add_check. Inside the check,
/// coreproc_daemon_request_stop may be called; coreproc_daemon_stop returns DEADLOCK. Thread-safe.
///
/// Errors: INVALID_STATE if it has no health address; those of coreproc_health_add_check.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_daemon_add_check(
    daemon: Option<&coreproc_daemon>,
    name: *const c_char,
    name_len: usize,
    check: coreproc_check,
    user_data: *mut c_void,
    destroy: coreproc_destroy,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_owning("add check", err, (user_data, destroy), |op, user| {
        let check = user_check(op, check, user)?;
        let daemon = op.handle("daemon", daemon)?;
        // SAFETY: `name` has `name_len` bytes.
        daemon.0.add_check(unsafe { op.utf8("name", name, name_len) }?, check)
    })
}

/// Takes the PID file, starts the health server, and registers. If a step fails, the steps before
/// it are undone. A daemon that was stopped can be started again. Thread-safe.
///
/// Errors: INVALID_STATE if it is started already; INVALID_ARGUMENT for an entry without code or
/// daemon; those of coreproc_pid_file_acquire, coreproc_health_start and
/// coreproc_registry_register.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_start(
    daemon: Option<&coreproc_daemon>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("start daemon", err, |op| op.handle("daemon", daemon)?.0.start())
}

/// Waits until a stop is requested (coreproc_daemon_request_stop, a signal after
/// coreproc_daemon_stop_on_signals) and stops it; or until another thread has stopped it, and
/// returns the result of that stop. Thread-safe.
///
/// Errors: INVALID_STATE if it is not started; those of coreproc_daemon_stop.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_run(
    daemon: Option<&coreproc_daemon>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("run daemon", err, |op| op.handle("daemon", daemon)?.0.run())
}

/// Waits until a stop is requested, or has begun, up to `timeout_ms` (-1: for ever; 0: only looks),
/// and does not stop the daemon: for loops that look at other things in between. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; INVALID_STATE if it is not started; DEADLOCK inside one of
/// its checks or any callback.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_wait_for_stop_request(
    daemon: Option<&coreproc_daemon>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait for stop request", err, |op| {
        let daemon = op.handle("daemon", daemon)?;
        daemon.0.wait_for_stop_request(op.timeout(timeout_ms)?)
    })
}

/// Has coreproc_daemon_run stop it and return. Never waits; may be called from any thread, and
/// inside a check or any callback, but not in a signal handler. A request that comes before the
/// start is kept for the run that follows. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_request_stop(
    daemon: Option<&coreproc_daemon>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("request stop", err, |op| {
        op.handle("daemon", daemon)?.0.request_stop();
        Ok(())
    })
}

/// Stops it within the shutdown timeout: waits for requests under way, and cuts them when the time
/// is over. A step that fails does not keep the steps after it from being taken. If another thread
/// stops the daemon already, waits for that and returns the same result; if the daemon does not
/// run, does nothing. Afterwards signals do what they did before coreproc_daemon_stop_on_signals.
/// Thread-safe.
///
/// Errors: those of all steps that failed, in one message, with the result of the first (TIMED_OUT
/// if requests were cut); TIMED_OUT also if the daemon is still being started when the time is
/// over, and then a stop is requested; DEADLOCK inside one of its checks or any callback.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_stop(
    daemon: Option<&coreproc_daemon>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_with_room("stop daemon", err, |op| op.handle("daemon", daemon)?.0.stop())
}

/// Sets what /ready answers while it runs: 1 (ready, as at first) or 0. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_set_ready(
    daemon: Option<&coreproc_daemon>,
    ready: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("set ready", err, |op| {
        let daemon = op.handle("daemon", daemon)?;
        daemon.0.set_ready(op.ready(ready)?);
        Ok(())
    })
}

/// Returns 1 if it runs and is ready, else 0; 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_ready(daemon: Option<&coreproc_daemon>) -> u32 {
    read(daemon, 0, |daemon| u32::from(daemon.0.is_ready()))
}

/// Gets the address of its health server: the bound address while it listens, else the given one;
/// empty if it has none. Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_health_address(
    daemon: Option<&coreproc_daemon>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("health address", err, |op| {
        let daemon = op.handle("daemon", daemon)?;
        op.out(out)?.write(coreproc_bytes::new(daemon.0.health_address()));
        Ok(())
    })
}

/// Makes SIGTERM and SIGINT request a stop of this daemon from now on. Nothing else in this library
/// changes the disposition of a signal. It lasts until coreproc_daemon_restore_signals, the end of
/// a stop, or the last free. Called before the start, it misses no signal. A second call does
/// nothing; several daemons may listen.
///
/// Handlers that the program has installed for the two signals do not run meanwhile. The signals
/// are taken by any thread that does not block them, else by a thread of this library,
/// coreproc-sig; the handler has SA_ONSTACK and SA_RESTART, and no mask is changed. A child of
/// fork() has the dispositions that it would have without this call. Thread-safe.
///
/// Errors: SYSTEM (sigaction(2), pthread_create(3)).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_stop_on_signals(
    daemon: Option<&coreproc_daemon>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("stop on signals", err, |op| op.handle("daemon", daemon)?.0.stop_on_signals())
}

/// Undoes coreproc_daemon_stop_on_signals: when no other daemon listens, both signals do again what
/// they did before, unless the program has installed another handler meanwhile, which stays.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_restore_signals(
    daemon: Option<&coreproc_daemon>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("restore signals", err, |op| {
        op.handle("daemon", daemon)?.0.restore_signals();
        Ok(())
    })
}

/// Returns another reference to the same daemon, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_ref(daemon: Option<&coreproc_daemon>) -> Option<Box<coreproc_daemon>> {
    another(daemon)
}

/// Gives a reference back. NULL is fine. The last one to a daemon that runs gives everything back,
/// without waiting for requests. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_daemon_free(daemon: Option<Box<coreproc_daemon>>) {
    free_with_room(daemon);
}
