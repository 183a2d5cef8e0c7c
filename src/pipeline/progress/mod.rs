//! The progress view: shows a run under way to people.
//!
//! `view` is what callers hold, `options` how it shows a run. Events go in at `renderer`, which makes lines of them;
//! `order` keeps lines until it is their turn; `controls` takes control sequences out of output; `screen` writes.

mod controls;
mod options;
mod order;
mod renderer;
mod screen;
mod view;

pub use options::{ProgressOptions, ProgressOutput, ProgressStyle};
pub use view::ProgressView;
