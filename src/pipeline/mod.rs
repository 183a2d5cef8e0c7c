//! Layer 3: a [`Pipeline`] is a graph of [`Spec`]s; running it starts each the moment its last dependency has
//! ended, and leaves a [`RunReport`].

mod json;
mod nearest;
mod report;
mod result;
mod spec;
mod text;

pub use report::ReportFormat;
pub use result::{RunReport, SpecResult, SpecState};
pub use spec::{Backoff, Pipeline, Spec};
