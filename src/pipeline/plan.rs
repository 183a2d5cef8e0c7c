//! [`Plan`]: how to run, from the options of a run and, if those leave it open, from its pipeline.

use std::thread::available_parallelism;

use super::options::{Limit, OnFailure, RunMode, RunOptions};
use super::spec::Pipeline;
use crate::error::{Error, Result};

pub(super) struct Plan {
    pub(super) mode: RunMode,
    /// How many specs run at a time; at least 1.
    pub(super) limit: usize,
    pub(super) fail_fast: bool,
}

impl Plan {
    pub(super) fn new(operation: &'static str, pipeline: &Pipeline, options: &RunOptions) -> Result<Plan> {
        let limit = match (options.mode, options.limit, pipeline.limit) {
            (RunMode::Sequential, ..) => 1,
            (_, Limit::At(0), _) => return Err(Error::invalid(operation, "limit: is 0")),
            (_, Limit::At(limit), _) => limit,
            (_, Limit::None, _) | (_, Limit::Default, Some(0)) => usize::MAX,
            (_, Limit::Default, Some(limit)) => limit,
            (_, Limit::Default, None) => processors(),
        };
        let fail_fast = match options.on_failure {
            OnFailure::Default => pipeline.fail_fast.unwrap_or(false),
            OnFailure::KeepGoing => false,
            OnFailure::FailFast => true,
        };
        Ok(Plan { mode: options.mode, limit, fail_fast })
    }
}

/// Returns how many processors this process may use.
pub(super) fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
