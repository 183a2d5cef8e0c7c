//! `coreproc_run`.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::call::call;
use super::convert::{Operation, c_text};
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free, read, shared};
use super::spec_result::coreproc_spec_result;
use super::versioned::versioned;
use crate::error::{Error, ErrorKind, Result};
use crate::util::duration::nanoseconds;
use crate::{Run, RunReport};

/// A pipeline under way, or its result. Shared: reference-counted, thread-safe. Freeing it does not
/// cancel the run, which goes on to its end, and keeps its service open until then.
pub struct coreproc_run {
    run: Run,
    /// The report that results point into; made when the first one is asked for.
    report: OnceLock<Report>,
}

const _: () = shared::<coreproc_run>();

impl Born for coreproc_run {
    fn is_a_parents(&self) -> bool {
        self.run.check_fork("free run").is_err()
    }
}

struct Report {
    report: Arc<RunReport>,
    /// Name and error of each spec.
    texts: Vec<(CString, Option<CString>)>,
}

/// The state of a run. Plain data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_run_info {
    /// sizeof(coreproc_run_info), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// 1 once every spec has ended and the results are there, else 0.
    pub ended: u32,
    /// 1 once it has ended and every spec passed, except for failures that are allowed; else 0. A
    /// skipped or cancelled spec is no success.
    pub success: u32,
    /// Always 0.
    pub reserved: u32,
    /// How many specs there are.
    pub total: u64,
    /// Specs that are not yet started.
    pub waiting: u64,
    /// Specs that have a process, or are about to get one.
    pub running: u64,
    /// Specs that failed, and wait for their next attempt.
    pub retrying: u64,
    /// Specs that ended as COREPROC_SPEC_PASSED says.
    pub passed: u64,
    /// Specs that ended as COREPROC_SPEC_FAILED says.
    pub failed: u64,
    /// Specs that ended as COREPROC_SPEC_SKIPPED says.
    pub skipped: u64,
    /// Specs that ended as COREPROC_SPEC_CANCELLED says.
    pub cancelled: u64,
    /// Specs that ended as COREPROC_SPEC_TIMED_OUT says.
    pub timed_out: u64,
    /// When it was started, on CLOCK_MONOTONIC.
    pub started_monotonic_ns: u64,
    /// When it was started, on CLOCK_REALTIME.
    pub started_realtime_ns: u64,
    /// The time from its start to the end of the last spec; 0 before it has ended.
    pub duration_ns: u64,
}

versioned!(coreproc_run_info, 112);
const _: () = assert!(size_of::<coreproc_run_info>() == 112);

impl coreproc_run {
    pub(super) fn new(run: Run) -> Box<coreproc_run> {
        Box::new(coreproc_run { run, report: OnceLock::new() })
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// Returns the report of a run that has ended.
    pub(super) fn report(&self, op: Operation) -> Result<&RunReport> {
        Ok(&self.texts(op)?.report)
    }

    fn texts(&self, op: Operation) -> Result<&Report> {
        if let Some(report) = self.report.get() {
            return Ok(report);
        }
        let report = self.run.wait(Some(Duration::ZERO)).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Error::new(ErrorKind::InvalidState, op.0, "the run has not ended"),
            _ => error.during(op.0),
        })?;
        let texts = report.specs.iter().map(|spec| (c_text(&spec.name), spec.error.as_deref().map(c_text))).collect();
        Ok(self.report.get_or_init(|| Report { report, texts }))
    }

    fn info(&self, struct_size: u32) -> Result<coreproc_run_info> {
        let progress = self.run.progress()?;
        let report = if progress.ended { Some(self.run.wait(Some(Duration::ZERO))?) } else { None };
        let started = self.run.started();
        Ok(coreproc_run_info {
            struct_size,
            ended: u32::from(progress.ended),
            success: u32::from(report.as_ref().is_some_and(|report| report.success())),
            reserved: 0,
            total: progress.total() as u64,
            waiting: progress.waiting as u64,
            running: progress.running as u64,
            retrying: progress.retrying as u64,
            passed: progress.passed as u64,
            failed: progress.failed as u64,
            skipped: progress.skipped as u64,
            cancelled: progress.cancelled as u64,
            timed_out: progress.timed_out as u64,
            started_monotonic_ns: started.monotonic_ns,
            started_realtime_ns: started.realtime_ns,
            duration_ns: report.map_or(0, |report| nanoseconds(report.duration)),
        })
    }

    fn spec(&self, op: Operation, spec: usize, struct_size: u32) -> Result<coreproc_spec_result> {
        let count = self.run.spec_count();
        let unknown = || op.invalid(format!("spec: {spec} is not below {count}, how many there are"));
        if spec >= count {
            return Err(unknown());
        }
        let report = self.texts(op)?;
        let result = report.report.specs.get(spec).ok_or_else(unknown)?;
        let (name, error) = report.texts.get(spec).ok_or_else(unknown)?;
        Ok(coreproc_spec_result::new(struct_size, result, name, error.as_deref().unwrap_or(c"")))
    }
}

impl Clone for coreproc_run {
    /// Results point into one handle, so that the other may be freed.
    fn clone(&self) -> coreproc_run {
        *coreproc_run::new(self.run.clone())
    }
}

/// Waits up to `timeout_ms` (-1: for ever; 0: only looks) until every spec has ended and every
/// process of the run is closed: then coreproc_run_info_get and coreproc_run_spec_get tell what
/// became of it. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_wait(
    run: Option<&coreproc_run>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait", err, |op| {
        let run = op.handle("run", run)?;
        run.run.wait(op.timeout(timeout_ms)?).map(drop)
    })
}

/// Cancels a run, without waiting: running specs are stopped as their commands say, waiting specs
/// are skipped; specs that always run are neither stopped nor skipped. A second call ends those
/// too, and kills processes that have not stopped yet. Does nothing once the run has ended.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_cancel(
    run: Option<&coreproc_run>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("cancel", err, |op| op.handle("run", run)?.run.cancel())
}

/// Returns its id in its service, from the same count as the ids of processes; its events carry it.
/// 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_id(run: Option<&coreproc_run>) -> u64 {
    read(run, 0, |run| run.run.id())
}

/// Returns how many specs it has; 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_spec_count(run: Option<&coreproc_run>) -> usize {
    read(run, 0, |run| run.run.spec_count())
}

/// Tells the state of a run now, or its result. The caller sets `out->struct_size`. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_info_get(
    run: Option<&coreproc_run>,
    out: *mut coreproc_run_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("run info", err, |op| {
        let run = op.handle("run", run)?;
        // SAFETY: `out` is NULL or begins with its size.
        let out = unsafe { op.room(out) }?;
        let info = run.info(out.size())?;
        out.write(info);
        Ok(())
    })
}

/// Tells the result of a spec, by its index, of a run that has ended. The caller sets
/// `out->struct_size`. The memory that it points to lives as long as this handle. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; INVALID_STATE while the run has not ended; PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_spec_get(
    run: Option<&coreproc_run>,
    spec: usize,
    out: *mut coreproc_spec_result,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("spec result", err, |op| {
        let run = op.handle("run", run)?;
        // SAFETY: `out` is NULL or begins with its size.
        let out = unsafe { op.room(out) }?;
        let result = run.spec(op, spec, out.size())?;
        out.write(result);
        Ok(())
    })
}

/// Returns another reference to the same run, to be freed on its own; NULL for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_ref(run: Option<&coreproc_run>) -> Option<Box<coreproc_run>> {
    another(run)
}

/// Gives a reference back. NULL is fine. Never blocks, never cancels. The memory that results of
/// this reference point to is freed. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_free(run: Option<Box<coreproc_run>>) {
    free(run);
}
