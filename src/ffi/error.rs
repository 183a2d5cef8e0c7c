//! Result codes and `coreproc_error`.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::convert::c_text;
use super::handle::{free_memory, read, shared, text};
use crate::error::{Error, ErrorKind};

/// What a call that can fail returns: 0, or a negative code. `coreproc_result_name` names it.
pub type coreproc_result = i32;

/// Success.
pub const COREPROC_OK: i32 = 0;
/// NULL, a bad length, an unknown value, or a NUL byte in a string. The message names the argument.
pub const COREPROC_INVALID_ARGUMENT: i32 = -1;
/// There is no such program, interpreter, file, directory or process.
pub const COREPROC_NOT_FOUND: i32 = -2;
/// The kernel refused for lack of permission (EACCES, EPERM), or other users could tamper with what
/// is there.
pub const COREPROC_PERMISSION_DENIED: i32 = -3;
/// Another system call failed; see `coreproc_error_errno`.
pub const COREPROC_SYSTEM: i32 = -4;
/// Memory could not be allocated.
pub const COREPROC_OUT_OF_MEMORY: i32 = -5;
/// The process has ended.
pub const COREPROC_NOT_RUNNING: i32 = -6;
/// Standard input is not a pipe, was closed, or has no reader left.
pub const COREPROC_STDIN_CLOSED: i32 = -7;
/// The time ran out first.
pub const COREPROC_TIMED_OUT: i32 = -8;
/// The service or the subscription is closed, or the stream of events has ended.
pub const COREPROC_CLOSED: i32 = -9;
/// A call from inside a callback would have to wait.
pub const COREPROC_DEADLOCK: i32 = -10;
/// The call was made in a child of fork(), which has none of the library's threads.
pub const COREPROC_FORKED: i32 = -11;
/// A bug in the library. The message says what panicked.
pub const COREPROC_PANIC: i32 = -12;
/// The kernel, its filters, or this build of the library lack something that is needed.
pub const COREPROC_UNSUPPORTED: i32 = -13;
/// In use: a PID file of a daemon that lives, or an address that another server listens at.
pub const COREPROC_BUSY: i32 = -14;
/// A file, JSON, or an answer that was read is not what it should be. The message says where.
pub const COREPROC_MALFORMED: i32 = -15;
/// Not in the state that the call is for: started twice, or run before it was started.
pub const COREPROC_INVALID_STATE: i32 = -16;

/// Why a call failed. Immutable; owned by the caller that got it; any thread may read it.
///
/// Functions take `coreproc_error **err` last: it may be NULL, and is written only on failure.
/// There is no last-error state.
pub struct coreproc_error {
    error: Error,
    operation: CString,
    stage: CString,
    message: CString,
}

const _: () = shared::<coreproc_error>();

/// The address of the one error that many callers may hold, and that is never freed.
/// Without a lock, which a fork could leave taken.
static OUT_OF_MEMORY: AtomicPtr<coreproc_error> = AtomicPtr::new(ptr::null_mut());

impl coreproc_error {
    pub(super) fn into_raw(error: Error) -> *mut coreproc_error {
        Box::into_raw(Box::new(coreproc_error {
            // Our messages have no NUL: what comes from outside is quoted and escaped.
            operation: c_text(error.operation()),
            stage: c_text(error.stage()),
            message: c_text(&error.to_string()),
            error,
        }))
    }

    /// Returns the error of a call that is refused because memory is short: made by the first call, and never freed.
    pub(super) fn out_of_memory() -> *mut coreproc_error {
        let known = OUT_OF_MEMORY.load(Ordering::Acquire);
        if !known.is_null() {
            return known;
        }
        let error = Error::new(ErrorKind::OutOfMemory, "call", "half of the reserve for this case is in use");
        let made = coreproc_error::into_raw(error);
        match OUT_OF_MEMORY.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(first) => {
                // SAFETY: just made, and no one else knows it.
                drop(unsafe { Box::from_raw(made) });
                first
            }
        }
    }

    pub(super) fn code(kind: ErrorKind) -> coreproc_result {
        match kind {
            ErrorKind::InvalidArgument => COREPROC_INVALID_ARGUMENT,
            ErrorKind::NotFound => COREPROC_NOT_FOUND,
            ErrorKind::PermissionDenied => COREPROC_PERMISSION_DENIED,
            ErrorKind::System => COREPROC_SYSTEM,
            ErrorKind::OutOfMemory => COREPROC_OUT_OF_MEMORY,
            ErrorKind::NotRunning => COREPROC_NOT_RUNNING,
            ErrorKind::StdinClosed => COREPROC_STDIN_CLOSED,
            ErrorKind::TimedOut => COREPROC_TIMED_OUT,
            ErrorKind::Closed => COREPROC_CLOSED,
            ErrorKind::Deadlock => COREPROC_DEADLOCK,
            ErrorKind::Forked => COREPROC_FORKED,
            ErrorKind::Panic => COREPROC_PANIC,
            ErrorKind::Unsupported => COREPROC_UNSUPPORTED,
            ErrorKind::Busy => COREPROC_BUSY,
            ErrorKind::Malformed => COREPROC_MALFORMED,
            ErrorKind::InvalidState => COREPROC_INVALID_STATE,
        }
    }
}

/// Returns the name of a result code, such as "COREPROC_TIMED_OUT"; "COREPROC_UNKNOWN" for one that
/// this library does not know. Static. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_result_name(result: coreproc_result) -> *const c_char {
    let name = match result {
        COREPROC_OK => c"COREPROC_OK",
        COREPROC_INVALID_ARGUMENT => c"COREPROC_INVALID_ARGUMENT",
        COREPROC_NOT_FOUND => c"COREPROC_NOT_FOUND",
        COREPROC_PERMISSION_DENIED => c"COREPROC_PERMISSION_DENIED",
        COREPROC_SYSTEM => c"COREPROC_SYSTEM",
        COREPROC_OUT_OF_MEMORY => c"COREPROC_OUT_OF_MEMORY",
        COREPROC_NOT_RUNNING => c"COREPROC_NOT_RUNNING",
        COREPROC_STDIN_CLOSED => c"COREPROC_STDIN_CLOSED",
        COREPROC_TIMED_OUT => c"COREPROC_TIMED_OUT",
        COREPROC_CLOSED => c"COREPROC_CLOSED",
        COREPROC_DEADLOCK => c"COREPROC_DEADLOCK",
        COREPROC_FORKED => c"COREPROC_FORKED",
        COREPROC_PANIC => c"COREPROC_PANIC",
        COREPROC_UNSUPPORTED => c"COREPROC_UNSUPPORTED",
        COREPROC_BUSY => c"COREPROC_BUSY",
        COREPROC_MALFORMED => c"COREPROC_MALFORMED",
        COREPROC_INVALID_STATE => c"COREPROC_INVALID_STATE",
        _ => c"COREPROC_UNKNOWN",
    };
    name.as_ptr()
}

/// Returns the result code that the failed call returned; `COREPROC_OK` for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_error_result(error: Option<&coreproc_error>) -> coreproc_result {
    read(error, COREPROC_OK, |error| coreproc_error::code(error.error.kind()))
}

/// Returns the kernel's errno behind the failure; 0 if there is none. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_error_errno(error: Option<&coreproc_error>) -> i32 {
    read(error, 0, |error| error.error.errno().unwrap_or(0))
}

/// Returns the operation that failed, such as "spawn"; "" for NULL. Lives as long as the error.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_error_operation(error: Option<&coreproc_error>) -> *const c_char {
    text(error, |error| &error.operation)
}

/// Returns the step of the operation that failed, such as "lookup", "chdir", "exec", "interpreter",
/// "stdin"; "" if there is none, and for NULL. Lives as long as the error. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_error_stage(error: Option<&coreproc_error>) -> *const c_char {
    text(error, |error| &error.stage)
}

/// Returns the whole message, to be shown as it is, such as `spawn "gti": lookup: no such program
/// in PATH`; "" for NULL. Lives as long as the error. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_error_message(error: Option<&coreproc_error>) -> *const c_char {
    text(error, |error| &error.message)
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_error_free(error: *mut coreproc_error) {
    // A pointer and not a `Box`, which has one owner: calls that are refused for lack of memory all give the same
    // error.
    if !error.is_null() && OUT_OF_MEMORY.load(Ordering::Acquire) != error {
        // SAFETY: `into_raw` made it, and the caller has it alone.
        free_memory(Some(unsafe { Box::from_raw(error) }));
    }
}
