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

use coreproc::{Command, Delivery, Pipeline, Spec, SubscriptionOptions};

/// Returns a subscription to lifecycle events alone.
fn quiet() -> SubscriptionOptions {
    SubscriptionOptions { delivery: Delivery::None, ..Default::default() }
}

/// Makes a spec that comes after others.
fn spec_after(name: &str, command: Command, after: &[&str]) -> Spec {
    let mut spec = Spec::new(name, command);
    for name in after {
        spec.after(*name);
    }
    spec
}

fn pipeline(specs: impl IntoIterator<Item = Spec>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for spec in specs {
        pipeline.add(spec);
    }
    pipeline
}
