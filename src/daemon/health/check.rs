//! [`Check`]: code of the host that says whether the program is well, and its runs.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::util::text;

/// The closure of the host. Its error says what is wrong.
pub(super) type Run = Box<dyn Fn() -> std::result::Result<(), String> + Send + Sync>;

/// The longest error of one check, in bytes.
const ERROR_MAX: usize = 1000;

/// Puts the error of a check on one line, and cuts it to its longest.
pub(super) fn one_line(error: &str) -> String {
    text::one_line(error, ERROR_MAX)
}

/// A check of the host.
pub(super) struct Check {
    pub(super) name: String,
    /// Its number, from 1.
    pub(super) place: usize,
    pub(super) run: Run,
    /// The run that is under way.
    pub(super) current: Mutex<Option<Current>>,
}

/// How a run of a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// The error, on one line and cut, because every request that waits gets a copy.
    Failed(String),
    /// The panic's message, likewise.
    Panicked(String),
    /// The time limit of the check passed while the request waited.
    TimedOut,
    /// The time limit of the check had passed before the request came.
    StillRunning,
    /// No thread could be started for it, with the reason.
    NotRun(String),
}

/// A run that is under way.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) started: Instant,
    pub(super) result: watch::Receiver<Option<(Outcome, Duration)>>,
}

impl Current {
    /// Returns whether its limit has passed already.
    pub(super) fn is_late(&self, limit: Duration) -> bool {
        self.started.elapsed() >= limit
    }

    /// Waits for the outcome, no longer than the limit allows. `late` says that the limit had passed when the request
    /// came.
    pub(super) async fn outcome(mut self, limit: Duration, late: bool) -> (Outcome, Duration) {
        if late && self.result.borrow().is_none() {
            return (Outcome::StillRunning, self.started.elapsed());
        }
        let left = limit.saturating_sub(self.started.elapsed());
        // Without time left, this looks once.
        let result = self.result.wait_for(Option::is_some);
        match tokio::time::timeout(left, result).await {
            Ok(Ok(result)) => match &*result {
                Some(result) => result.clone(),
                None => (Outcome::TimedOut, limit),
            },
            // A thread that ends without a result is a bug of this library, not of the check.
            Ok(Err(_)) => (Outcome::NotRun("its thread has gone".to_owned()), self.started.elapsed()),
            Err(_) => (Outcome::TimedOut, limit),
        }
    }
}
