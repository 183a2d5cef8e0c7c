//! [`Feeds`]: the subscriptions to which a run tells what happens.

use std::sync::Arc;

use crate::event::{Queue, RunRecord};
use crate::sys::clock::Stamp;

pub(super) struct Feeds {
    run_id: u64,
    subscriptions: Vec<Arc<Queue>>,
}

impl Feeds {
    pub(super) fn new(run_id: u64, subscriptions: Vec<Arc<Queue>>) -> Feeds {
        Feeds { run_id, subscriptions }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Tells each of them. `spec` is the index of the spec and the number of its attempt.
    pub(super) fn tell(&self, record: RunRecord, spec: Option<(usize, u32)>, text: &str, time: Stamp) {
        for subscription in &self.subscriptions {
            subscription.push_run(self.run_id, record, spec, text, time);
        }
    }

    /// Drops them: the run has told its end.
    pub(super) fn close(&mut self) {
        self.subscriptions.clear();
    }
}
