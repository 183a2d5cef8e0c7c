//! Pipelines: their JSON, the order of their specs, how each ends, and the report of a run.
//!
//! Tests that need a process of their own run in a host (`support::host`).

mod history;
mod hosts;
mod json;
mod model;
mod progress;
mod report;
mod run;

use coreproc::{Delivery, SubscriptionOptions};

/// Returns a subscription to lifecycle events alone.
fn quiet() -> SubscriptionOptions {
    SubscriptionOptions { delivery: Delivery::None, ..Default::default() }
}
