//! The dispatcher: a thread of its own for each subscription with a callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::Batch;
use super::subscription::{Core, Subscription};
use crate::error::Result;
use crate::runtime::Handler;
use crate::sys::thread;

/// Runs `callback` for every batch on a new thread. The callback is dropped exactly once: after its last
/// call, or right away when the thread cannot be started.
pub(crate) fn listen(
    core: Arc<Core>,
    handler: Arc<dyn Handler>,
    callback: impl FnMut(&Batch) + Send + 'static,
) -> Result<Subscription> {
    let subscription = Subscription::new(Arc::clone(&core), true);
    core.dispatcher_started();
    let mut callback = callback;
    let started = thread::start("coreproc-dsp", {
        let core = Arc::clone(&core);
        move || {
            let run = catch_unwind(AssertUnwindSafe(|| core.run_callbacks(&mut callback)));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(callback)));
            if let Err(payload) = run.and(dropped) {
                handler.reactor().break_with(&*handler, payload.as_ref());
            }
            core.close();
            core.dispatcher_ended();
        }
    });
    if let Err(error) = started {
        core.dispatcher_ended();
        return Err(error);
    }
    Ok(subscription)
}
