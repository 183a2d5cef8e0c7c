//! Layer 3: a [`Pipeline`] is a graph of [`Spec`]s; running it starts each the moment its last dependency has
//! ended, and leaves a [`RunReport`].

mod json;
mod nearest;
mod result;
mod spec;

pub use result::{RunReport, SpecResult, SpecState};
pub use spec::{Backoff, Pipeline, Spec};
