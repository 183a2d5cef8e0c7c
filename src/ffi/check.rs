//! `coreproc_check`: what a health server asks the program.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::user_data::UserData;
use crate::error::Result;

/// The answer of a check that is running: valid during the callback, on its thread.
pub struct coreproc_check_answer {
    reason: RefCell<Option<String>>,
}

/// A check: returns 0 if all is well, else any other value, after it has said why with
/// coreproc_check_answer_reason. It runs on a thread of the library, coreproc-check, for each
/// request that finds it idle, never twice at once; it may block. It must not throw or longjmp.
/// Inside it, stopping the server that runs it returns DEADLOCK. Its thread blocks all signals, and
/// a program that it starts by fork(2) or posix_spawn(3) inherits that.
pub type coreproc_check =
    Option<unsafe extern "C" fn(answer: *mut coreproc_check_answer, user_data: *mut c_void) -> i32>;

/// Makes a check with its user data, as the core calls it. `destroy` runs exactly once: when what is returned is
/// dropped, or here, if `check` is NULL.
pub(super) fn user_check(
    op: Operation,
    check: coreproc_check,
    user: UserData,
) -> Result<impl Fn() -> std::result::Result<(), String> + Send + Sync + 'static> {
    let check = check.ok_or_else(|| op.is_null("check"))?;
    Ok(move || {
        let user = &user;
        let mut answer = coreproc_check_answer { reason: RefCell::new(None) };
        // SAFETY: the header's contract; the answer lives longer than the call.
        match unsafe { check(&raw mut answer, user.pointer) } {
            0 => Ok(()),
            code => Err(answer.reason.into_inner().unwrap_or_else(|| format!("failed with {code}"))),
        }
    })
}

/// Says, inside a check, why it fails; a later call replaces an earlier one. It has no effect if
/// the check then returns 0. The text is UTF-8 (other bytes are replaced); line breaks become
/// spaces, and it is cut after 1000 bytes. To be called on the thread of the check alone.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_check_answer_reason(
    answer: Option<&coreproc_check_answer>,
    text: *const c_char,
    text_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("reason of a check", err, |op| {
        let answer = op.handle("answer", answer)?;
        // SAFETY: `text` has `text_len` bytes.
        let text = unsafe { op.bytes("text", text.cast(), text_len) }?;
        answer.reason.replace(Some(String::from_utf8_lossy(text).into_owned()));
        Ok(())
    })
}
