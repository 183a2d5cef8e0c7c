//! [`Checks`]: the checks of a server.
//!
//! A check is code of the host, and may hang. Each check runs on a thread of the pool, at most once at a time, and
//! requests that come meanwhile share that run. So there are never more threads than checks, and a check that hangs
//! holds up one thread and no other check. Idle threads wait for the next run, and end with the server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check::{Check, Outcome, Run};
use super::pool::Pool;
use crate::error::{Error, Result, quoted};
use crate::runtime::lock;

/// The longest name, in bytes.
const NAME_MAX: usize = 100;

/// One check's part of an answer.
pub(super) struct Finding {
    /// The name of the check; None if it was added without one.
    pub(super) name: Option<String>,
    /// The number of the check, from 1, in the order in which they were added.
    pub(super) place: usize,
    pub(super) outcome: Outcome,
    /// How long the run took, or has taken so far.
    pub(super) took: Duration,
}

pub(super) struct Checks {
    limit: Duration,
    list: Mutex<Vec<Arc<Check>>>,
    pool: Arc<Pool>,
}

impl Checks {
    /// Makes an empty list, each of whose checks will have this time limit.
    pub(super) fn new(limit: Duration) -> Checks {
        Checks { limit, list: Mutex::new(Vec::new()), pool: Arc::new(Pool::default()) }
    }

    /// Adds a check. Its name may be empty.
    pub(super) fn add(&self, operation: &'static str, name: String, run: Run) -> Result<()> {
        let refused = |why: &str| Err(Error::invalid(operation, why).on(quoted(name.as_bytes())));
        if name.len() > NAME_MAX {
            return refused("the name is longer than 100 bytes");
        }
        if name.contains(char::is_control) {
            return refused("the name has a control character");
        }
        let mut list = lock(&self.list);
        if !name.is_empty() && list.iter().any(|check| check.name == name) {
            return refused("there is a check of this name");
        }
        let place = list.len() + 1;
        list.push(Arc::new(Check { name, place, run, current: Mutex::new(None) }));
        Ok(())
    }

    /// Runs all checks side by side, and waits for each no longer than its limit.
    pub(super) async fn ask(&self) -> Vec<Finding> {
        let list = lock(&self.list).clone();
        let runs: Vec<_> = list
            .into_iter()
            .map(|check| {
                let run = self.pool.start_or_join(&check);
                (run.map(|current| (current.is_late(self.limit), current)), check)
            })
            .collect();
        let mut findings = Vec::with_capacity(runs.len());
        for (run, check) in runs {
            let (outcome, took) = match run {
                Ok((late, current)) => current.outcome(self.limit, late).await,
                Err(error) => (Outcome::NotRun(error.to_string()), Duration::ZERO),
            };
            let name = (!check.name.is_empty()).then(|| check.name.clone());
            findings.push(Finding { name, place: check.place, outcome, took });
        }
        findings
    }

    /// Returns whether this thread runs one of these checks.
    pub(super) fn is_running_here(&self) -> bool {
        self.pool.is_running_here()
    }

    /// Keeps threads from now on: the server starts.
    pub(super) fn open(&self) {
        self.pool.open();
    }

    /// Ends the threads: the server ends.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}
