//! `coreproc_history`.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;

use super::call::call;
use super::convert::c_text;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, free, text};
use super::run::coreproc_run;
use crate::History;

/// How long the specs of a pipeline took in earlier runs, kept in a file that may serve several
/// pipelines. As `history` of coreproc_run_options it lets the longest path start first, and tells
/// how much time is left. One thread at a time.
pub struct coreproc_history {
    history: History,
    problem: CString,
}

impl Born for coreproc_history {}

impl coreproc_history {
    fn new(history: History) -> coreproc_history {
        coreproc_history { problem: c_text(history.problem().unwrap_or_default()), history }
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }
}

/// Reads what the file at `path` says of the pipeline of this name, UTF-8 and up to 1024 bytes. A
/// missing file counts as an empty one; a damaged file is set aside as PATH.bad, see
/// coreproc_history_problem. Free `*out` with coreproc_history_free.
///
/// Errors: INVALID_ARGUMENT, also if it is not a regular file; PERMISSION_DENIED; SYSTEM (open(2),
/// read(2)).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_history_open(
    path: *const c_char,
    path_len: usize,
    pipeline: *const c_char,
    pipeline_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_history>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open history", err, |op| {
        // SAFETY: each has as many bytes as its length says.
        let (path, pipeline) =
            unsafe { (op.text("path", path, path_len)?, op.utf8("pipeline", pipeline, pipeline_len)?) };
        op.out(out)?.write(Box::new(coreproc_history::new(History::open(path, pipeline)?)));
        Ok(())
    })
}

/// Remembers how long the specs of a run that has ended took, and replaces the file as a whole
/// (rename(2)).
///
/// Errors: INVALID_ARGUMENT; INVALID_STATE while the run has not ended; PERMISSION_DENIED; SYSTEM.
/// The file is then as it was.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_history_record(
    history: Option<&mut coreproc_history>,
    run: Option<&coreproc_run>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("record history", err, |op| {
        let history = op.builder("history", history)?;
        let run = op.handle("run", run)?;
        let recorded = history.history.record(run.report(op)?);
        history.problem = c_text(history.history.problem().unwrap_or_default());
        recorded
    })
}

/// Returns what was wrong with the file, if it was set aside; else "". Lives until the history is
/// recorded or freed.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_history_problem(history: Option<&coreproc_history>) -> *const c_char {
    text(history, |history| &history.problem)
}

/// Frees a history. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_history_free(history: Option<Box<coreproc_history>>) {
    free(history);
}
