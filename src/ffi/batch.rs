//! `coreproc_batch`.

use std::mem::MaybeUninit;

use super::call::call;
use super::error::{coreproc_error, coreproc_result};
use super::event::coreproc_event;
use super::handle::{Born, array, free};
use super::process::coreproc_process;
use crate::Batch;

/// Consecutive events of one process. Until it is freed, no other taker gets events of that
/// process. Owned by the caller that took it; one thread at a time.
pub struct coreproc_batch {
    /// The events, which point into `batch`.
    events: Vec<coreproc_event>,
    batch: Batch,
}

impl Born for coreproc_batch {
    fn is_a_parents(&self) -> bool {
        self.batch.check_fork("free batch").is_err()
    }
}

// SAFETY: the pointers in `events` are to memory that `batch` owns and that does not change.
unsafe impl Send for coreproc_batch {}

impl coreproc_batch {
    /// Takes up to `max` events out of a batch of the core.
    pub(super) fn new(mut batch: Batch, max: usize) -> Box<coreproc_batch> {
        let mut events = Vec::with_capacity(batch.size_hint().min(max));
        batch.cut(|from| coreproc_event::convert(from, &mut events, max));
        Box::new(coreproc_batch { events, batch })
    }
}

/// Returns the first event of a batch. `*count` becomes their number, `*stride` the bytes from one
/// to the next; both may be NULL. The events are valid until the batch is freed. NULL, with 0, for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_batch_events(
    batch: Option<&coreproc_batch>,
    count: *mut usize,
    stride: *mut usize,
) -> *const coreproc_event {
    // SAFETY: `count` and `stride` are NULL or valid.
    unsafe { array(batch, |batch| &batch.events, count, stride) }
}

/// Gets the process whose events these are, even if it has ended and is closed. So a taker gets a
/// handle to processes that it did not start, such as those of a run. Free `*out` with
/// coreproc_process_free.
///
/// Errors: INVALID_ARGUMENT; NOT_FOUND for a run's own events, and once the subscription is closed.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_batch_process(
    batch: Option<&coreproc_batch>,
    out: Option<&mut MaybeUninit<Box<coreproc_process>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("process of batch", err, |op| {
        let batch = op.handle("batch", batch)?;
        op.out(out)?.write(Box::new(coreproc_process(batch.batch.process()?)));
        Ok(())
    })
}

/// Frees a batch: gives its process's turn and credit back, and wakes a taker if that process has
/// more events. NULL is fine. May be called after the subscription was freed. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_batch_free(batch: Option<Box<coreproc_batch>>) {
    free(batch);
}
