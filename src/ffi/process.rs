//! `coreproc_process`.

use super::bytes::coreproc_bytes;
use super::command::{COREPROC_STREAM_STDERR, COREPROC_STREAM_STDOUT};
use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::service::{coreproc_stop_options, scope, stop_options};
use crate::event::holders_text;
use crate::{Cause, ExitStatus, Info, Process, State, Stream};

/// It runs.
pub const COREPROC_STATE_RUNNING: u32 = 1;
/// Its leader ended and was reaped; its output is being read to the end.
pub const COREPROC_STATE_EXITED: u32 = 2;
/// Nothing follows.
pub const COREPROC_STATE_CLOSED: u32 = 3;

/// It has not ended.
pub const COREPROC_CAUSE_NONE: u32 = 0;
/// It ended by itself, or by a signal that was sent as such.
pub const COREPROC_CAUSE_NATURAL: u32 = 1;
/// It was stopped.
pub const COREPROC_CAUSE_STOPPED: u32 = 2;
/// It was killed.
pub const COREPROC_CAUSE_KILLED: u32 = 3;
/// Its timeout stopped it.
pub const COREPROC_CAUSE_TIMEOUT: u32 = 4;
/// It was stopped because the run that it is part of was cancelled.
pub const COREPROC_CAUSE_CANCELLED: u32 = 5;

/// The host reaped the child and the kernel could not tell how it ended: exit_code is -1, signal is 0.
pub const COREPROC_FLAG_STATUS_UNKNOWN: u32 = 1;
/// The signal that ended it left a core dump.
pub const COREPROC_FLAG_CORE_DUMPED: u32 = 2;
/// A piece of a line that is longer than the maximum: the next event of this stream goes on with it.
pub const COREPROC_FLAG_PARTIAL: u32 = 4;
/// The last line, which had no "\n".
pub const COREPROC_FLAG_NO_NEWLINE: u32 = 8;
/// It was closed at the drain bound: somebody else still holds its output pipes.
pub const COREPROC_FLAG_DRAIN_BOUND: u32 = 16;
/// Output before this event was lost, because memory for it could not be had.
pub const COREPROC_FLAG_LOST: u32 = 32;
/// In an info: the kernel refuses the signal of a stop, a timeout or a close, mostly because the process has become
/// another user's. It is tried again until it is taken or the process ends.
pub const COREPROC_FLAG_STOP_REFUSED: u32 = 64;

/// A process that a service started. Shared: reference-counted, thread-safe. Freeing it does nothing to the
/// process; while a reference is held, an ended process keeps its status and its captured output.
pub struct coreproc_process(pub(super) Process);

/// What is known of a process. Plain data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_process_info {
    /// sizeof(coreproc_process_info), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// A COREPROC_STATE value.
    pub state: u32,
    /// Its number in its service: from 1, never reused.
    pub id: u64,
    /// Its PID; may be another process's once this one has ended.
    pub pid: i32,
    /// 0 to 255 once it exited by itself, else -1.
    pub exit_code: i32,
    /// The signal that ended it, else 0.
    pub signal: i32,
    /// A COREPROC_CAUSE value.
    pub cause: u32,
    /// COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED, DRAIN_BOUND, STOP_REFUSED.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// When it was started, on CLOCK_MONOTONIC.
    pub started_monotonic_ns: u64,
    /// When it was started, on CLOCK_REALTIME.
    pub started_realtime_ns: u64,
    /// When its end was seen, 0 before.
    pub exited_monotonic_ns: u64,
    /// When it was closed, 0 before.
    pub closed_monotonic_ns: u64,
    /// Bytes read from its standard output so far.
    pub stdout_bytes: u64,
    /// Bytes read from its standard error so far.
    pub stderr_bytes: u64,
    /// Bytes that its capture does not hold any more, or never did.
    pub dropped_bytes: u64,
    /// Bytes read after it was closed, and discarded; or lost from a spool.
    pub discarded_bytes: u64,
}

impl coreproc_process {
    pub(super) fn into_raw(process: Process) -> *mut coreproc_process {
        Box::into_raw(Box::new(coreproc_process(process)))
    }
}

/// Code, signal and flags of a status, as events and infos carry them.
pub(super) fn status_fields(status: Option<ExitStatus>) -> (i32, i32, u32) {
    match status {
        None => (-1, 0, 0),
        Some(ExitStatus::Code(code)) => (code, 0, 0),
        Some(ExitStatus::Signal { signal, core_dumped }) => {
            (-1, signal, if core_dumped { COREPROC_FLAG_CORE_DUMPED } else { 0 })
        }
        Some(ExitStatus::Unknown) => (-1, 0, COREPROC_FLAG_STATUS_UNKNOWN),
    }
}

pub(super) fn cause_value(cause: Cause) -> u32 {
    match cause {
        Cause::Natural => COREPROC_CAUSE_NATURAL,
        Cause::Stopped => COREPROC_CAUSE_STOPPED,
        Cause::Killed => COREPROC_CAUSE_KILLED,
        Cause::Timeout => COREPROC_CAUSE_TIMEOUT,
        Cause::Cancelled => COREPROC_CAUSE_CANCELLED,
    }
}

/// The size of the first version of an info.
const SMALLEST: usize = 104;

/// # Safety
/// `out` is valid for writes of `size` bytes, as [`guard::out_size`] said.
unsafe fn write_info(out: *mut coreproc_process_info, size: usize, info: &Info) {
    let (exit_code, signal, flags) = status_fields(info.status());
    let value = coreproc_process_info {
        struct_size: size as u32,
        state: match info.state {
            State::Running => COREPROC_STATE_RUNNING,
            State::Exited => COREPROC_STATE_EXITED,
            State::Closed => COREPROC_STATE_CLOSED,
        },
        id: info.id,
        pid: info.pid,
        exit_code,
        signal,
        cause: info.ending.map_or(COREPROC_CAUSE_NONE, |ending| cause_value(ending.cause)),
        flags: flags
            | if info.drain_bound { COREPROC_FLAG_DRAIN_BOUND } else { 0 }
            | if info.stop_refused.is_some() { COREPROC_FLAG_STOP_REFUSED } else { 0 },
        reserved: 0,
        started_monotonic_ns: info.started.monotonic_ns,
        started_realtime_ns: info.started.realtime_ns,
        exited_monotonic_ns: info.exited.map_or(0, |stamp| stamp.monotonic_ns),
        closed_monotonic_ns: info.closed.map_or(0, |stamp| stamp.monotonic_ns),
        stdout_bytes: info.stdout_bytes,
        stderr_bytes: info.stderr_bytes,
        dropped_bytes: info.dropped_bytes,
        discarded_bytes: info.discarded_bytes,
    };
    let known = size.min(size_of::<coreproc_process_info>());
    // SAFETY: the caller's promise; both are plain data.
    unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), out.cast::<u8>(), known) };
}

/// Its number in its service: from 1, never reused; 0 for NULL. Thread-safe.
///
/// # Safety
/// `process` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_id(process: *const coreproc_process) -> u64 {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { process.as_ref() }.map_or(0, |p| p.0.id()))
}

/// Its PID, which may be another process's once this one has ended; -1 for NULL. Thread-safe.
///
/// # Safety
/// `process` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_pid(process: *const coreproc_process) -> i32 {
    // SAFETY: the caller's promise.
    guard::get(-1, || unsafe { process.as_ref() }.map_or(-1, |p| p.0.pid()))
}

/// What is known of it now. The caller sets `out->struct_size`. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_info_get(
    process: *mut coreproc_process,
    out: *mut coreproc_process_info,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "info";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            let size = guard::out_size(OPERATION, out, SMALLEST)?;
            write_info(out, size, &process.0.info()?);
            Ok(())
        })
    }
}

/// Waits until it is exited or closed, as `until`, a COREPROC_STATE value, says; up to `timeout_ms` (-1: for
/// ever; 0: only looks). `out` may be NULL; else the caller sets its `struct_size`. Thread-safe, any number
/// of waiters. Errors: INVALID_ARGUMENT, TIMED_OUT, DEADLOCK, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_wait(
    process: *mut coreproc_process,
    until: u32,
    timeout_ms: i64,
    out: *mut coreproc_process_info,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "wait";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            let timeout = guard::timeout(OPERATION, timeout_ms)?;
            let size = if out.is_null() { 0 } else { guard::out_size(OPERATION, out, SMALLEST)? };
            let info = match until {
                COREPROC_STATE_EXITED => process.0.wait_exit(timeout)?,
                COREPROC_STATE_CLOSED => process.0.wait(timeout)?,
                other => return Err(guard::unknown(OPERATION, "until", other)),
            };
            if !out.is_null() {
                write_info(out, size, &info);
            }
            Ok(())
        })
    }
}

/// A copy of what its capture holds: both streams, in order of arrival. `*out` is to be freed with
/// coreproc_bytes_free. Thread-safe. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_output(
    process: *mut coreproc_process,
    out: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "output";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_bytes::into_raw(process.0.output()?));
            Ok(())
        })
    }
}

/// Who held its output pipes when it was closed at the drain bound, "PID COMMAND\n" each, "?" for a PID that
/// could not be seen; empty otherwise. A process may call itself anything: in COMMAND control characters, and what nobody
/// sees, are escaped, so that no name is a line of its own or talks to a terminal. `*out` is to be freed with coreproc_bytes_free. Thread-safe.
/// Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_holders(
    process: *mut coreproc_process,
    out: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "holders";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_bytes::into_raw(holders_text(&process.0.holders()?).into_bytes()));
            Ok(())
        })
    }
}

/// Sends a signal by pidfd_send_signal(2); 0 only probes. `scope` is a COREPROC_SCOPE value. It reaches this process
/// or its group, or nobody. Thread-safe. Errors: INVALID_ARGUMENT, NOT_RUNNING, PERMISSION_DENIED; UNSUPPORTED for a
/// group before Linux 6.9 if the host has reaped the process (it ignores SIGCHLD, or calls waitpid(-1)), because
/// nothing proves then whose the group's number is.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_signal(
    process: *mut coreproc_process,
    signal: i32,
    scope: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "signal";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            process.0.signal(signal, self::scope(OPERATION, scope)?)
        })
    }
}

/// Sends SIGKILL, once. A group can be killed after its leader ended, until the process is closed. Thread-safe.
/// Errors: INVALID_ARGUMENT, NOT_RUNNING when nobody is left to kill, PERMISSION_DENIED, UNSUPPORTED as for
/// coreproc_process_signal.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_kill(
    process: *mut coreproc_process,
    scope: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "kill";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            process.0.kill(self::scope(OPERATION, scope)?)
        })
    }
}

/// Stops it: a signal, a grace period, SIGKILL. NULL `options` are its command's. Does not wait. SIGCONT follows the
/// first signal, so that a suspended process acts on it. A second stop sends SIGKILL at once; stopping what has ended
/// is fine. While a group's stop goes on, the process is not closed. Thread-safe. Errors: INVALID_ARGUMENT;
/// PERMISSION_DENIED or SYSTEM if the kernel refuses the signal, mostly because the process has become another user's:
/// the stop goes on, the signal is tried again until it is taken or the process ends, and COREPROC_FLAG_STOP_REFUSED is
/// set meanwhile; UNSUPPORTED as for coreproc_process_signal.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_stop(
    process: *mut coreproc_process,
    options: *const coreproc_stop_options,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "stop";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            if options.is_null() {
                return process.0.stop(None);
            }
            process.0.stop(Some(&stop_options(OPERATION, options)?))
        })
    }
}

/// Writes to its standard input: at least one byte, and as many as it takes within `timeout_ms` (-1: for
/// ever; 0: what fits now). On success `*written`, which may be NULL, is at most `len`; it is less only when
/// the time, or its reading, ended. Concurrent writes do not mix. Never a SIGPIPE. Thread-safe.
/// Errors, when not one byte was written: INVALID_ARGUMENT; NOT_RUNNING when the process has ended, whatever became of
/// its standard input before; STDIN_CLOSED while it runs, but its input is no pipe, was closed, or has no reader left
/// (a reader mostly ends right after it has closed its input, so the end is waited for before this is said, up to 0.1 s
/// and within `timeout_ms`); TIMED_OUT, DEADLOCK, PANIC.
///
/// # Safety
/// Pointers are NULL or valid; `data` for reads of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_write(
    process: *mut coreproc_process,
    data: *const u8,
    len: usize,
    timeout_ms: i64,
    written: *mut usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "write stdin";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            let data = guard::bytes(OPERATION, "data", data, len)?;
            let timeout = guard::timeout(OPERATION, timeout_ms)?;
            let count = process.0.write_stdin(data, timeout)?;
            if !written.is_null() {
                written.write(count);
            }
            Ok(())
        })
    }
}

/// Closes its standard input: its reader sees the end, also while a child that the host forked lives (libc's fork, which
/// runs pthread_atfork(3) handlers: a copy that a bare clone made keeps it open). Idempotent; a write that waits fails.
/// Thread-safe.
/// Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_close_stdin(
    process: *mut coreproc_process,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "close stdin";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "process", process)?.0.close_stdin()) }
}

/// Closes our end of an output, COREPROC_STREAM_STDOUT or _STDERR: what is in the pipe is lost, and whoever writes
/// to it from now on gets a SIGPIPE, as in a shell pipeline whose reader has ended. Idempotent; fine for an output
/// that is no pipe of ours. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_close_output(
    process: *mut coreproc_process,
    stream: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "close output";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let process = guard::handle(OPERATION, "process", process)?;
            process.0.close_output(match stream {
                COREPROC_STREAM_STDOUT => Stream::Stdout,
                COREPROC_STREAM_STDERR => Stream::Stderr,
                other => return Err(guard::unknown(OPERATION, "stream", other)),
            })
        })
    }
}

/// Another reference to the same process, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `process` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_ref(process: *mut coreproc_process) -> *mut coreproc_process {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { process.as_ref() }.map_or(std::ptr::null_mut(), |p| coreproc_process::into_raw(p.0.clone()))
    })
}

/// Gives a reference back; NULL is fine. Never blocks, never kills.
///
/// # Safety
/// `process` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_free(process: *mut coreproc_process) {
    if !process.is_null() {
        // SAFETY: the caller's promise; made by `into_raw`.
        guard::free(|| drop(unsafe { Box::from_raw(process) }));
    }
}
