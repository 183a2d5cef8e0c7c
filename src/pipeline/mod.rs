//! Pipelines: a [`Pipeline`] is a graph of [`Spec`]s. A run starts each spec the moment its last dependency has ended,
//! and leaves a [`RunReport`].
//!
//! `spec` and `json` make a pipeline, and `graph` checks it. `run` is a run as callers hold it, `options` how to run,
//! and `plan` what follows from the options. `scheduler` decides what runs when, without clocks or processes; `engine`
//! does it. `snapshot` is a run at one moment, `result` its result, `report` the formats of the result, `progress` a
//! view for people. `history` remembers durations. `text` and `nearest` help with messages.

mod engine;
mod graph;
mod history;
mod json;
mod nearest;
mod options;
mod plan;
mod progress;
mod report;
mod result;
mod run;
mod scheduler;
mod snapshot;
mod spec;
mod text;

pub use crate::event::SpecState;
pub use graph::{Problem, ProblemKind};
pub use history::History;
pub use options::{Limit, OnFailure, RunMode, RunOptions};
pub use progress::{ProgressOptions, ProgressOutput, ProgressStyle, ProgressView};
pub use report::ReportFormat;
pub use result::{RunReport, SpecResult};
pub use run::Run;
pub use snapshot::{Progress, RunningSpec};
pub use spec::{Backoff, Pipeline, Spec};
