//! `coreproc_handle`: a process that is found by what names it.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free, read, shared};
use super::info::{COREPROC_STATE_EXITED, COREPROC_STATE_RUNNING};
use super::process::coreproc_process;
use super::status::status_fields;
use super::stop::scope;
use super::versioned::versioned;
use crate::{ExitStatus, ProcessHandle, ProcessIdentity};

/// A process that was found by its identity: any, not only a child. It names this process for good,
/// whatever becomes of its number, and never reaps it. Shared: reference-counted, thread-safe.
/// Freeing it does nothing to the process.
#[derive(Clone)]
pub struct coreproc_handle(Arc<ProcessHandle>);

const _: () = shared::<coreproc_handle>();

impl Born for coreproc_handle {
    fn is_a_parents(&self) -> bool {
        self.0.made().is_over()
    }
}

/// What is known of a process that was found by its identity. Plain data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_handle_info {
    /// sizeof(coreproc_handle_info), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// COREPROC_STATE_RUNNING or _EXITED.
    pub state: u32,
    /// Its PID, which may be another process's once this one has ended.
    pub pid: i32,
    /// 0 to 255 once it has exited by itself, else -1.
    pub exit_code: i32,
    /// The signal that ended it, else 0.
    pub signal: i32,
    /// COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED.
    pub flags: u32,
}

versioned!(coreproc_handle_info, 24);
const _: () = assert!(size_of::<coreproc_handle_info>() == 24);

impl coreproc_handle_info {
    fn new(struct_size: u32, pid: i32, status: Option<ExitStatus>) -> coreproc_handle_info {
        let (exit_code, signal, flags) = status_fields(status);
        let state = if status.is_none() { COREPROC_STATE_RUNNING } else { COREPROC_STATE_EXITED };
        coreproc_handle_info { struct_size, state, pid, exit_code, signal, flags }
    }
}

/// Returns what names a process for good, to be written down: one line of text, by which this and
/// any other program finds it again (coreproc_handle_open), and never another process:
/// "coreproc:1:PID:START:BOOT:NAMESPACE:PIDFS". It has the start in clock ticks since the boot, the
/// boot id, and the inodes of the PID namespace and of the process in pidfs (Linux 6.9); START or
/// PIDFS is "-" if it is not known. Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_RUNNING once it has ended; UNSUPPORTED without /proc.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_identity(
    process: Option<&coreproc_process>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("identity", err, |op| {
        let process = op.handle("process", process)?;
        op.out(out)?.write(coreproc_bytes::new(process.0.identity()?.to_string().into_bytes()));
        Ok(())
    })
}

/// Returns what names the process that has this PID now, child or not, as coreproc_process_identity
/// does. Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_FOUND if no process has this number; UNSUPPORTED without
/// pidfd_open(2) (Linux 5.3) or /proc.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_identity_of_pid(
    pid: i32,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("identity", err, |op| {
        let out = op.out(out)?;
        out.write(coreproc_bytes::new(ProcessIdentity::of_pid(pid)?.to_string().into_bytes()));
        Ok(())
    })
}

/// Finds the process that an identity names. What is found is never another process that has got
/// the number since. No privilege is needed. Free `*out` with coreproc_handle_free. Thread-safe.
///
/// Errors: MALFORMED, naming the field, if the text is no identity; NOT_FOUND if the process has
/// ended and was reaped; INVALID_ARGUMENT, also if it is of another boot or another PID namespace;
/// UNSUPPORTED without pidfd_open(2) (Linux 5.3) or /proc.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_handle_open(
    identity: *const c_char,
    len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_handle>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open process", err, |op| {
        // SAFETY: `identity` has `len` bytes.
        let text = unsafe { op.utf8("identity", identity, len) }?;
        let out = op.out(out)?;
        let found = text.parse::<ProcessIdentity>()?.open()?;
        out.write(Box::new(coreproc_handle(Arc::new(found))));
        Ok(())
    })
}

/// Returns its PID, which may be another process's once this one has ended; -1 for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_handle_pid(handle: Option<&coreproc_handle>) -> i32 {
    read(handle, -1, |handle| handle.0.pid())
}

/// Returns its pidfd, for event loops: it is readable once the process has ended. It is the
/// handle's own, so a loop that closes what it wraps needs a duplicate; -1 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_handle_fd(handle: Option<&coreproc_handle>) -> i32 {
    read(handle, -1, |handle| handle.0.fd().as_raw_fd())
}

/// Tells what is known of it now. The caller sets `out->struct_size`. Thread-safe.
///
/// The status of a child of this program is told until the program reaps it (waitid(2) with
/// WNOWAIT). That of any other process is told once its parent has reaped it, if the kernel keeps
/// it (Linux 6.15); until then, and on older kernels, COREPROC_FLAG_STATUS_UNKNOWN is set.
///
/// Errors: INVALID_ARGUMENT; SYSTEM if the host has closed the descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_handle_info_get(
    handle: Option<&coreproc_handle>,
    out: *mut coreproc_handle_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("info", err, |op| {
        let handle = op.handle("handle", handle)?;
        // SAFETY: `out` begins with its size.
        let out = unsafe { op.room(out) }?;
        let info = coreproc_handle_info::new(out.size(), handle.0.pid(), handle.0.exit_status()?);
        out.write(info);
        Ok(())
    })
}

/// Waits until it has ended, up to `timeout_ms` (-1: for ever; 0: only looks). If its parent has
/// still to reap it before the kernel tells the status, that is waited for as well, up to 0.1 s and
/// within `timeout_ms`. `out` may be NULL; else the caller sets its `struct_size`. Any number of
/// threads may wait. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; SYSTEM if the host has closed
/// the descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_handle_wait(
    handle: Option<&coreproc_handle>,
    timeout_ms: i64,
    out: *mut coreproc_handle_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait", err, |op| {
        let handle = op.handle("handle", handle)?;
        let timeout = op.timeout(timeout_ms)?;
        // SAFETY: `out` is NULL or begins with its size.
        let out = (!out.is_null()).then(|| unsafe { op.room(out) }).transpose()?;
        let status = handle.0.wait(timeout)?;
        if let Some(out) = out {
            let info = coreproc_handle_info::new(out.size(), handle.0.pid(), Some(status));
            out.write(info);
        }
        Ok(())
    })
}

/// Sends a signal by pidfd_send_signal(2); 0 only probes. `scope` is a COREPROC_SCOPE value, of
/// which DEFAULT is the process; GROUP is the process group that it leads, also after it has ended
/// itself. The signal reaches no other process or group. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_RUNNING once it has ended, or if it leads no group with a process
/// in it; PERMISSION_DENIED; UNSUPPORTED for a group before Linux 6.9; SYSTEM if the host has closed
/// the descriptor.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_handle_signal(
    handle: Option<&coreproc_handle>,
    signal: i32,
    scope: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("signal", err, |op| {
        let handle = op.handle("handle", handle)?;
        handle.0.signal(signal, self::scope(op, scope)?)
    })
}

/// Returns another reference to the same process, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_handle_ref(handle: Option<&coreproc_handle>) -> Option<Box<coreproc_handle>> {
    another(handle)
}

/// Gives a reference back. NULL is fine. Never blocks, never kills. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_handle_free(handle: Option<Box<coreproc_handle>>) {
    free(handle);
}
