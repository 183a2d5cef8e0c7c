//! `coreproc_service`.

use std::mem::MaybeUninit;

use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free, shared};
use super::limit::{capture, drain};
use super::process::coreproc_process;
use super::versioned::versioned;
use crate::error::Result;
use crate::{CloseMode, Service, ServiceOptions};

/// For coreproc_service_close: leaves the children alone.
pub const COREPROC_CLOSE_LEAVE: u32 = 1;
/// For coreproc_service_close: stops each child by its command's stop options.
pub const COREPROC_CLOSE_STOP: u32 = 2;
/// For coreproc_service_close: sends SIGKILL to each child, and to its group if it leads one.
pub const COREPROC_CLOSE_KILL: u32 = 3;

/// Spawns processes and supervises them on one thread, `coreproc-sup`. Shared: reference-counted,
/// thread-safe. Freeing the last reference kills no process: the thread goes on until the last
/// process is closed.
#[derive(Clone)]
pub struct coreproc_service(pub(super) Service);

const _: () = shared::<coreproc_service>();

impl Born for coreproc_service {
    fn is_a_parents(&self) -> bool {
        self.0.check_fork("free service").is_err()
    }
}

/// The options of a service. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_service_options {
    /// sizeof(coreproc_service_options).
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How many bytes of output are kept of processes whose command does not set it (0: 1 MiB;
    /// COREPROC_CAPTURE_NONE: nothing; INT64_MAX: everything).
    pub capture_bytes: u64,
    /// The longest silence after the exit while another process holds the output pipes (0: 500;
    /// UNLIMITED: any).
    pub drain_silence_ms: u64,
    /// The longest time after the exit in all (0: 5000; UNLIMITED: any).
    pub drain_total_ms: u64,
}

versioned!(coreproc_service_options, 32);
const _: () = assert!(size_of::<coreproc_service_options>() == 32);

/// # Safety
/// As for [`Operation::options`].
unsafe fn service_options(op: Operation, options: *const coreproc_service_options) -> Result<ServiceOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    op.reserved(options.reserved)?;
    Ok(ServiceOptions {
        capture: capture(options.capture_bytes),
        drain: drain(options.drain_silence_ms, options.drain_total_ms),
    })
}

fn close_mode(op: Operation, mode: u32) -> Result<CloseMode> {
    match mode {
        COREPROC_CLOSE_LEAVE => Ok(CloseMode::Leave),
        COREPROC_CLOSE_STOP => Ok(CloseMode::Stop),
        COREPROC_CLOSE_KILL => Ok(CloseMode::Kill),
        other => Err(op.unknown("mode", other)),
    }
}

/// Starts a service. `options` may be NULL. Free `*out` with coreproc_service_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (epoll_create1(2), timerfd_create(2), pthread_create(3)).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_new(
    options: *const coreproc_service_options,
    out: Option<&mut MaybeUninit<Box<coreproc_service>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open service", err, |op| {
        let out = op.out(out)?;
        // SAFETY: `options` begins with its size.
        let options = unsafe { service_options(op, options) }?;
        out.write(Box::new(coreproc_service(Service::new(options)?)));
        Ok(())
    })
}

/// Returns another reference to the same service, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_ref(service: Option<&coreproc_service>) -> Option<Box<coreproc_service>> {
    another(service)
}

/// Finds the process with this id, until it is closed. Free `*out` with coreproc_process_free.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_process(
    service: Option<&coreproc_service>,
    id: u64,
    out: Option<&mut MaybeUninit<Box<coreproc_process>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("find process", err, |op| {
        let service = op.handle("service", service)?;
        op.out(out)?.write(Box::new(coreproc_process(service.0.process(id)?)));
        Ok(())
    })
}

/// Counts the processes that are not yet closed, including those that are being spawned.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_count(
    service: Option<&coreproc_service>,
    out: Option<&mut MaybeUninit<u64>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("count processes", err, |op| {
        let service = op.handle("service", service)?;
        service.0.check_fork(op.0)?;
        op.out(out)?.write(service.0.count() as u64);
        Ok(())
    })
}

/// Refuses spawns from now on, and ends the processes that run as `mode`, a COREPROC_CLOSE value,
/// says. Does not wait; may be called again, also with another mode. Subscriptions end once every
/// process is closed. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; those of coreproc_process_stop and coreproc_process_kill, whose
/// message says how many processes could not be signalled: the service is closed in any case, and
/// signals that the kernel refused are tried again.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_close(
    service: Option<&coreproc_service>,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("close service", err, |op| {
        let service = op.handle("service", service)?;
        service.0.close(close_mode(op, mode)?)
    })
}

/// Waits until all processes are closed, up to `timeout_ms` (-1: for ever; 0: only looks).
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_wait_idle(
    service: Option<&coreproc_service>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait idle", err, |op| {
        let service = op.handle("service", service)?;
        service.0.wait_idle(op.timeout(timeout_ms)?)
    })
}

/// Gives a reference back. NULL is fine. Never blocks, never kills. After the last one no process
/// can be spawned, and the supervisor goes on until the last child is closed. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_free(service: Option<Box<coreproc_service>>) {
    free(service);
}
