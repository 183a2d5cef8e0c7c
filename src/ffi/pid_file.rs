//! `coreproc_pid_file`.

use std::ffi::{CString, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free, read, shared, text};
use crate::{PidFile, PidState};

/// Its daemon lives.
pub const COREPROC_PID_ALIVE: u32 = 1;
/// Its daemon has ended and left its file.
pub const COREPROC_PID_DEAD: u32 = 2;
/// There is something else in its place: not a PID, not a plain file, or a file that any user could
/// have put there.
pub const COREPROC_PID_INVALID: u32 = 3;
/// There is no such file.
pub const COREPROC_PID_MISSING: u32 = 4;

/// A PID file: for each path, one daemon at a time. It holds the daemon's PID in decimal, and a
/// lock (fcntl(2), F_OFD_SETLK) that is the proof of life. Shared: reference-counted, thread-safe.
/// Freeing the last reference to one that is held releases it.
///
/// The lock is inherited through fork(). A child changes nothing for its parent; but if the parent
/// ends without a release, the file counts as held for as long as the child lives. The lock does
/// not pass an exec.
#[derive(Clone)]
pub struct coreproc_pid_file {
    file: Arc<PidFile>,
    path: CString,
}

const _: () = shared::<coreproc_pid_file>();

impl Born for coreproc_pid_file {}

fn state_value(state: PidState) -> u32 {
    match state {
        PidState::Alive => COREPROC_PID_ALIVE,
        PidState::Dead => COREPROC_PID_DEAD,
        PidState::Invalid => COREPROC_PID_INVALID,
        PidState::Missing => COREPROC_PID_MISSING,
    }
}

/// Makes a PID file of this path, not held yet; nothing is opened. Free `*out` with
/// coreproc_pid_file_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_new(
    path: *const c_char,
    path_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_pid_file>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("new PID file", err, |op| {
        // SAFETY: `path` has `path_len` bytes.
        let path = unsafe { op.path("path", path, path_len) }?;
        if path.is_empty() {
            return Err(op.invalid("path: is empty"));
        }
        let file = Arc::new(PidFile::new(OsStr::from_bytes(path.as_bytes())));
        op.out(out)?.write(Box::new(coreproc_pid_file { file, path }));
        Ok(())
    })
}

/// Takes the file for this process: makes it, with the directories above, or takes over a stale
/// one, and writes the PID. Of many processes that start at once exactly one gets it. A read lock,
/// which every process that may read the file can take, is not in the way: the file is then
/// replaced by a new one. Thread-safe.
///
/// Errors: BUSY while a daemon that lives has it, with the PID if it is known for sure;
/// INVALID_STATE while this handle has it; INVALID_ARGUMENT for a symbolic link, a directory, or
/// anything else that is not a plain file; PERMISSION_DENIED also for another user's file, for one
/// that every user may write, and for a directory on the way to it that every user may write and
/// that is not sticky; MALFORMED for a file that holds something else than a PID, which is left as
/// it is; NOT_FOUND; SYSTEM (open(2), fcntl(2), write(2)).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pid_file_acquire(
    pid_file: Option<&coreproc_pid_file>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("acquire PID file", err, |op| op.handle("pid_file", pid_file)?.file.acquire())
}

/// Removes the file, if the path still names it, and gives the lock back. If it is not held, does
/// nothing. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; PERMISSION_DENIED or SYSTEM (unlink(2)); the lock is given back in any
/// case.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pid_file_release(
    pid_file: Option<&coreproc_pid_file>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("release PID file", err, |op| op.handle("pid_file", pid_file)?.file.release())
}

/// Returns the path, as it was given; "" for NULL. Lives as long as the handle. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pid_file_path(pid_file: Option<&coreproc_pid_file>) -> *const c_char {
    text(pid_file, |pid_file| &pid_file.path)
}

/// Returns 1 if this handle holds it, else 0; 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pid_file_held(pid_file: Option<&coreproc_pid_file>) -> u32 {
    read(pid_file, 0, |pid_file| u32::from(pid_file.file.is_held()))
}

/// Returns another reference to the same PID file, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pid_file_ref(pid_file: Option<&coreproc_pid_file>) -> Option<Box<coreproc_pid_file>> {
    another(pid_file)
}

/// Gives a reference back. NULL is fine. The last one to a PID file that is held releases it.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_pid_file_free(pid_file: Option<Box<coreproc_pid_file>>) {
    free(pid_file);
}

/// Reads a PID file, of this library or one without a lock, and tells in `*state`, a COREPROC_PID
/// value, whether its daemon lives: it does while the file is locked, and, without a lock, if its
/// PID names a process that started before the file was written, at a time that is not ahead of the
/// clock.
///
/// `*pid` becomes the PID of the daemon, or of the one that has ended; 0 if none is certain. The
/// number in a locked file may be one of another PID namespace, so it counts only if
/// /proc/PID/fdinfo shows that the process has the lock.
///
/// A file that any user could have put there is INVALID as well: one that every user may write,
/// that has several names, or that is in a directory which coreproc_pid_file_acquire refuses; and
/// one in a sticky directory that every user may write, if its owner is neither root nor this
/// process's user. In other directories, a file of such an owner counts for that user's processes
/// alone.
///
/// `*reason` becomes the reason for the state, to be shown as it is; it is empty if the daemon
/// lives and its PID is known. Free it with coreproc_bytes_free. `pid` and `reason` may be NULL.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT; PERMISSION_DENIED; SYSTEM (open(2), read(2)).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_read(
    path: *const c_char,
    path_len: usize,
    state: Option<&mut MaybeUninit<u32>>,
    pid: Option<&mut MaybeUninit<i32>>,
    reason: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("read PID file", err, |op| {
        // SAFETY: `path` has `path_len` bytes.
        let path = unsafe { op.text("path", path, path_len) }?;
        let state = op.out(state)?;
        let read = crate::read_pid(path)?;
        state.write(state_value(read.state));
        if let Some(pid) = pid {
            pid.write(read.pid.unwrap_or(0));
        }
        if let Some(reason) = reason {
            reason.write(coreproc_bytes::new(read.reason));
        }
        Ok(())
    })
}
