//! [`Spec`]: a node of a pipeline, and [`Pipeline`]: all of them.

use std::time::Duration;

use crate::process::Command;

/// How long to wait before an attempt is repeated: `first`, then twice the last one each time, `most` at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Default for Backoff {
    /// 100 ms, doubled up to 10 s.
    fn default() -> Backoff {
        Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) }
    }
}

/// A process of a pipeline, and what it comes after. A builder: setters return it; what they were given is
/// judged when the pipeline is checked.
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
    /// A spec of this name, which no other of its pipeline may have, that runs `command`. The command's timeout
    /// is that of each attempt.
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

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts after the spec of this name has ended.
    pub fn after(&mut self, name: impl Into<String>) -> &mut Self {
        self.after.push(name.into());
        self
    }

    /// Its failure counts, but does not skip what comes after it.
    pub fn allow_failure(&mut self, allowed: bool) -> &mut Self {
        self.allow_failure = allowed;
        self
    }

    /// Runs once all that it comes after has ended, however that went, and after a cancel too: clean-up.
    pub fn always_run(&mut self, always: bool) -> &mut Self {
        self.always_run = always;
        self
    }

    /// Attempts after the first failed one.
    pub fn retries(&mut self, retries: u32, backoff: Backoff) -> &mut Self {
        self.retries = retries;
        self.backoff = backoff;
        self
    }
}

/// A graph of specs, in the order in which they were added. A builder.
#[derive(Clone, Default)]
pub struct Pipeline {
    pub(super) name: String,
    pub(super) specs: Vec<Spec>,
    /// What a run keeps to unless its options say otherwise.
    pub(super) limit: Option<usize>,
    pub(super) fail_fast: Option<bool>,
}

impl Pipeline {
    /// An empty one.
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// Gives it a name, which reports of its runs carry.
    pub fn named(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = name.into();
        self
    }

    /// Its name; empty if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it consists of, in order.
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
