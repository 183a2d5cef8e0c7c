//! Faults on purpose, for test builds (feature `fault-injection`): not in the header, never in a release.

use std::ffi::{CStr, c_char};

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::run::coreproc_run;
use super::service::coreproc_service;

/// Panics inside the guard with this message.
///
/// # Safety
/// Pointers are NULL or valid; `message` ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_test_panic(
    message: *const c_char,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call("test", err, || {
            let message = guard::handle("test", "message", message)?;
            panic!("{}", CStr::from_ptr(message).to_string_lossy())
        })
    }
}

/// Makes the service's loop panic at its next turn.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_test_panic_supervisor(service: *mut coreproc_service) {
    // SAFETY: the caller's promise.
    if let Some(service) = unsafe { service.as_ref() } {
        service.0.supervisor().panic_at_next_turn();
    }
}

/// Makes a worker of the run panic at its next job.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_test_panic_run(run: *mut coreproc_run) {
    // SAFETY: the caller's promise.
    if let Some(run) = unsafe { run.as_ref() } {
        run.run().panic_at_next_job();
    }
}

/// Reads a byte that was freed, which a sanitizer must notice.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_test_use_after_free() -> u8 {
    let pointer = Box::into_raw(Box::new([7u8; 64]));
    // SAFETY: none: this is the fault.
    unsafe {
        drop(Box::from_raw(pointer));
        std::ptr::read_volatile(pointer.cast::<u8>().add(8))
    }
}
