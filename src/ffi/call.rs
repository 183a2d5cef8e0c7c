//! The frame of every exported function that can fail. It turns cancellation off, begins nothing while memory is short,
//! returns FORKED in a child of fork, catches panics, and puts the error where the caller wants it.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Once;

use super::convert::Operation;
use super::error::{COREPROC_OK, COREPROC_OUT_OF_MEMORY, coreproc_error, coreproc_result};
use super::guard::{catch, silence, uncancelled};
use super::user_data::{UserData, coreproc_destroy};
use crate::error::Result;
use crate::sys::fork::Renewed;
use crate::sys::{fork, reserve};

/// Runs a call that can fail. If it does, `err` gets the error, unless it is NULL.
pub(super) fn call(
    operation: &'static str,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
    run: impl FnOnce(Operation) -> Result<()>,
) -> coreproc_result {
    uncancelled(|| framed(operation, err, run))
}

/// Like [`call`], for calls that need memory which no reserve of ours can give; see [`reserve::check_room`].
pub(super) fn call_with_room(
    operation: &'static str,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
    run: impl FnOnce(Operation) -> Result<()>,
) -> coreproc_result {
    call(operation, err, |op| reserve::check_room(operation).and_then(|()| run(op)))
}

/// Like [`call`], for calls that own the user's data from the first moment on: `destroy` runs even if the call fails.
pub(super) fn call_owning(
    operation: &'static str,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
    (pointer, destroy): (*mut c_void, coreproc_destroy),
    run: impl FnOnce(Operation, UserData) -> Result<()>,
) -> coreproc_result {
    uncancelled(|| {
        let user = UserData { pointer, destroy };
        framed(operation, err, |op| run(op, user))
    })
}

fn framed(
    operation: &'static str,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
    run: impl FnOnce(Operation) -> Result<()>,
) -> coreproc_result {
    prepare();
    let (code, error) = if reserve::is_low() {
        (COREPROC_OUT_OF_MEMORY, coreproc_error::out_of_memory())
    } else {
        match catch(operation, || fork::check(operation).and_then(|()| run(Operation(operation)))) {
            Ok(()) => return COREPROC_OK,
            Err(error) if err.is_none() => return coreproc_error::code(error.kind()),
            Err(error) => (coreproc_error::code(error.kind()), coreproc_error::into_raw(error)),
        }
    };
    if let Some(err) = err {
        err.write(error);
    }
    code
}

/// Prepares the first call: keeps panics quiet, and makes the error that needs no memory, because later there may be
/// none.
fn prepare() {
    static ONCE: Renewed<Once> = Renewed::new();
    ONCE.get(Once::new).call_once(|| {
        coreproc_error::out_of_memory();
        silence();
    });
}
