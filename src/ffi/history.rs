//! `coreproc_history`.

use std::ffi::{CString, OsStr, c_char};

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::run::coreproc_run;
use crate::History;
use crate::error::Error;

/// How long the specs of a pipeline took in earlier runs, kept in a file that may serve several pipelines. As
/// `history` of coreproc_run_options it lets the longest path start first, and tells how much time is left.
/// One thread at a time.
pub struct coreproc_history {
    history: History,
    problem: CString,
}

impl coreproc_history {
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    fn note_problem(&mut self) {
        let problem = self.history.problem().unwrap_or_default().replace('\0', "\\0");
        self.problem = CString::new(problem).unwrap_or_default();
    }
}

/// What the file at `path` says of the pipeline of this name, UTF-8 and up to 1024 bytes. A file that there is not yet is an
/// empty one; one that is damaged is set aside as PATH.bad, see coreproc_history_problem. `*out` is to be freed with
/// coreproc_history_free. Errors: INVALID_ARGUMENT (also: not a regular file), PERMISSION_DENIED, SYSTEM (open(2),
/// read(2)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_history_open(
    path: *const c_char,
    path_len: usize,
    pipeline: *const c_char,
    pipeline_len: usize,
    out: *mut *mut coreproc_history,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "open history";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let path: &OsStr = guard::text(OPERATION, "path", path, path_len)?;
            let pipeline = guard::text(OPERATION, "pipeline", pipeline, pipeline_len)?;
            let pipeline = pipeline.to_str().ok_or_else(|| Error::invalid(OPERATION, "pipeline: is not UTF-8"))?;
            let out = guard::out(OPERATION, out)?;
            let history = History::open(path, pipeline)?;
            let mut boxed = Box::new(coreproc_history { history, problem: CString::default() });
            boxed.note_problem();
            out.write(Box::into_raw(boxed));
            Ok(())
        })
    }
}

/// Remembers how long the specs of a run that has ended took, and writes the file (rename(2), as a whole). Errors:
/// INVALID_ARGUMENT, INVALID_STATE while the run has not ended, PERMISSION_DENIED, SYSTEM; the file is as it was.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_history_record(
    history: *mut coreproc_history,
    run: *mut coreproc_run,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "record history";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let history = guard::builder(OPERATION, "history", history)?;
            let run = guard::handle(OPERATION, "run", run)?;
            let recorded = history.history.record(&run.report(OPERATION)?.report);
            history.note_problem();
            recorded
        })
    }
}

/// What was wrong with the file, if it was set aside; else "". Lives until the history is recorded or freed.
///
/// # Safety
/// `history` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_history_problem(history: *const coreproc_history) -> *const c_char {
    // SAFETY: the caller's promise.
    guard::get(c"".as_ptr(), || unsafe { history.as_ref() }.map_or(c"".as_ptr(), |history| history.problem.as_ptr()))
}

/// Frees a history; NULL is fine.
///
/// # Safety
/// `history` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_history_free(history: *mut coreproc_history) {
    if !history.is_null() {
        // SAFETY: the caller's promise; made by `coreproc_history_open`.
        guard::free(|| drop(unsafe { Box::from_raw(history) }));
    }
}
