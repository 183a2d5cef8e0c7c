//! `coreproc_process`.

use std::mem::MaybeUninit;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{another, free, read, shared};
use super::info::{COREPROC_STATE_CLOSED, COREPROC_STATE_EXITED, coreproc_process_info};
use super::stop::{coreproc_stop_options, scope, stop_policy};
use super::stream::{COREPROC_STREAM_STDERR, COREPROC_STREAM_STDOUT};
use crate::error::Result;
use crate::event::holders_text;
use crate::{Process, Stream};

/// A process that a service started. Shared: reference-counted, thread-safe. Freeing it does
/// nothing to the process; while a reference is held, an ended process keeps its status and its
/// captured output.
#[derive(Clone)]
pub struct coreproc_process(pub(super) Process);

const _: () = shared::<coreproc_process>();

/// Returns its number in its service: from 1, never reused; 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_id(process: Option<&coreproc_process>) -> u64 {
    read(process, 0, |process| process.0.id())
}

/// Returns its PID, which may be another process's once this one has ended; -1 for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_pid(process: Option<&coreproc_process>) -> i32 {
    read(process, -1, |process| process.0.pid())
}

/// Tells what is known of it now. The caller sets `out->struct_size`. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_info_get(
    process: Option<&coreproc_process>,
    out: *mut coreproc_process_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("info", err, |op| {
        let process = op.handle("process", process)?;
        // SAFETY: `out` begins with its size.
        let out = unsafe { op.room(out) }?;
        let info = coreproc_process_info::new(out.size(), &process.0.info()?);
        out.write(info);
        Ok(())
    })
}

/// Waits until it is exited or closed, as `until`, a COREPROC_STATE value, says; up to `timeout_ms`
/// (-1: for ever; 0: only looks). `out` may be NULL; else the caller sets its `struct_size`. Any
/// number of threads may wait. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_wait(
    process: Option<&coreproc_process>,
    until: u32,
    timeout_ms: i64,
    out: *mut coreproc_process_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait", err, |op| {
        let process = op.handle("process", process)?;
        let timeout = op.timeout(timeout_ms)?;
        // SAFETY: `out` is NULL or begins with its size.
        let out = (!out.is_null()).then(|| unsafe { op.room(out) }).transpose()?;
        let info = match until {
            COREPROC_STATE_EXITED => process.0.wait_exit(timeout)?,
            COREPROC_STATE_CLOSED => process.0.wait(timeout)?,
            other => return Err(op.unknown("until", other)),
        };
        if let Some(out) = out {
            let info = coreproc_process_info::new(out.size(), &info);
            out.write(info);
        }
        Ok(())
    })
}

/// Copies what its capture holds: both streams, in order of arrival. Free `*out` with
/// coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_output(
    process: Option<&coreproc_process>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("output", err, |op| {
        let process = op.handle("process", process)?;
        op.out(out)?.write(coreproc_bytes::new(process.0.output()?));
        Ok(())
    })
}

/// Tells people what became of it, in at most ten lines: its command and PID, how it ended, and why if
/// the library was the cause; how long it ran, its CPU time and peak memory; how much it wrote; who
/// holds its output; and the last lines of that. Control characters of the process are escaped. The
/// words may change; programs read coreproc_process_info_json. Free `*out` with coreproc_bytes_free.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_post_mortem(
    process: Option<&coreproc_process>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("post mortem", err, |op| {
        let process = op.handle("process", process)?;
        op.out(out)?.write(coreproc_bytes::new(process.0.post_mortem()?));
        Ok(())
    })
}

/// Returns all that is known of it as a JSON object, with what coreproc_process_post_mortem tells;
/// docs/reports.md lists the fields. Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_info_json(
    process: Option<&coreproc_process>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("info", err, |op| {
        let process = op.handle("process", process)?;
        op.out(out)?.write(coreproc_bytes::new(process.0.info_json()?));
        Ok(())
    })
}

/// Names the processes that held its output pipes when it was closed at the drain bound, "PID
/// COMMAND\n" each, "?" for a PID that could not be seen; empty otherwise. A process may call
/// itself anything: control and invisible characters in COMMAND are escaped, so that no name is a
/// line of its own or talks to a terminal. Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_holders(
    process: Option<&coreproc_process>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("holders", err, |op| {
        let process = op.handle("process", process)?;
        op.out(out)?.write(coreproc_bytes::new(holders_text(&process.0.holders()?)));
        Ok(())
    })
}

/// Sends a signal by pidfd_send_signal(2); 0 only probes. `scope` is a COREPROC_SCOPE value. The
/// signal reaches this process or its group, never another one. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_RUNNING; PERMISSION_DENIED; UNSUPPORTED for a group before Linux
/// 6.9 if the host has reaped the process (it ignores SIGCHLD, or calls waitpid(-1)), because then
/// nothing proves which group the number names.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_signal(
    process: Option<&coreproc_process>,
    signal: i32,
    scope: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("signal", err, |op| {
        let process = op.handle("process", process)?;
        process.0.signal(signal, self::scope(op, scope)?)
    })
}

/// Sends SIGKILL, once. A group can be killed after its leader has ended, until the process is
/// closed. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_RUNNING if there is no process left to kill; PERMISSION_DENIED;
/// UNSUPPORTED as for coreproc_process_signal.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_kill(
    process: Option<&coreproc_process>,
    scope: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("kill", err, |op| {
        let process = op.handle("process", process)?;
        process.0.kill(self::scope(op, scope)?)
    })
}

/// Stops it: a signal, a grace period, SIGKILL, or as many steps as the options have. NULL `options`
/// are its command's. Does not wait. SIGCONT follows each signal that a stopped process would not
/// act on. A second stop, whatever its options, moves to the next step at once, and at the last step
/// sends its signal again, unless that is SIGKILL; stopping a process that has ended is fine. While the
/// stop of a group goes on,
/// the process is not closed. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; PERMISSION_DENIED or SYSTEM if the kernel refuses the signal, usually
/// because the process has become another user's: the stop goes on, the signal is tried again until
/// it is taken or the process ends, and COREPROC_FLAG_STOP_REFUSED is set meanwhile; UNSUPPORTED as
/// for coreproc_process_signal.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_stop(
    process: Option<&coreproc_process>,
    options: *const coreproc_stop_options,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("stop", err, |op| {
        let process = op.handle("process", process)?;
        if options.is_null() {
            return process.0.stop(None);
        }
        // SAFETY: `options` begins with its size, and its steps are as many as it says.
        process.0.stop_by(&unsafe { stop_policy(op, options) }?)
    })
}

/// Writes to its standard input: at least one byte, and as many as it takes within `timeout_ms`
/// (-1: for ever; 0: what fits now). On success `*written`, which may be NULL, is at most `len`; it
/// is less only if the time ran out, or the reader ended. Concurrent writes do not mix. Never
/// raises SIGPIPE. Thread-safe.
///
/// Errors, if not one byte was written: INVALID_ARGUMENT; NOT_RUNNING if the process has ended,
/// whatever became of its standard input before; STDIN_CLOSED while it runs, if its input is not a
/// pipe, was closed, or has no reader left (a reader usually ends right after it has closed its
/// input, so this is returned only after a wait for the end, up to 0.1 s and within `timeout_ms`);
/// TIMED_OUT; DEADLOCK inside a callback; PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_write(
    process: Option<&coreproc_process>,
    data: *const u8,
    len: usize,
    timeout_ms: i64,
    written: Option<&mut MaybeUninit<usize>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("write stdin", err, |op| {
        let process = op.handle("process", process)?;
        // SAFETY: `data` has `len` bytes.
        let data = unsafe { op.bytes("data", data, len) }?;
        let count = process.0.write_stdin(data, op.timeout(timeout_ms)?)?;
        if let Some(written) = written {
            written.write(count);
        }
        Ok(())
    })
}

/// Closes its standard input: its reader sees the end, even while a child that the host forked
/// lives (libc's fork, which runs pthread_atfork(3) handlers: a copy that a bare clone made keeps
/// it open). Idempotent; a write that waits fails. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_close_stdin(
    process: Option<&coreproc_process>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("close stdin", err, |op| op.handle("process", process)?.0.close_stdin())
}

/// Closes our end of an output, COREPROC_STREAM_STDOUT or _STDERR: what is in the pipe is lost, and
/// a process that writes to it from now on gets a SIGPIPE, as in a shell pipeline whose reader has
/// ended. Idempotent, and without effect on an output that is not a pipe of ours. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_close_output(
    process: Option<&coreproc_process>,
    stream: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("close output", err, |op| {
        let process = op.handle("process", process)?;
        process.0.close_output(output_stream(op, stream)?)
    })
}

fn output_stream(op: Operation, stream: u32) -> Result<Stream> {
    match stream {
        COREPROC_STREAM_STDOUT => Ok(Stream::Stdout),
        COREPROC_STREAM_STDERR => Ok(Stream::Stderr),
        other => Err(op.unknown("stream", other)),
    }
}

/// Returns another reference to the same process, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_ref(process: Option<&coreproc_process>) -> Option<Box<coreproc_process>> {
    another(process)
}

/// Gives a reference back. NULL is fine. Never blocks, never kills. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_free(process: Option<Box<coreproc_process>>) {
    free(process);
}
