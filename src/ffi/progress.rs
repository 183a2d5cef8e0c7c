//! `coreproc_progress`.

use std::mem::MaybeUninit;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, free, shared};
use super::run::coreproc_run;
use super::service::coreproc_service;
use super::versioned::versioned;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{self, Deadline, lock};
use crate::util::condition::wait_up_to;
use crate::{ProgressOptions, ProgressOutput, ProgressStyle, ProgressView, Subscription};

/// TERMINAL if the descriptor is a terminal, NO_COLOR is not set and TERM is not "dumb"; else
/// PLAIN. Reads the environment once, which races with a setenv of the host. The default.
pub const COREPROC_PROGRESS_STYLE_AUTO: u32 = 1;
/// Lines that stay, and below them what runs, how much is done, and how long it will take.
pub const COREPROC_PROGRESS_STYLE_TERMINAL: u32 = 2;
/// Lines that stay, alone, without control sequences.
pub const COREPROC_PROGRESS_STYLE_PLAIN: u32 = 3;

/// Output line by line, as it comes: `name | line`. The default.
pub const COREPROC_PROGRESS_OUTPUT_PREFIXED: u32 = 1;
/// The output of each attempt together, once it has ended; the last mebibyte of it. Output that
/// comes more than ten seconds after the end, because a process holds it open, is shown below a
/// line of its own.
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

versioned!(coreproc_progress_options, 16);
const _: () = assert!(size_of::<coreproc_progress_options>() == 16);

/// Shows one run to people: at a terminal, or in a log. Open it, name it in the run's options, then
/// watch. Thread-safe.
///
/// Names are shown with control characters escaped. Lines of output lose their control sequences,
/// but for colours on a terminal; reports have what was written.
///
/// A terminal that was stopped (Ctrl-S), or a pipe that is not read, keeps no call beyond its
/// timeout. Meanwhile children are slowed once their queues are full, and everything is shown when
/// it goes on. After a cancel of any kind, a watch does not slow children, so that the run can end:
/// a mebibyte of lines is kept, and the number of further lines is shown.
///
/// While no thread watches, the run waits for the view once a child's output fills the view's
/// queue, as for every subscription, even if the run is cancelled. It goes on when a thread watches
/// or the view is freed.
pub struct coreproc_progress {
    /// The view; None while a call watches with it.
    view: Mutex<Option<ProgressView>>,
    /// The condition variable of the view, signalled when that call has ended.
    given_back: Condvar,
    subscription: Subscription,
}

const _: () = shared::<coreproc_progress>();

impl Born for coreproc_progress {}

impl coreproc_progress {
    fn new(view: ProgressView) -> coreproc_progress {
        let subscription = view.subscription().clone();
        coreproc_progress { view: Mutex::new(Some(view)), given_back: Condvar::new(), subscription }
    }

    pub(super) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Takes the view, once no other call watches with it. (A mutex that is held for that long would be waited for
    /// without a timeout.)
    fn borrow(&self, op: Operation, deadline: Deadline) -> Result<Borrowed<'_>> {
        let mut slot = lock(&self.view);
        loop {
            if let Some(view) = slot.take() {
                return Ok(Borrowed { owner: self, view: Some(view) });
            }
            let left = deadline.left();
            if left == Some(Duration::ZERO) {
                return Err(Error::new(ErrorKind::TimedOut, op.0, "another call is watching"));
            }
            if runtime::is_in_callback() {
                return Err(Error::new(ErrorKind::Deadlock, op.0, "would wait inside a callback"));
            }
            slot = wait_up_to(&self.given_back, slot, left);
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

/// # Safety
/// As for [`Operation::options`].
unsafe fn progress_options(op: Operation, options: *const coreproc_progress_options) -> Result<ProgressOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    op.reserved(options.reserved)?;
    Ok(ProgressOptions {
        style: match options.style {
            0 | COREPROC_PROGRESS_STYLE_AUTO => ProgressStyle::Auto,
            COREPROC_PROGRESS_STYLE_TERMINAL => ProgressStyle::Terminal,
            COREPROC_PROGRESS_STYLE_PLAIN => ProgressStyle::Plain,
            other => return Err(op.unknown("style", other)),
        },
        output: match options.output {
            0 | COREPROC_PROGRESS_OUTPUT_PREFIXED => ProgressOutput::Prefixed,
            COREPROC_PROGRESS_OUTPUT_GROUPED => ProgressOutput::Grouped,
            COREPROC_PROGRESS_OUTPUT_NONE => ProgressOutput::None,
            other => return Err(op.unknown("output", other)),
        },
    })
}

/// Opens a view that writes to a duplicate of `fd`. A pipe or a terminal is opened again, by way of
/// /proc, so that writing to it never waits. If that cannot be done (no /proc, another user's
/// terminal) it is written to in small pieces that it has room for: a write can wait only if
/// another process takes that room in the same moment. `options` may be NULL. Free `*out` with
/// coreproc_progress_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE); CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_progress_open(
    service: Option<&coreproc_service>,
    fd: i32,
    options: *const coreproc_progress_options,
    out: Option<&mut MaybeUninit<Box<coreproc_progress>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open progress view", err, |op| {
        let service = op.handle("service", service)?;
        // SAFETY: `options` is NULL or begins with its size.
        let options = unsafe { progress_options(op, options) }?;
        let out = op.out(out)?;
        let fd = crate::sys::descriptor::duplicate_raw(fd).map_err(|errno| Error::system(op.0, "fd", errno))?;
        out.write(Box::new(coreproc_progress::new(ProgressView::to_owned_fd(&service.0, fd, options)?)));
        Ok(())
    })
}

/// Shows the run, on the calling thread, until it has ended and all of it is shown, or up to
/// `timeout_ms` (-1: for ever, even for a terminal that stands still), after which it can be called
/// again. The run is one whose options named this view, the same in each call. Calls at the same
/// time wait for each other, no longer than their timeouts. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; INVALID_STATE for another run; SYSTEM (write(2)) once the
/// run has ended; DEADLOCK inside a callback; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_progress_watch(
    progress: Option<&coreproc_progress>,
    run: Option<&coreproc_run>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("watch", err, |op| {
        let progress = op.handle("progress", progress)?;
        let run = op.handle("run", run)?;
        let deadline = Deadline::after(op.timeout(timeout_ms)?);
        let mut borrowed = progress.borrow(op, deadline)?;
        let Borrowed { view: Some(view), .. } = &mut borrowed else { return Ok(()) };
        view.watch_until(run.run(), deadline).map(drop)
    })
}

/// Frees a view. NULL is fine. Its run goes on.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_progress_free(progress: Option<Box<coreproc_progress>>) {
    free(progress);
}
