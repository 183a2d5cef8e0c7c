//! [`Spec`]: a node of a pipeline. [`Pipeline`]: a graph of specs.

use std::time::Duration;

use crate::process::Command;

/// How long to wait before an attempt is repeated: `first`, then twice the last wait each time, but at most `most`.
///
/// ```
/// use std::time::Duration;
///
/// use coreproc::{Backoff, Command, Spec};
///
/// let backoff = Backoff { first: Duration::from_millis(200), most: Duration::from_secs(5) };
/// let mut spec = Spec::new("download", Command::new("curl"));
/// spec.retries(3, backoff);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the second attempt.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    /// Returns 100 ms, doubled up to 10 s.
    fn default() -> Backoff {
        Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) }
    }
}

/// A process of a pipeline, and its dependencies. It is a builder: setters return it, and values are checked with the
/// pipeline.
///
/// ```
/// use coreproc::{Command, Spec};
///
/// let mut command = Command::new("cargo");
/// command.args(["test", "--workspace"]);
/// let mut spec = Spec::new("test", command);
/// spec.after("build").after("lint").allow_failure(true);
/// assert_eq!(spec.name(), "test");
/// ```
#[derive(Clone)]
pub struct Spec {
    pub(super) name: String,
    pub(super) command: Command,
    pub(super) after: Vec<String>,
    pub(super) allow_failure: bool,
    pub(super) always_run: bool,
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
}

impl Spec {
    /// Makes a spec that runs `command`, with a name that no other spec of its pipeline may have. The timeout of the
    /// command is that of each attempt.
    pub fn new(name: impl Into<String>, command: Command) -> Spec {
        Spec {
            name: name.into(),
            command,
            after: Vec::new(),
            allow_failure: false,
            always_run: false,
            retries: 0,
            backoff: Backoff::default(),
        }
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a dependency: this spec starts after the spec with that name has ended.
    pub fn after(&mut self, name: impl Into<String>) -> &mut Self {
        self.after.push(name.into());
        self
    }

    /// Sets whether its failure, which still counts as one, leaves its dependents to run.
    pub fn allow_failure(&mut self, allowed: bool) -> &mut Self {
        self.allow_failure = allowed;
        self
    }

    /// Sets whether it runs once its dependencies have ended in any state, also after a cancel: for clean-up.
    pub fn always_run(&mut self, always: bool) -> &mut Self {
        self.always_run = always;
        self
    }

    /// Sets how many further attempts follow a failed one, and the waits before them.
    pub fn retries(&mut self, retries: u32, backoff: Backoff) -> &mut Self {
        self.retries = retries;
        self.backoff = backoff;
        self
    }
}

/// A graph of specs, in the order in which they were added. It is a builder.
///
/// ```
/// use coreproc::{Command, Pipeline, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("build", Command::new("true")));
/// let mut test = Spec::new("test", Command::new("true"));
/// test.after("build");
/// pipeline.add(test);
/// let service = Service::new(ServiceOptions::default())?;
/// assert!(pipeline.run_all(&service)?.success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Pipeline {
    pub(super) name: String,
    pub(super) specs: Vec<Spec>,
    /// The limit of a run whose options leave it open; 0 means none.
    pub(super) limit: Option<usize>,
    /// Whether a run whose options leave it open is cancelled by a failure.
    pub(super) fail_fast: Option<bool>,
}

impl Pipeline {
    /// Makes an empty pipeline.
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// Sets its name, which reports of its runs carry.
    pub fn named(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = name.into();
        self
    }

    /// Returns its name; empty if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its specs, in order.
    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    pub(crate) fn spec_mut(&mut self, index: usize) -> Option<&mut Spec> {
        self.specs.get_mut(index)
    }

    /// Adds a spec.
    pub fn add(&mut self, spec: Spec) -> &mut Self {
        self.specs.push(spec);
        self
    }
}
