//! Pipelines: their JSON, the order of their specs, how each ends, and what is told of a run.
//!
//! What must have a process of its own has one (`support::host`).

mod history;
mod hosts;
mod json;
mod model;
mod progress;
mod report;
mod run;

use coreproc::{Delivery, SubscriptionOptions};

/// A subscription to lifecycle events alone.
fn quiet() -> SubscriptionOptions {
    SubscriptionOptions { delivery: Delivery::None, ..Default::default() }
}
