//! `coreproc_service`, and the options of a stop.

use std::time::Duration;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::process::coreproc_process;
use crate::error::Result;
use crate::{CloseMode, Drain, Scope, Service, ServiceOptions, Size, StopOptions};

/// For sizes and durations: none, or without limit, as the field says. 0 is the default.
pub const COREPROC_UNLIMITED: u64 = 0xFFFF_FFFF_FFFF_FFFF;
/// For a capture, whose limit is never none: nothing is kept. To keep everything, ask for INT64_MAX bytes; memory is
/// taken as output comes.
pub const COREPROC_CAPTURE_NONE: u64 = 0xFFFF_FFFF_FFFF_FFFF;

/// For coreproc_service_close: leaves the children alone.
pub const COREPROC_CLOSE_LEAVE: u32 = 1;
/// For coreproc_service_close: stops each child by its command's stop options.
pub const COREPROC_CLOSE_STOP: u32 = 2;
/// For coreproc_service_close: sends SIGKILL to each child, and its group where it leads one.
pub const COREPROC_CLOSE_KILL: u32 = 3;

/// The group where the process leads its own, else the process; for coreproc_process_signal the process.
pub const COREPROC_SCOPE_DEFAULT: u32 = 0;
/// The process alone.
pub const COREPROC_SCOPE_PROCESS: u32 = 1;
/// The process group that it leads.
pub const COREPROC_SCOPE_GROUP: u32 = 2;

/// Spawns processes and supervises them on one thread, `coreproc-sup`. Shared: reference-counted,
/// thread-safe. Freeing the last reference kills nobody: the thread goes on until the last process is closed.
pub struct coreproc_service(pub(super) Service);

/// What a service starts with. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_service_options {
    /// sizeof(coreproc_service_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How much output is kept of processes whose command does not say (0: 1 MiB; COREPROC_CAPTURE_NONE: nothing;
    /// INT64_MAX: everything).
    pub capture_bytes: u64,
    /// After the exit, while somebody else holds the output pipes: the longest silence (0: 500; UNLIMITED: any).
    pub drain_silence_ms: u64,
    /// The longest time in all (0: 5000; UNLIMITED: any).
    pub drain_total_ms: u64,
}

/// How to stop a process: a signal, a grace period, SIGKILL. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_stop_options {
    /// sizeof(coreproc_stop_options).
    pub struct_size: u32,
    /// A COREPROC_SCOPE value.
    pub scope: u32,
    /// The first signal (0: SIGTERM).
    pub signal: i32,
    /// Must be 0.
    pub reserved: u32,
    /// How long until SIGKILL (0: 5000; UNLIMITED: it is never sent).
    pub grace_ms: u64,
}

pub(super) fn size(bytes: u64) -> Size {
    match bytes {
        0 => Size::Default,
        COREPROC_CAPTURE_NONE => Size::None,
        bytes => Size::Bytes(bytes),
    }
}

pub(super) fn duration(ms: u64, default: Duration) -> Duration {
    match ms {
        0 => default,
        COREPROC_UNLIMITED => Duration::MAX,
        ms => Duration::from_millis(ms),
    }
}

pub(super) fn drain(silence_ms: u64, total_ms: u64) -> Drain {
    let default = Drain::default();
    Drain { silence: duration(silence_ms, default.silence), total: duration(total_ms, default.total) }
}

pub(super) fn scope(operation: &'static str, scope: u32) -> Result<Scope> {
    match scope {
        COREPROC_SCOPE_DEFAULT => Ok(Scope::Default),
        COREPROC_SCOPE_PROCESS => Ok(Scope::Process),
        COREPROC_SCOPE_GROUP => Ok(Scope::Group),
        other => Err(guard::unknown(operation, "scope", other)),
    }
}

/// # Safety
/// `options` is NULL or valid for reads of the size that it states.
pub(super) unsafe fn stop_options(
    operation: &'static str,
    options: *const coreproc_stop_options,
) -> Result<StopOptions> {
    let zero = coreproc_stop_options { struct_size: 0, scope: 0, signal: 0, reserved: 0, grace_ms: 0 };
    // SAFETY: the caller's promise; plain data.
    let options = unsafe { guard::options(operation, options, 24, zero)? };
    guard::reserved(operation, options.reserved)?;
    let default = StopOptions::default();
    let stop = StopOptions {
        signal: if options.signal == 0 { default.signal } else { options.signal },
        grace: match options.grace_ms {
            0 => default.grace,
            COREPROC_UNLIMITED => None,
            ms => Some(Duration::from_millis(ms)),
        },
        scope: scope(operation, options.scope)?,
    };
    stop.check(operation)?;
    Ok(stop)
}

/// Starts a service. `options` may be NULL. On success `*out` is to be freed with coreproc_service_free.
/// Thread-safe. Errors: INVALID_ARGUMENT, SYSTEM (epoll_create1(2), timerfd_create(2), pthread_create(3)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_new(
    options: *const coreproc_service_options,
    out: *mut *mut coreproc_service,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "open service";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let out = guard::out(OPERATION, out)?;
            let zero = coreproc_service_options {
                struct_size: 0,
                reserved: 0,
                capture_bytes: 0,
                drain_silence_ms: 0,
                drain_total_ms: 0,
            };
            let options = guard::options(OPERATION, options, 32, zero)?;
            guard::reserved(OPERATION, options.reserved)?;
            let service = Service::new(ServiceOptions {
                capture: size(options.capture_bytes),
                drain: drain(options.drain_silence_ms, options.drain_total_ms),
            })?;
            out.write(Box::into_raw(Box::new(coreproc_service(service))));
            Ok(())
        })
    }
}

/// Another reference to the same service, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `service` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_ref(service: *mut coreproc_service) -> *mut coreproc_service {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { service.as_ref() }
            .map_or(std::ptr::null_mut(), |s| Box::into_raw(Box::new(coreproc_service(s.0.clone()))))
    })
}

/// The process with this id, until it is closed. `*out` is to be freed with coreproc_process_free.
/// Thread-safe. Errors: INVALID_ARGUMENT, NOT_FOUND.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_process(
    service: *mut coreproc_service,
    id: u64,
    out: *mut *mut coreproc_process,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "find process";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let service = guard::handle(OPERATION, "service", service)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_process::into_raw(service.0.process(id)?));
            Ok(())
        })
    }
}

/// How many processes are not closed, those being spawned included. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_count(
    service: *mut coreproc_service,
    out: *mut u64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "count processes";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let service = guard::handle(OPERATION, "service", service)?;
            guard::out(OPERATION, out)?.write(service.0.count() as u64);
            Ok(())
        })
    }
}

/// Refuses spawns from now on, and ends the processes that run as `mode`, a COREPROC_CLOSE value, says.
/// Does not wait; may be called again, with another mode too. Subscriptions end once every process is closed.
/// Thread-safe. Errors: INVALID_ARGUMENT; those of coreproc_process_stop and coreproc_process_kill, of which the
/// message says how many processes could not be signalled: the service is closed all the same, and what the kernel
/// refused is tried again.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_close(
    service: *mut coreproc_service,
    mode: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "close service";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let service = guard::handle(OPERATION, "service", service)?;
            let mode = match mode {
                COREPROC_CLOSE_LEAVE => CloseMode::Leave,
                COREPROC_CLOSE_STOP => CloseMode::Stop,
                COREPROC_CLOSE_KILL => CloseMode::Kill,
                other => return Err(guard::unknown(OPERATION, "mode", other)),
            };
            service.0.close(mode)
        })
    }
}

/// Waits until no process is unclosed, up to `timeout_ms` (-1: for ever; 0: only looks). Thread-safe.
/// Errors: INVALID_ARGUMENT, TIMED_OUT, DEADLOCK, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_wait_idle(
    service: *mut coreproc_service,
    timeout_ms: i64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "wait idle";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let service = guard::handle(OPERATION, "service", service)?;
            service.0.wait_idle(guard::timeout(OPERATION, timeout_ms)?)
        })
    }
}

/// Gives a reference back; NULL is fine. Never blocks, never kills. After the last one no process can be
/// spawned, and the supervisor goes on until the last child is closed.
///
/// # Safety
/// `service` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_free(service: *mut coreproc_service) {
    if !service.is_null() {
        // SAFETY: the caller's promise; made by `coreproc_service_new` or `_ref`.
        guard::free(|| drop(unsafe { Box::from_raw(service) }));
    }
}
