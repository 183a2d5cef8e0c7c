//! What every exported function does: catches panics, turns errors into codes, reads arguments.

use std::cell::Cell;
use std::ffi::{OsStr, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use super::error::{COREPROC_OK, COREPROC_OUT_OF_MEMORY, coreproc_error, coreproc_result};
use super::subscription::{UserData, coreproc_destroy};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::panic_message;
use crate::sys::{cancel, fork, reserve};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call that can fail. On failure `err`, where it is given, gets the error.
///
/// # Safety
/// `err` is NULL or valid for a write.
pub(super) unsafe fn call(
    operation: &'static str,
    err: *mut *mut coreproc_error,
    run: impl FnOnce() -> Result<()>,
) -> coreproc_result {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe {
        if reserve::is_low() {
            return refused(err);
        }
        told(catch(operation, || fork::check(operation).and_then(|()| run())), err)
    })
}

/// As [`call`], of what needs some memory that no reserve of ours can give; see [`reserve::check_room`].
///
/// # Safety
/// As for [`call`].
pub(super) unsafe fn call_with_room(
    operation: &'static str,
    err: *mut *mut coreproc_error,
    run: impl FnOnce() -> Result<()>,
) -> coreproc_result {
    // SAFETY: the caller's promise.
    unsafe { call(operation, err, || reserve::check_room(operation).and_then(|()| run())) }
}

/// As [`call`], of one that owns the user's data from the first moment on, whatever becomes of it.
///
/// # Safety
/// As for [`call`]; the header's contract of `coreproc_destroy`.
pub(super) unsafe fn call_owning(
    operation: &'static str,
    err: *mut *mut coreproc_error,
    (pointer, destroy): (*mut c_void, coreproc_destroy),
    run: impl FnOnce(UserData) -> Result<()>,
) -> coreproc_result {
    uncancelled(|| {
        let user = UserData { pointer, destroy };
        // SAFETY: the caller's promise.
        unsafe {
            if reserve::is_low() {
                return refused(err);
            }
            told(catch(operation, || fork::check(operation).and_then(|()| run(user))), err)
        }
    })
}

/// There is no memory even for an error of its own.
///
/// # Safety
/// As for [`call`].
unsafe fn refused(err: *mut *mut coreproc_error) -> coreproc_result {
    if !err.is_null() {
        // SAFETY: the caller's promise.
        unsafe { err.write(coreproc_error::out_of_memory()) };
    }
    COREPROC_OUT_OF_MEMORY
}

/// # Safety
/// As for [`call`].
unsafe fn told(result: Result<()>, err: *mut *mut coreproc_error) -> coreproc_result {
    match result {
        Ok(()) => COREPROC_OK,
        Err(error) => {
            let code = coreproc_error::code(error.kind());
            if !err.is_null() {
                // SAFETY: the caller's promise.
                unsafe { err.write(coreproc_error::into_raw(error)) };
            }
            code
        }
    }
}

/// Runs a call that cannot fail and returns `fallback` where even that was wrong.
pub(super) fn get<T: Copy>(fallback: T, run: impl FnOnce() -> T) -> T {
    uncancelled(|| {
        let mut value = fallback;
        let _ = catch("get", || {
            value = run();
            Ok(())
        });
        value
    })
}

/// As [`get`], of what is behind a lock, which a child of fork must not wait for.
pub(super) fn look<T: Copy>(fallback: T, run: impl FnOnce() -> T) -> T {
    if fork::happened() { fallback } else { get(fallback, run) }
}

/// Runs a free: does nothing in a child of fork, where a lock may be held for ever.
pub(super) fn free(run: impl FnOnce()) {
    if !fork::happened() {
        get((), run);
    }
}

/// Runs `run` with cancellation off: the host may cancel a thread that is in a call, and that acts after it. What
/// `run` holds is gone when cancellation is back, so a thread that ends at once (asynchronous type) ends in frames that
/// have nothing to drop.
fn uncancelled<T: Copy>(run: impl FnOnce() -> T) -> T {
    let before = cancel::disable();
    let value = apart(run);
    cancel::restore(before);
    value
}

/// A frame of its own, which nothing unwinds out of.
#[allow(improper_ctypes_definitions, reason = "called from here alone; the ABI is for what it says about unwinding")]
#[inline(never)]
extern "C" fn apart<T>(run: impl FnOnce() -> T) -> T {
    run()
}

/// As [`free`], of what needs memory to end: without it that goes on, and its memory is lost.
pub(super) fn free_with_room(run: impl FnOnce()) {
    free(|| {
        if reserve::has_room() {
            run();
        }
    });
}

fn catch(operation: &'static str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    prepare();
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(outer);
    result.unwrap_or_else(|payload| Err(Error::new(ErrorKind::Panic, operation, panic_message(payload.as_ref()))))
}

/// Before the first call. A library prints nothing: panics that become errors are not announced on stderr. Others keep
/// their hook.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        coreproc_error::out_of_memory();
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = std::thread::current().name().is_some_and(|name| name.starts_with("coreproc-"));
            if !ours && !GUARDED.get() {
                previous(info);
            }
        }));
    });
}

/// A reference from a handle.
///
/// # Safety
/// `pointer` is NULL or a live handle.
pub(super) unsafe fn handle<'a, T>(operation: &'static str, name: &str, pointer: *const T) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| Error::invalid(operation, format!("{name}: is NULL")))
}

/// As [`handle`], of a builder, which is one thread's.
///
/// # Safety
/// `pointer` is NULL or a live builder that no other thread uses.
pub(super) unsafe fn builder<'a, T>(operation: &'static str, name: &str, pointer: *mut T) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| Error::invalid(operation, format!("{name}: is NULL")))
}

/// Where an output goes. To be checked before anything is done that could not be undone.
pub(super) fn out<T>(operation: &'static str, pointer: *mut T) -> Result<*mut T> {
    if pointer.is_null() {
        return Err(Error::invalid(operation, "out: is NULL"));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid(operation, "out: is not aligned"));
    }
    Ok(pointer)
}

/// Bytes as pointer and length; NULL with 0 is empty.
///
/// # Safety
/// `pointer` is NULL or valid for reads of `len` bytes.
pub(super) unsafe fn bytes<'a>(
    operation: &'static str,
    name: &str,
    pointer: *const u8,
    len: usize,
) -> Result<&'a [u8]> {
    if len > isize::MAX as usize {
        return Err(Error::invalid(operation, format!("{name}: length {len} is out of range")));
    }
    if pointer.is_null() {
        if len > 0 {
            return Err(Error::invalid(operation, format!("{name}: is NULL with length {len}")));
        }
        return Ok(&[]);
    }
    // SAFETY: the caller's promise, and the length is in range.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// A caller's buffer to write to; NULL with 0 is empty.
///
/// # Safety
/// `pointer` is NULL or valid for writes of `size` bytes, which nobody else uses meanwhile.
pub(super) unsafe fn buffer<'a>(
    operation: &'static str,
    name: &str,
    pointer: *mut u8,
    size: usize,
) -> Result<&'a mut [MaybeUninit<u8>]> {
    if size > isize::MAX as usize {
        return Err(Error::invalid(operation, format!("{name}: size {size} is out of range")));
    }
    if pointer.is_null() {
        if size > 0 {
            return Err(Error::invalid(operation, format!("{name}: is NULL with size {size}")));
        }
        return Ok(&mut []);
    }
    // SAFETY: the caller's promise, and the size is in range.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), size) })
}

/// As [`bytes`], for names and paths, which are bytes too.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn text<'a>(
    operation: &'static str,
    name: &str,
    pointer: *const std::ffi::c_char,
    len: usize,
) -> Result<&'a OsStr> {
    // SAFETY: the caller's promise.
    Ok(OsStr::from_bytes(unsafe { bytes(operation, name, pointer.cast(), len)? }))
}

/// As [`bytes`], for JSON.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn json<'a>(
    operation: &'static str,
    pointer: *const std::ffi::c_char,
    len: usize,
) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(operation, "json", pointer.cast(), len)? };
    let wrong = |error: std::str::Utf8Error| format!("byte {}: is not UTF-8", error.valid_up_to());
    std::str::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::Malformed, operation, wrong(error)))
}

/// Milliseconds, where -1 waits for ever and 0 only looks.
pub(super) fn timeout(operation: &'static str, ms: i64) -> Result<Option<Duration>> {
    match ms {
        -1 => Ok(None),
        0.. => Ok(Some(Duration::from_millis(ms.unsigned_abs()))),
        _ => Err(Error::invalid(operation, format!("timeout_ms: {ms} is neither -1 nor a time"))),
    }
}

/// An option value that this library does not know.
pub(super) fn unknown(operation: &'static str, name: &str, value: impl std::fmt::Display) -> Error {
    Error::invalid(operation, format!("{name}: unknown value {value}"))
}

/// A flat struct of options, whose first field is `struct_size`. A shorter one is filled with zeros, a longer
/// one is fine as long as what this library does not know is zero.
///
/// # Safety
/// `T` is plain data whose first field is a `u32` size; `pointer` is NULL or valid for reads of the size that
/// it states.
pub(super) unsafe fn options<T: Copy>(
    operation: &'static str,
    pointer: *const T,
    smallest: usize,
    defaults: T,
) -> Result<T> {
    if pointer.is_null() {
        return Ok(defaults);
    }
    // SAFETY: every such struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read_unaligned() } as usize;
    const LARGEST: usize = 4096;
    if size < smallest || size > LARGEST {
        return Err(Error::invalid(
            operation,
            format!("options: struct_size {size} is not between {smallest} and {LARGEST}"),
        ));
    }
    whole_fields::<T>(operation, "options", size)?;
    // SAFETY: the caller's promise.
    let given = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if given[known..].iter().any(|byte| *byte != 0) {
        return Err(Error::invalid(operation, "options: a field that this library does not know is set"));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes of both; plain data for which zeros are valid.
    unsafe {
        std::ptr::copy_nonoverlapping(given.as_ptr(), value.as_mut_ptr().cast(), known);
        Ok(value.assume_init())
    }
}

/// The size of a struct that the caller is to have filled in, or has room for. A longer one than this library knows is
/// fine.
///
/// # Safety
/// `T` is plain data whose first field is a `u32` size; `out` is NULL or begins with a readable one.
pub(super) unsafe fn out_size<T>(operation: &'static str, out: *mut T, smallest: usize) -> Result<usize> {
    let out = self::out(operation, out)?;
    // SAFETY: the caller's promise.
    let size = unsafe { out.cast::<u32>().read() } as usize;
    if size < smallest {
        return Err(Error::invalid(operation, format!("out: struct_size {size} is below {smallest}")));
    }
    whole_fields::<T>(operation, "out", size)?;
    Ok(size)
}

/// No version of a struct ends inside a field, which would be half a pointer: each has the size that C gives it, a
/// multiple of its alignment, and no field is larger than that.
fn whole_fields<T>(operation: &'static str, name: &str, size: usize) -> Result<()> {
    if size < size_of::<T>() && !size.is_multiple_of(align_of::<T>()) {
        return Err(Error::invalid(operation, format!("{name}: struct_size {size} ends inside a field")));
    }
    Ok(())
}

/// A reserved field must be zero, so that it can mean something one day.
pub(super) fn reserved(operation: &'static str, value: u32) -> Result<()> {
    if value == 0 { Ok(()) } else { Err(Error::invalid(operation, format!("reserved: is {value}, must be 0"))) }
}
