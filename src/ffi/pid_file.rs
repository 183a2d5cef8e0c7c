//! `coreproc_pid_file`.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use super::bytes::coreproc_bytes;
use super::error::{coreproc_error, coreproc_result};
use super::guard;
use crate::error::{Error, Result};
use crate::{PidFile, PidState};

/// Its daemon lives.
pub const COREPROC_PID_ALIVE: u32 = 1;
/// Its daemon has ended and left its file.
pub const COREPROC_PID_DEAD: u32 = 2;
/// There is something else in its place: no PID, no file of its own, or one that anybody could have put there.
pub const COREPROC_PID_INVALID: u32 = 3;
/// There is no such file.
pub const COREPROC_PID_MISSING: u32 = 4;

/// One daemon at a time for each path: a file that holds its PID in decimal, with a lock (fcntl(2), F_OFD_SETLK)
/// that is the proof of life. Shared: reference-counted, thread-safe. Freeing the last reference to one that is
/// held releases it.
///
/// The lock is inherited through fork(): a child changes nothing for its parent, but while it lives, and its
/// parent ended without a release, the file counts as held. It does not pass an exec.
pub struct coreproc_pid_file {
    file: Arc<PidFile>,
    path: CString,
}

/// A path, which may have any byte but NUL.
///
/// # Safety
/// `pointer` is NULL or valid for reads of `len` bytes.
pub(super) unsafe fn path(operation: &'static str, name: &str, pointer: *const c_char, len: usize) -> Result<CString> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { guard::bytes(operation, name, pointer.cast(), len)? };
    CString::new(bytes).map_err(|_| Error::invalid(operation, format!("{name}: has a NUL byte")))
}

/// A PID file of this path, not held yet; nothing is opened. `*out` is to be freed with coreproc_pid_file_free.
/// Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_new(
    path: *const c_char,
    path_len: usize,
    out: *mut *mut coreproc_pid_file,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "new PID file";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let given = guard::text(OPERATION, "path", path, path_len)?;
            let path = self::path(OPERATION, "path", path, path_len)?;
            if given.is_empty() {
                return Err(Error::invalid(OPERATION, "path: is empty"));
            }
            let out = guard::out(OPERATION, out)?;
            out.write(Box::into_raw(Box::new(coreproc_pid_file { file: Arc::new(PidFile::new(given)), path })));
            Ok(())
        })
    }
}

/// Takes the file for this process: makes it, with the folders above, or takes over a stale one, and writes the
/// PID. Of many that start at once exactly one gets it. A read lock, which anybody who may read the file can take,
/// is in nobody's way: the file is replaced by a new one then. Thread-safe. Errors: BUSY, with the PID if it is known
/// for sure, while a daemon that lives has it; INVALID_STATE while this handle has; INVALID_ARGUMENT for a symbolic
/// link, a directory, or anything else that is no plain file; PERMISSION_DENIED also for another user's file, for one
/// that everybody may write, and for a folder on the way to it that everybody may write and that is not sticky;
/// MALFORMED for a file that holds something else than a PID, which is left as it is; NOT_FOUND, SYSTEM (open(2),
/// fcntl(2), write(2)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_acquire(
    pid_file: *mut coreproc_pid_file,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "acquire PID file";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "pid_file", pid_file)?.file.acquire()) }
}

/// Removes the file, if the path still names it, and gives the lock back. One that is not held is fine.
/// Thread-safe. Errors: INVALID_ARGUMENT, PERMISSION_DENIED, SYSTEM (unlink(2)): then it is not held any more all
/// the same.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_release(
    pid_file: *mut coreproc_pid_file,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "release PID file";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "pid_file", pid_file)?.file.release()) }
}

/// The path, as it was given; "" for NULL. Lives as long as the handle. Thread-safe.
///
/// # Safety
/// `pid_file` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_path(pid_file: *const coreproc_pid_file) -> *const c_char {
    // SAFETY: the caller's promise.
    guard::get(c"".as_ptr(), || unsafe { pid_file.as_ref() }.map_or(c"".as_ptr(), |f| f.path.as_ptr()))
}

/// Does this handle hold it? 1 or 0; 0 for NULL. Thread-safe.
///
/// # Safety
/// `pid_file` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_held(pid_file: *const coreproc_pid_file) -> u32 {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { pid_file.as_ref() }.map_or(0, |f| u32::from(f.file.is_held())))
}

/// Another reference to the same PID file, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `pid_file` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_ref(pid_file: *mut coreproc_pid_file) -> *mut coreproc_pid_file {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { pid_file.as_ref() }.map_or(std::ptr::null_mut(), |f| {
            Box::into_raw(Box::new(coreproc_pid_file { file: Arc::clone(&f.file), path: f.path.clone() }))
        })
    })
}

/// Gives a reference back; NULL is fine. The last one to a PID file that is held releases it.
///
/// # Safety
/// `pid_file` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_free(pid_file: *mut coreproc_pid_file) {
    if !pid_file.is_null() {
        // SAFETY: the caller's promise; made by `new` or `ref`.
        guard::free(|| drop(unsafe { Box::from_raw(pid_file) }));
    }
}

/// Reads a PID file, of this library or one without a lock, and tells in `*state`, a COREPROC_PID value, whether
/// its daemon lives: it does while the file is locked, and, without a lock, if its PID names a process that
/// started before the file was written, at a time that is not ahead of the clock. `*pid` is the daemon's PID, or that
/// of the one that was; 0 where none is known for sure: that of a locked file is told if /proc/PID/fdinfo shows that
/// the process has the lock, because it may be a number of another PID namespace. INVALID is also what anybody could
/// have put there: a file that everybody may write, that has several names, or that is in a folder as
/// coreproc_pid_file_acquire refuses it; and, if its owner is neither root nor this process's user, one in a sticky
/// folder that everybody may write. Elsewhere such a user's file counts for that user's processes alone. `*reason`
/// says why, for people; it is empty for a daemon that lives and its PID, and to be freed with coreproc_bytes_free. `pid` and `reason` may be NULL. Thread-safe. Errors: INVALID_ARGUMENT,
/// PERMISSION_DENIED, SYSTEM (open(2), read(2)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_pid_file_read(
    path: *const c_char,
    path_len: usize,
    state: *mut u32,
    pid: *mut i32,
    reason: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "read PID file";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let path = guard::text(OPERATION, "path", path, path_len)?;
            let state = guard::out(OPERATION, state)?;
            let read = crate::read_pid(path)?;
            state.write(match read.state {
                PidState::Alive => COREPROC_PID_ALIVE,
                PidState::Dead => COREPROC_PID_DEAD,
                PidState::Invalid => COREPROC_PID_INVALID,
                PidState::Missing => COREPROC_PID_MISSING,
            });
            if !pid.is_null() {
                pid.write(read.pid.unwrap_or(0));
            }
            if !reason.is_null() {
                reason.write(coreproc_bytes::into_raw(read.reason.into_bytes()));
            }
            Ok(())
        })
    }
}
