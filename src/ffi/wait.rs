//! Waiting for several processes, and for one by a descriptor.

use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;

use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{another, free, shared};
use super::info::{COREPROC_STATE_CLOSED, COREPROC_STATE_EXITED};
use super::process::coreproc_process;
use crate::error::Result;
use crate::{Cancel, Process, State};

/// Ends waits from another thread. Shared: reference-counted, thread-safe.
#[derive(Clone)]
pub struct coreproc_cancel(Cancel);

const _: () = shared::<coreproc_cancel>();

/// Makes one that is not cancelled. Free `*out` with coreproc_cancel_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_cancel_new(
    out: Option<&mut MaybeUninit<Box<coreproc_cancel>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("cancel", err, |op| {
        op.out(out)?.write(Box::new(coreproc_cancel(Cancel::new())));
        Ok(())
    })
}

/// Returns another reference to the same one, to be freed on its own; NULL for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_cancel_ref(cancel: Option<&coreproc_cancel>) -> Option<Box<coreproc_cancel>> {
    another(cancel)
}

/// Ends the waits that were called with it, and those that will be, with CLOSED, unless what they
/// wait for has come. It stays cancelled. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_cancel_waits(
    cancel: Option<&coreproc_cancel>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("cancel", err, |op| op.handle("cancel", cancel)?.0.cancel())
}

/// Frees it; waits that were called with it go on. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_cancel_free(cancel: Option<Box<coreproc_cancel>>) {
    free(cancel);
}

/// Waits until one of `count` processes, of one service or of several, has come so far as `until`
/// says, EXITED or CLOSED; up to `timeout_ms` (-1: for ever; 0: only looks). `*index` becomes its
/// place; if several have, that of the first to do so, as far as that is known. `cancel` may be NULL.
/// The thread is woken by any of them: no thread is made, and nothing polled. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; CLOSED if the wait was cancelled; DEADLOCK inside a callback;
/// PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_wait_any(
    processes: *const *const coreproc_process,
    count: usize,
    until: u32,
    timeout_ms: i64,
    cancel: Option<&coreproc_cancel>,
    index: Option<&mut MaybeUninit<usize>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait", err, |op| {
        // SAFETY: `processes` has `count` handles.
        let processes = unsafe { handles(op, processes, count) }?;
        let (until, timeout) = (state(op, until)?, op.timeout(timeout_ms)?);
        let index = index.ok_or_else(|| op.invalid("index: is NULL"))?;
        index.write(crate::wait_any(&processes, until, timeout, cancel.map(|cancel| &cancel.0))?);
        Ok(())
    })
}

/// Waits until all of `count` processes have come so far, as coreproc_process_wait_any for one; at
/// once if there is none. Thread-safe.
///
/// Errors: those of coreproc_process_wait_any.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_wait_all(
    processes: *const *const coreproc_process,
    count: usize,
    until: u32,
    timeout_ms: i64,
    cancel: Option<&coreproc_cancel>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait", err, |op| {
        // SAFETY: `processes` has `count` handles.
        let processes = unsafe { handles(op, processes, count) }?;
        crate::wait_all(&processes, state(op, until)?, op.timeout(timeout_ms)?, cancel.map(|cancel| &cancel.0))
    })
}

/// Opens a descriptor that becomes readable when the process has come so far as `until` says, EXITED
/// or CLOSED: the read end of a pipe of its own, without blocking and close-on-exec, which the caller
/// closes. Its bytes mean nothing, and it stays readable. A broken service makes it readable, too. The
/// thread of the service sees the end; only if the host drives the service itself, its takes have to
/// bring the end about. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (pipe2(2)); PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_wait_fd(
    process: Option<&coreproc_process>,
    until: u32,
    out: Option<&mut MaybeUninit<i32>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait fd", err, |op| {
        let process = op.handle("process", process)?;
        let out = op.out(out)?;
        out.write(process.0.wait_fd(state(op, until)?)?.into_raw_fd());
        Ok(())
    })
}

fn state(op: Operation, until: u32) -> Result<State> {
    match until {
        COREPROC_STATE_EXITED => Ok(State::Exited),
        COREPROC_STATE_CLOSED => Ok(State::Closed),
        other => Err(op.unknown("until", other)),
    }
}

/// Takes an array of handles.
///
/// # Safety
/// `processes` is NULL or has `count` pointers, each NULL or valid.
unsafe fn handles<'a>(
    op: Operation,
    processes: *const *const coreproc_process,
    count: usize,
) -> Result<Vec<&'a Process>> {
    // SAFETY: the caller's promise.
    let pointers = unsafe { op.array("processes", processes, count) }?;
    // SAFETY: as before.
    let handle = |pointer: &*const coreproc_process| unsafe { pointer.as_ref() }.map(|process| &process.0);
    let named = pointers.iter().enumerate();
    named.map(|(at, pointer)| handle(pointer).ok_or_else(|| op.is_null(&format!("processes[{at}]")))).collect()
}
