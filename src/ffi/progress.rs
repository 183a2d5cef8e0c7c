//! `coreproc_progress`.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::run::coreproc_run;
use super::service::coreproc_service;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{self, Deadline, lock};
use crate::{ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, Subscription};

/// As on a terminal if the descriptor is one, NO_COLOR is not set and TERM is not "dumb"; else plain. Reads the
/// environment once, which is a race with a setenv of the host. The default.
pub const COREPROC_PROGRESS_STYLE_AUTO: u32 = 1;
/// Lines that stay, and below them what runs, how much is done, and how long it will take.
pub const COREPROC_PROGRESS_STYLE_TERMINAL: u32 = 2;
/// Lines that stay, alone, without control sequences.
pub const COREPROC_PROGRESS_STYLE_PLAIN: u32 = 3;

/// Output line by line, as it comes: `name | line`. The default.
pub const COREPROC_PROGRESS_OUTPUT_PREFIXED: u32 = 1;
/// The output of each attempt at once, when it has ended; the last mebibyte. What follows more than ten seconds after
/// the end, as something holds the output open, comes below a line of its own.
pub const COREPROC_PROGRESS_OUTPUT_GROUPED: u32 = 2;
/// No output.
pub const COREPROC_PROGRESS_OUTPUT_NONE: u32 = 3;

/// How to show a run. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_progress_options {
    /// sizeof(coreproc_progress_options).
    pub struct_size: u32,
    /// A COREPROC_PROGRESS_STYLE value (0: AUTO).
    pub style: u32,
    /// A COREPROC_PROGRESS_OUTPUT value (0: PREFIXED).
    pub output: u32,
    /// Must be 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<coreproc_progress_options>() == 16);

/// Shows one run to people: at a terminal, or in a log. Open it, name it in the run's options, then watch. Thread-safe.
///
/// Names are shown with control characters escaped. Lines of output lose their control sequences, but for colours on
/// a terminal; reports have what was written.
///
/// A terminal that was stopped (Ctrl-S), or a pipe that nobody reads, keeps no call beyond its timeout. Its children are
/// slowed meanwhile, as soon as their queues are full, and everything is shown once it goes on. From when the run is
/// cancelled, by whatever, a watch does not slow them any more, so that the run can end: a mebibyte of lines is kept, and how many
/// more there were is shown.
///
/// A run that has a view which nobody watches waits for it once a child's output fills its queue, as with every
/// subscription, also when it is cancelled; watching goes on with it, and freeing the view lifts that.
pub struct coreproc_progress {
    /// None while a call watches with it.
    view: Mutex<Option<ProgressView>>,
    /// On the view: those who wait for that call.
    given_back: Condvar,
    subscription: Subscription,
}

impl coreproc_progress {
    pub(super) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// The view, once no other call watches with it; a mutex could be waited for without a timeout alone.
    fn borrow(&self, operation: &'static str, deadline: Deadline) -> Result<Borrowed<'_>> {
        let mut slot = lock(&self.view);
        loop {
            if let Some(view) = slot.take() {
                return Ok(Borrowed { owner: self, view: Some(view) });
            }
            let left = deadline.left();
            if left == Some(Duration::ZERO) {
                return Err(Error::new(ErrorKind::TimedOut, operation, "another call is watching"));
            }
            if runtime::is_in_callback() {
                return Err(Error::new(ErrorKind::Deadlock, operation, "would wait inside a callback"));
            }
            let wait = left.unwrap_or(Duration::MAX);
            slot = self.given_back.wait_timeout(slot, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A view, given back when dropped.
struct Borrowed<'a> {
    owner: &'a coreproc_progress,
    view: Option<ProgressView>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *lock(&self.owner.view) = self.view.take();
        self.owner.given_back.notify_one();
    }
}

/// A view that writes to a duplicate of `fd`. A pipe or a terminal is opened again, by way of /proc, so that writing to it
/// never waits. Where that cannot be done (no /proc, another user's terminal) it is written to in small pieces that it
/// has room for: a write can wait only if another process takes that room in the same moment. `options` may be NULL. `*out` is to be freed with
/// coreproc_progress_free. Errors: INVALID_ARGUMENT, SYSTEM (fcntl(2): EBADF, EMFILE), CLOSED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_progress_open(
    service: *mut coreproc_service,
    fd: i32,
    options: *const coreproc_progress_options,
    out: *mut *mut coreproc_progress,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "open progress view";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let service = guard::handle(OPERATION, "service", service)?;
            let options = progress_options(OPERATION, options)?;
            let out = guard::out(OPERATION, out)?;
            let fd =
                crate::sys::descriptor::duplicate_raw(fd).map_err(|errno| Error::system(OPERATION, "fd", errno))?;
            let view = ProgressView::to_owned_fd(&service.0, fd, options)?;
            let subscription = view.subscription().clone();
            out.write(Box::into_raw(Box::new(coreproc_progress {
                view: Mutex::new(Some(view)),
                given_back: Condvar::new(),
                subscription,
            })));
            Ok(())
        })
    }
}

/// # Safety
/// `options` is NULL or valid for reads of the size that it states.
unsafe fn progress_options(
    operation: &'static str,
    options: *const coreproc_progress_options,
) -> Result<ProgressOptions> {
    const SMALLEST: usize = 16;
    let zero = coreproc_progress_options { struct_size: 0, style: 0, output: 0, reserved: 0 };
    // SAFETY: the caller's promise; plain data.
    let options = unsafe { guard::options(operation, options, SMALLEST, zero)? };
    guard::reserved(operation, options.reserved)?;
    Ok(ProgressOptions {
        style: match options.style {
            0 | COREPROC_PROGRESS_STYLE_AUTO => ProgressStyle::Auto,
            COREPROC_PROGRESS_STYLE_TERMINAL => ProgressStyle::Terminal,
            COREPROC_PROGRESS_STYLE_PLAIN => ProgressStyle::Plain,
            other => return Err(guard::unknown(operation, "style", other)),
        },
        output: match options.output {
            0 | COREPROC_PROGRESS_OUTPUT_PREFIXED => ProgressOutput::Prefixed,
            COREPROC_PROGRESS_OUTPUT_GROUPED => ProgressOutput::Grouped,
            COREPROC_PROGRESS_OUTPUT_NONE => ProgressOutput::None,
            other => return Err(guard::unknown(operation, "output", other)),
        },
    })
}

/// Shows the run, on the calling thread, until it has ended and all of it is shown, or up to `timeout_ms` (-1: for
/// ever, also for a terminal that stands still), after which it can be called again. The run is one whose options named this view, the same in each call.
/// Thread-safe; one call waits for the other, no longer than its timeout. Errors: INVALID_ARGUMENT, TIMED_OUT,
/// INVALID_STATE for another run, SYSTEM (write(2)) once the run has ended, DEADLOCK, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_progress_watch(
    progress: *mut coreproc_progress,
    run: *mut coreproc_run,
    timeout_ms: i64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "watch";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let progress = guard::handle(OPERATION, "progress", progress)?;
            let run = guard::handle(OPERATION, "run", run)?;
            let deadline = Deadline::after(guard::timeout(OPERATION, timeout_ms)?);
            let mut borrowed = progress.borrow(OPERATION, deadline)?;
            let Borrowed { view: Some(view), .. } = &mut borrowed else { return Ok(()) };
            view.watch_until(run.run(), deadline).map(drop)
        })
    }
}

/// Frees a view; NULL is fine. Its run goes on.
///
/// # Safety
/// `progress` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_progress_free(progress: *mut coreproc_progress) {
    if !progress.is_null() {
        // SAFETY: the caller's promise; made by `coreproc_progress_open`.
        guard::free(|| drop(unsafe { Box::from_raw(progress) }));
    }
}
