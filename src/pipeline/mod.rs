//! Layer 3: a [`Pipeline`] is a graph of [`Spec`]s; running it starts each the moment its last dependency has
//! ended, and leaves a [`RunReport`].

mod engine;
mod graph;
mod history;
mod json;
mod nearest;
mod progress;
mod report;
mod result;
mod run;
mod scheduler;
mod spec;
mod text;

pub use crate::event::SpecState;
pub use graph::{Problem, ProblemKind};
pub use history::History;
pub use progress::{ProgressOptions, ProgressOutput, ProgressStyle, ProgressView};
pub use report::ReportFormat;
pub use result::{RunReport, SpecResult};
pub use run::{Limit, OnFailure, Progress, Run, RunOptions, RunningSpec};
pub use scheduler::RunMode;
pub use spec::{Backoff, Pipeline, Spec};
