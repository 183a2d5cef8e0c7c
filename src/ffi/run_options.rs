//! `coreproc_run_options`, and the start of a run, which needs all handles that they name.

use std::mem::MaybeUninit;

use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::history::coreproc_history;
use super::limit::{COREPROC_UNLIMITED, at_most, count};
use super::pipeline::coreproc_pipeline;
use super::progress::coreproc_progress;
use super::run::coreproc_run;
use super::service::coreproc_service;
use super::subscription::coreproc_subscription;
use super::versioned::versioned;
use crate::error::Result;
use crate::{Limit, OnFailure, RunMode, RunOptions};

/// Each spec starts the moment its last dependency has ended, several at a time; the spec at the
/// beginning of the longest path comes first. The default.
pub const COREPROC_RUN_ALL: u32 = 1;
/// One at a time, in the order of the pipeline, but none before its dependencies; stops at the
/// first failure.
pub const COREPROC_RUN_SEQUENTIAL: u32 = 2;
/// Several at a time; dependencies are ignored.
pub const COREPROC_RUN_PARALLEL: u32 = 3;

/// A failure skips what comes after it, and nothing else. The default, unless the pipeline says
/// otherwise.
pub const COREPROC_KEEP_GOING: u32 = 1;
/// A failure that is not allowed cancels the run.
pub const COREPROC_FAIL_FAST: u32 = 2;

/// How to run a pipeline. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_run_options {
    /// sizeof(coreproc_run_options).
    pub struct_size: u32,
    /// A COREPROC_RUN value (0: ALL).
    pub mode: u32,
    /// KEEP_GOING or FAIL_FAST (0: what the pipeline says; if it does not, KEEP_GOING).
    pub on_failure: u32,
    /// Must be 0.
    pub reserved: u32,
    /// How many specs run at a time (0: what the pipeline says; if it does not, as many as there
    /// are processors; UNLIMITED: all of them). SEQUENTIAL is one.
    pub limit: u64,
    /// The time after which the run is cancelled (0, UNLIMITED: never).
    pub deadline_ms: u64,
    /// The subscription that gets the events of the run and of its processes; needed for one with
    /// the scope NAMED. NULL: none.
    pub subscription: *mut coreproc_subscription,
    /// How long specs took before: the spec at the beginning of the longest path starts first.
    /// NULL: nothing is known.
    pub history: *const coreproc_history,
    /// The view that is going to show the run (coreproc_progress_watch). NULL: none.
    pub progress: *mut coreproc_progress,
}

versioned!(coreproc_run_options, 40);
const _: () = assert!(size_of::<coreproc_run_options>() == 56);

/// # Safety
/// As for [`Operation::options`]; the pointers in them are NULL or live handles.
unsafe fn run_options(op: Operation, options: *const coreproc_run_options) -> Result<RunOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    op.reserved(options.reserved)?;
    // SAFETY: the caller's promise.
    let (subscription, history, progress) =
        unsafe { (options.subscription.as_ref(), options.history.as_ref(), options.progress.as_ref()) };
    let subscription = subscription.map(|subscription| subscription.0.clone());
    let progress = progress.map(|progress| progress.subscription().clone());
    Ok(RunOptions {
        mode: match options.mode {
            0 | COREPROC_RUN_ALL => RunMode::All,
            COREPROC_RUN_SEQUENTIAL => RunMode::Sequential,
            COREPROC_RUN_PARALLEL => RunMode::Parallel,
            other => return Err(op.unknown("mode", other)),
        },
        limit: match options.limit {
            0 => Limit::Default,
            COREPROC_UNLIMITED => Limit::None,
            limit => Limit::At(count(limit)),
        },
        on_failure: match options.on_failure {
            0 => OnFailure::Default,
            COREPROC_KEEP_GOING => OnFailure::KeepGoing,
            COREPROC_FAIL_FAST => OnFailure::FailFast,
            other => return Err(op.unknown("on_failure", other)),
        },
        deadline: at_most(options.deadline_ms),
        durations: history.map(|history| history.history().durations()).unwrap_or_default(),
        subscriptions: subscription.into_iter().chain(progress).collect(),
    })
}

/// Checks a pipeline, and starts it on threads of its own, `coreproc-run`, at most two for each
/// processor, which end with the run. The pipeline is copied: it can be changed, and run again.
/// `options` may be NULL. Free `*out` with coreproc_run_free.
///
/// Errors: INVALID_ARGUMENT, also for a pipeline that cannot run, of which nothing was started (see
/// coreproc_pipeline_check); CLOSED; SYSTEM (pthread_create(3)); PANIC.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_start(
    pipeline: Option<&coreproc_pipeline>,
    service: Option<&coreproc_service>,
    options: *const coreproc_run_options,
    out: Option<&mut MaybeUninit<Box<coreproc_run>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("start run", err, |op| {
        let pipeline = op.handle("pipeline", pipeline)?;
        let service = op.handle("service", service)?;
        let out = op.out(out)?;
        // SAFETY: `options` is NULL or begins with its size, and names live handles.
        let options = unsafe { run_options(op, options) }?;
        out.write(coreproc_run::new(pipeline.0.start(&service.0, options)?));
        Ok(())
    })
}
