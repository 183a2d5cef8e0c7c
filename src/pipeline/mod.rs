//! Layer 3: a [`Pipeline`] is a graph of [`Spec`]s; running it starts each the moment its last dependency has
//! ended, and leaves a [`RunReport`].

mod engine;
mod graph;
mod json;
mod nearest;
mod result;
mod run;
mod scheduler;
mod spec;

pub use crate::event::SpecState;
pub use graph::{Problem, ProblemKind};
pub use result::{RunReport, SpecResult};
pub use run::{Limit, OnFailure, Progress, Run, RunOptions, RunningSpec};
pub use scheduler::RunMode;
pub use spec::{Backoff, Pipeline, Spec};
