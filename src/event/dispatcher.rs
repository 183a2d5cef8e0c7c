//! The dispatcher: a thread of its own, `coreproc-dsp`, for each subscription with a callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::Batch;
use super::queue::Queue;
use super::subscription::Subscription;
use crate::error::Result;
use crate::runtime::{self, Deadline, Handler};
use crate::sys::thread;

/// Runs `callback` for every batch on a new thread. The callback is dropped exactly once: after its last
/// call, or right away when the thread cannot be started.
pub(crate) fn listen(
    queue: Arc<Queue>,
    handler: Arc<dyn Handler>,
    callback: impl FnMut(&Batch) + Send + 'static,
) -> Result<Subscription> {
    let subscription = Subscription::new(Arc::clone(&queue), true);
    queue.dispatcher_started();
    let mut callback = callback;
    let started = thread::start("coreproc-dsp", {
        let queue = Arc::clone(&queue);
        move || {
            let run = catch_unwind(AssertUnwindSafe(|| run_callbacks(&queue, &mut callback)));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(callback)));
            if let Err(payload) = run.and(dropped) {
                handler.reactor().break_with(&*handler, payload.as_ref());
            }
            queue.close();
            queue.dispatcher_ended();
        }
    });
    if let Err(error) = started {
        queue.dispatcher_ended();
        return Err(error);
    }
    Ok(subscription)
}

/// Takes batches, and runs the callback for each, until the stream ends.
fn run_callbacks(queue: &Arc<Queue>, mut callback: impl FnMut(&Batch)) {
    while let Ok(taken) = queue.take(Deadline::after(None)) {
        let batch = Batch::new(Arc::clone(queue), taken);
        runtime::in_callback(|| callback(&batch));
    }
}
