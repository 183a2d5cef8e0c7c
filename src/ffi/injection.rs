//! Faults on purpose, for test builds (feature `fault-injection`): not in the header, never in a release.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use super::call::call;
use super::error::{coreproc_error, coreproc_result};
use super::run::coreproc_run;
use super::service::coreproc_service;
use crate::util::copied;

/// Panics inside the guard with this message, which ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_test_panic(
    message: *const c_char,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("test", err, |op| {
        if message.is_null() {
            return Err(op.is_null("message"));
        }
        // SAFETY: a test's text.
        panic!("{}", unsafe { CStr::from_ptr(message) }.to_string_lossy())
    })
}

/// Makes the service's loop panic at its next turn.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_test_panic_supervisor(service: Option<&coreproc_service>) {
    if let Some(service) = service {
        service.0.supervisor().panic_at_next_turn();
    }
}

/// Makes a worker of the run panic at its next job.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_test_panic_run(run: Option<&coreproc_run>) {
    if let Some(run) = run {
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

/// Returns how many bytes of output the library has copied so far, other than for a caller who asked for a copy.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_test_copied_bytes() -> u64 {
    copied::total()
}
