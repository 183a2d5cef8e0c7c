//! `coreproc_run`.

use std::ffi::{CString, c_char};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::history::coreproc_history;
use super::pipeline::coreproc_pipeline;
use super::process::status_fields;
use super::progress::coreproc_progress;
use super::service::{COREPROC_UNLIMITED, coreproc_service};
use super::subscription::{coreproc_subscription, spec_state_value};
use crate::error::{Error, ErrorKind, Result};
use crate::{Limit, OnFailure, Run, RunMode, RunOptions, RunReport};

/// Each spec starts the moment its last dependency has ended, several at a time, the one that begins the longest
/// path first. The default.
pub const COREPROC_RUN_ALL: u32 = 1;
/// One at a time, in the order of the pipeline, but none before those it comes after; stops at the first failure.
pub const COREPROC_RUN_SEQUENTIAL: u32 = 2;
/// Several at a time, whatever comes after what.
pub const COREPROC_RUN_PARALLEL: u32 = 3;

/// A failure skips what comes after it, and nothing else. The default, unless the pipeline says otherwise.
pub const COREPROC_KEEP_GOING: u32 = 1;
/// A failure that is not allowed cancels the run.
pub const COREPROC_FAIL_FAST: u32 = 2;

/// A pipeline under way, or what became of it. Shared: reference-counted, thread-safe. Freeing it does not cancel
/// the run, which goes on to its end, and keeps its service open until then.
pub struct coreproc_run {
    run: Run,
    /// What results point into; made when the first one is asked for.
    report: OnceLock<Report>,
}

pub(super) struct Report {
    pub(super) report: Arc<RunReport>,
    /// Name and error of each spec.
    texts: Vec<(CString, Option<CString>)>,
}

/// How to run a pipeline. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_run_options {
    /// sizeof(coreproc_run_options).
    pub struct_size: u32,
    /// A COREPROC_RUN value (0: ALL).
    pub mode: u32,
    /// KEEP_GOING or FAIL_FAST (0: what the pipeline says; there, KEEP_GOING).
    pub on_failure: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How many specs run at a time (0: what the pipeline says; there, as many as there are processors; UNLIMITED:
    /// all of them). SEQUENTIAL is one.
    pub limit: u64,
    /// Cancels the run when it has taken so long (0, UNLIMITED: never).
    pub deadline_ms: u64,
    /// Gets the events of the run and of its processes; needed for one with the scope NAMED. NULL: none.
    pub subscription: *mut coreproc_subscription,
    /// How long specs took before: what begins the longest path starts first. NULL: nothing is known.
    pub history: *const coreproc_history,
    /// Is going to show the run (coreproc_progress_watch). NULL: none.
    pub progress: *mut coreproc_progress,
}

/// Where a run is. Plain data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_run_info {
    /// sizeof(coreproc_run_info), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// 1 once every spec has ended and the results are there, else 0.
    pub ended: u32,
    /// 1 once it has ended and every spec passed, but for those whose failure is allowed; else 0. A skipped or
    /// a cancelled spec is no success.
    pub success: u32,
    /// 0.
    pub reserved: u32,
    /// How many specs there are.
    pub total: u64,
    /// Not started.
    pub waiting: u64,
    /// Each has a process, or is just getting one.
    pub running: u64,
    /// Failed, and waiting for their next attempt.
    pub retrying: u64,
    /// Ended as COREPROC_SPEC_PASSED says.
    pub passed: u64,
    /// Ended as COREPROC_SPEC_FAILED says.
    pub failed: u64,
    /// Ended as COREPROC_SPEC_SKIPPED says.
    pub skipped: u64,
    /// Ended as COREPROC_SPEC_CANCELLED says.
    pub cancelled: u64,
    /// Ended as COREPROC_SPEC_TIMED_OUT says.
    pub timed_out: u64,
    /// When it was started, on CLOCK_MONOTONIC.
    pub started_monotonic_ns: u64,
    /// When it was started, on CLOCK_REALTIME.
    pub started_realtime_ns: u64,
    /// From its start to the end of the last spec; 0 before it has ended.
    pub duration_ns: u64,
}

/// What became of a spec. Pointers live as long as the handle that it was asked of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_spec_result {
    /// sizeof(coreproc_spec_result), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// A COREPROC_SPEC value.
    pub state: u32,
    /// Of its last attempt: 0 to 255 when it exited by itself; else -1.
    pub exit_code: i32,
    /// The signal that ended its last attempt; else 0.
    pub signal: i32,
    /// COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED.
    pub flags: u32,
    /// How often it was started, failed starts included.
    pub attempts: u32,
    /// 1 if its failure is allowed, else 0.
    pub allow_failure: u32,
    /// 0.
    pub reserved: u32,
    /// Its name, which ends with a NUL.
    pub name: *const c_char,
    /// Its length without the NUL.
    pub name_len: usize,
    /// Why it did not pass, such as `skipped: "build" failed`, or "" when it did; ends with a NUL.
    pub error: *const c_char,
    /// Its length without the NUL.
    pub error_len: usize,
    /// What the capture of its last attempt holds, both streams in order of arrival; never NULL.
    pub output: *const u8,
    /// How many bytes that are.
    pub output_len: usize,
    /// Bytes of its output that the capture does not hold.
    pub dropped_bytes: u64,
    /// When its first attempt was started, on CLOCK_MONOTONIC; 0 if none was.
    pub started_monotonic_ns: u64,
    /// When its first attempt was started, on CLOCK_REALTIME; 0 if none was.
    pub started_realtime_ns: u64,
    /// From the start of its first attempt to the end of its last.
    pub duration_ns: u64,
}

const _: () = {
    assert!(size_of::<coreproc_run_options>() == 56);
    assert!(size_of::<coreproc_run_info>() == 112);
    assert!(size_of::<coreproc_spec_result>() == 112);
};

impl coreproc_run {
    fn into_raw(run: Run) -> *mut coreproc_run {
        Box::into_raw(Box::new(coreproc_run { run, report: OnceLock::new() }))
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// The report of a run that has ended.
    pub(super) fn report(&self, operation: &'static str) -> Result<&Report> {
        if let Some(report) = self.report.get() {
            return Ok(report);
        }
        let report = self.run.wait(Some(Duration::ZERO)).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Error::new(ErrorKind::InvalidState, operation, "the run has not ended"),
            _ => error.during(operation),
        })?;
        // Text from outside may hold a NUL, which would end it early.
        let text = |text: &str| CString::new(text.replace('\0', "\\0")).unwrap_or_default();
        let texts = report.specs.iter().map(|spec| (text(&spec.name), spec.error.as_deref().map(text))).collect();
        Ok(self.report.get_or_init(|| Report { report, texts }))
    }
}

/// # Safety
/// `options` is NULL or valid for reads of the size that it states.
unsafe fn run_options(operation: &'static str, options: *const coreproc_run_options) -> Result<RunOptions> {
    const SMALLEST: usize = 40;
    let zero = coreproc_run_options {
        struct_size: 0,
        mode: 0,
        on_failure: 0,
        reserved: 0,
        limit: 0,
        deadline_ms: 0,
        subscription: std::ptr::null_mut(),
        history: std::ptr::null(),
        progress: std::ptr::null_mut(),
    };
    // SAFETY: the caller's promise; plain data.
    let options = unsafe { guard::options(operation, options, SMALLEST, zero)? };
    guard::reserved(operation, options.reserved)?;
    // SAFETY: NULL or live, says the header.
    let (subscription, history, progress) =
        unsafe { (options.subscription.as_ref(), options.history.as_ref(), options.progress.as_ref()) };
    let subscription = subscription.map(|subscription| subscription.0.clone());
    let progress = progress.map(|progress| progress.subscription().clone());
    Ok(RunOptions {
        mode: match options.mode {
            0 | COREPROC_RUN_ALL => RunMode::All,
            COREPROC_RUN_SEQUENTIAL => RunMode::Sequential,
            COREPROC_RUN_PARALLEL => RunMode::Parallel,
            other => return Err(guard::unknown(operation, "mode", other)),
        },
        limit: match options.limit {
            0 => Limit::Default,
            COREPROC_UNLIMITED => Limit::None,
            limit => Limit::At(usize::try_from(limit).unwrap_or(usize::MAX)),
        },
        on_failure: match options.on_failure {
            0 => OnFailure::Default,
            COREPROC_KEEP_GOING => OnFailure::KeepGoing,
            COREPROC_FAIL_FAST => OnFailure::FailFast,
            other => return Err(guard::unknown(operation, "on_failure", other)),
        },
        deadline: match options.deadline_ms {
            0 | COREPROC_UNLIMITED => None,
            ms => Some(Duration::from_millis(ms)),
        },
        durations: history.map(|history| history.history().durations()).unwrap_or_default(),
        subscriptions: subscription.into_iter().chain(progress).collect(),
    })
}

/// # Safety
/// `out` is valid for writes of `size` bytes, as [`guard::out_size`] said; `T` is plain data.
unsafe fn write_out<T>(out: *mut T, size: usize, value: T) {
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), out.cast::<u8>(), known) };
}

fn whole_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Checks a pipeline, and starts it on threads of its own, `coreproc-run`, at most two a processor, which end
/// with it. The pipeline is copied: it can be changed, and run again. `options` may be NULL. `*out` is to be freed
/// with coreproc_run_free. Errors: INVALID_ARGUMENT, also for a pipeline that cannot run, of which nothing was
/// started (see coreproc_pipeline_check); CLOSED, SYSTEM (pthread_create(3)), PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_start(
    pipeline: *const coreproc_pipeline,
    service: *mut coreproc_service,
    options: *const coreproc_run_options,
    out: *mut *mut coreproc_run,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "start run";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let pipeline = guard::handle(OPERATION, "pipeline", pipeline)?;
            let service = guard::handle(OPERATION, "service", service)?;
            let out = guard::out(OPERATION, out)?;
            let run = pipeline.0.start(&service.0, run_options(OPERATION, options)?)?;
            out.write(coreproc_run::into_raw(run));
            Ok(())
        })
    }
}

/// Waits up to `timeout_ms` (-1: for ever; 0: only looks) until every spec has ended and every process of the run
/// is closed: then coreproc_run_info_get and coreproc_run_spec_get tell what became of it. Thread-safe. Errors:
/// INVALID_ARGUMENT, TIMED_OUT, DEADLOCK, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_wait(
    run: *mut coreproc_run,
    timeout_ms: i64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "wait";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let run = guard::handle(OPERATION, "run", run)?;
            run.run.wait(guard::timeout(OPERATION, timeout_ms)?).map(drop)
        })
    }
}

/// Cancels a run, without waiting: what runs is stopped as its command says, what waits is skipped. Specs that
/// always run are neither. A second call ends those too, and kills what has not stopped yet. Fine once the run has
/// ended. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_cancel(
    run: *mut coreproc_run,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "cancel";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "run", run)?.run.cancel()) }
}

/// Its number in its service, of the same count as those of processes; its events carry it. 0 for NULL.
/// Thread-safe.
///
/// # Safety
/// `run` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_id(run: *const coreproc_run) -> u64 {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { run.as_ref() }.map_or(0, |run| run.run.id()))
}

/// How many specs it has; 0 for NULL. Thread-safe.
///
/// # Safety
/// `run` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_spec_count(run: *const coreproc_run) -> usize {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { run.as_ref() }.map_or(0, |run| run.run.spec_count()))
}

/// Where a run is now, or how it went. The caller sets `out->struct_size`. Thread-safe. Errors: INVALID_ARGUMENT,
/// PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_info_get(
    run: *mut coreproc_run,
    out: *mut coreproc_run_info,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "run info";
    const SMALLEST: usize = 112;
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let run = guard::handle(OPERATION, "run", run)?;
            let size = guard::out_size(OPERATION, out, SMALLEST)?;
            let progress = run.run.progress()?;
            let report = if progress.ended { Some(run.run.wait(Some(Duration::ZERO))?) } else { None };
            let started = run.run.started();
            let value = coreproc_run_info {
                struct_size: size as u32,
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
                duration_ns: report.map_or(0, |report| whole_ns(report.duration)),
            };
            write_out(out, size, value);
            Ok(())
        })
    }
}

/// What became of a spec, by its index, of a run that has ended. The caller sets `out->struct_size`. What it
/// points to lives as long as this handle. Thread-safe. Errors: INVALID_ARGUMENT, INVALID_STATE while the run has
/// not ended, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_spec_get(
    run: *mut coreproc_run,
    spec: usize,
    out: *mut coreproc_spec_result,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "spec result";
    const SMALLEST: usize = 112;
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let run = guard::handle(OPERATION, "run", run)?;
            let size = guard::out_size(OPERATION, out, SMALLEST)?;
            let count = run.run.spec_count();
            let unknown =
                || Error::invalid(OPERATION, format!("spec: {spec} is not below {count}, how many there are"));
            if spec >= count {
                return Err(unknown());
            }
            let report = run.report(OPERATION)?;
            let result = report.report.specs.get(spec).ok_or_else(unknown)?;
            let (name, error) = report.texts.get(spec).ok_or_else(unknown)?;
            let error = error.as_deref().unwrap_or(c"");
            let (exit_code, signal, flags) = status_fields(result.status);
            let value = coreproc_spec_result {
                struct_size: size as u32,
                state: spec_state_value(result.state),
                exit_code,
                signal,
                flags,
                attempts: result.attempts,
                allow_failure: u32::from(result.allow_failure),
                reserved: 0,
                name: name.as_ptr(),
                name_len: name.as_bytes().len(),
                error: error.as_ptr(),
                error_len: error.to_bytes().len(),
                output: result.output.as_ptr(),
                output_len: result.output.len(),
                dropped_bytes: result.dropped_bytes,
                started_monotonic_ns: result.started.map_or(0, |started| started.monotonic_ns),
                started_realtime_ns: result.started.map_or(0, |started| started.realtime_ns),
                duration_ns: whole_ns(result.duration),
            };
            write_out(out, size, value);
            Ok(())
        })
    }
}

/// Another reference to the same run, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `run` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_ref(run: *mut coreproc_run) -> *mut coreproc_run {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { run.as_ref() }.map_or(std::ptr::null_mut(), |run| coreproc_run::into_raw(run.run.clone()))
    })
}

/// Gives a reference back; NULL is fine. Never blocks, never cancels. What results of this reference point to is
/// gone.
///
/// # Safety
/// `run` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_free(run: *mut coreproc_run) {
    if !run.is_null() {
        // SAFETY: the caller's promise; made by `coreproc_run_start` or `_ref`.
        guard::free(|| drop(unsafe { Box::from_raw(run) }));
    }
}
