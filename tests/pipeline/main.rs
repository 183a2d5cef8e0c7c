//! Pipelines: their JSON, the order of their specs, how each ends, and what is told of a run.
//!
//! What must have a process of its own has one (`support::host`).

mod graph;
mod history;
mod hosts;
mod json;
mod model;
mod progress;
mod report;
