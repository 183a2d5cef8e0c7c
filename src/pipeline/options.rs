//! [`RunOptions`]: how to run a pipeline.

use std::collections::HashMap;
use std::time::Duration;

use crate::event::Subscription;

/// How a run treats the dependencies of a pipeline.
///
/// ```
/// use coreproc::{Command, Pipeline, RunMode, RunOptions, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("first", Command::new("false")));
/// pipeline.add(Spec::new("second", Command::new("true")));
/// let options = RunOptions { mode: RunMode::Sequential, ..RunOptions::default() };
/// let report = pipeline.start(&service, options)?.wait(None)?;
/// // The first failure ends a sequential run.
/// assert_eq!(report.specs[1].attempts, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunMode {
    /// Starts each spec the moment its last dependency has ended, several at a time; the spec at the beginning of the
    /// longest remaining path comes first.
    #[default]
    All,
    /// Starts one spec at a time, in the order of the pipeline, but none before its dependencies. Stops at the first
    /// failure.
    Sequential,
    /// Starts several specs at a time and ignores dependencies.
    Parallel,
}

/// How many specs run at a time, at most.
///
/// ```
/// use coreproc::{Limit, RunOptions};
///
/// let options = RunOptions { limit: Limit::At(4), ..RunOptions::default() };
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// The limit of the pipeline; if it has none, the number of processors.
    #[default]
    Default,
    /// This many specs, at least 1.
    At(usize),
    /// All specs.
    None,
}

/// The effect that a failure which is not allowed has on specs that do not depend on it.
///
/// ```
/// use coreproc::{OnFailure, RunOptions};
///
/// let options = RunOptions { on_failure: OnFailure::FailFast, ..RunOptions::default() };
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The default: the choice of the pipeline; if it has none, [`OnFailure::KeepGoing`].
    #[default]
    Default,
    /// They run.
    KeepGoing,
    /// Cancels the run: specs that run are stopped, the others skipped.
    FailFast,
}

/// How to run a pipeline.
///
/// ```
/// use std::collections::HashMap;
/// use std::time::Duration;
///
/// use coreproc::{Limit, RunOptions};
///
/// let options = RunOptions {
///     limit: Limit::At(4),
///     deadline: Some(Duration::from_secs(600)),
///     // How long specs took before: the longest path starts first.
///     durations: HashMap::from([("test".to_owned(), Duration::from_secs(90))]),
///     ..RunOptions::default()
/// };
/// # drop(options);
/// ```
#[derive(Clone, Default)]
pub struct RunOptions {
    /// How dependencies are treated.
    pub mode: RunMode,
    /// How many specs run at a time; [`RunMode::Sequential`] is one.
    pub limit: Limit,
    /// The effect of a failure. [`RunMode::Sequential`] stops at the first one.
    pub on_failure: OnFailure,
    /// Cancels the run after this time.
    pub deadline: Option<Duration>,
    /// How long specs took before, by name: the spec at the beginning of the longest path starts first. A spec without
    /// an entry counts as the mean of the others.
    pub durations: HashMap<String, Duration>,
    /// Subscriptions that get the events of the run and of its processes; needed for subscriptions with a named scope.
    pub subscriptions: Vec<Subscription>,
}
