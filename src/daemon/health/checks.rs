//! The checks of a server and the threads that run them.
//!
//! A check is code of the host, and may hang. Each check runs on a thread of the pool, at most once at a time, and requests
//! that come meanwhile share that run. So there are never more threads than checks, and a check that hangs holds up one
//! thread and no other check. Idle threads wait for the next run, and end with the server.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::{Error, Result, quoted};
use crate::runtime::{lock, panic_message};
use crate::sys::thread;
use crate::util::condition::wait_up_to;
use crate::util::text;

type Run = Box<dyn Fn() -> std::result::Result<(), String> + Send + Sync>;

/// The longest name, in bytes.
const NAME_MAX: usize = 100;
/// The longest error of one check, in bytes.
const ERROR_MAX: usize = 1000;

/// The error of a check on one line, cut to its longest.
pub(super) fn one_line(error: &str) -> String {
    text::one_line(error, ERROR_MAX)
}

/// How a run of a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// The error, on one line and cut, because every request that waits gets a copy.
    Failed(String),
    /// The panic's message, likewise.
    Panicked(String),
    /// Its time limit passed while the request waited.
    TimedOut,
    /// Its time limit had passed before the request came.
    StillRunning,
    /// No thread could be started for it, with the reason.
    NotRun(String),
}

/// One check's part of an answer.
pub(super) struct Finding {
    /// The name of the check; None if it was added without one.
    pub(super) name: Option<String>,
    /// The number of the check, from 1, in the order in which they were added.
    pub(super) place: usize,
    pub(super) outcome: Outcome,
    /// How long the run took, or has been going on.
    pub(super) took: Duration,
}

struct Check {
    name: String,
    place: usize,
    run: Run,
    current: Mutex<Option<Current>>,
}

/// A run that is under way.
#[derive(Clone)]
struct Current {
    started: Instant,
    result: watch::Receiver<Option<(Outcome, Duration)>>,
}

pub(super) struct Checks {
    limit: Duration,
    list: Mutex<Vec<Arc<Check>>>,
    pool: Arc<Pool>,
}

impl Checks {
    /// No checks yet; each will have this time limit.
    pub(super) fn new(limit: Duration) -> Checks {
        Checks { limit, list: Mutex::new(Vec::new()), pool: Arc::new(Pool::default()) }
    }

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

    /// Does this thread run one of these checks?
    pub(super) fn is_running_here(&self) -> bool {
        RUNNING_FOR.get() == self.pool.id()
    }

    /// From now on threads are kept when they are idle.
    pub(super) fn open(&self) {
        lock(&self.pool.state).open = true;
    }

    /// Ends idle threads, and others once their check has ended.
    pub(super) fn close(&self) {
        lock(&self.pool.state).open = false;
        self.pool.work.notify_all();
    }
}

impl Current {
    /// Has its limit passed already?
    fn is_late(&self, limit: Duration) -> bool {
        self.started.elapsed() >= limit
    }

    /// Waits for the outcome, no longer than the limit allows. `late` says that the limit had passed when the request came.
    async fn outcome(mut self, limit: Duration, late: bool) -> (Outcome, Duration) {
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

/// Threads for checks: as many as checks ever ran at once.
#[derive(Default)]
struct Pool {
    state: Mutex<PoolState>,
    work: Condvar,
}

#[derive(Default)]
struct PoolState {
    /// Idle threads are kept.
    open: bool,
    /// Threads that run no check, and take a job next.
    free: usize,
    jobs: VecDeque<Job>,
}

struct Job {
    check: Arc<Check>,
    started: Instant,
    result: watch::Sender<Option<(Outcome, Duration)>>,
}

thread_local! {
    /// The pool whose check this thread runs, as [`Pool::id`] has it; 0 for none.
    static RUNNING_FOR: Cell<usize> = const { Cell::new(0) };
}

impl Pool {
    fn id(self: &Arc<Pool>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// The run of the check that is under way, or a new one.
    fn start_or_join(self: &Arc<Pool>, check: &Arc<Check>) -> Result<Current> {
        let mut current = lock(&check.current);
        if let Some(current) = &*current {
            return Ok(current.clone());
        }
        let (sender, receiver) = watch::channel(None);
        let run = Current { started: Instant::now(), result: receiver };
        self.give(Job { check: Arc::clone(check), started: run.started, result: sender })?;
        Ok(current.insert(run).clone())
    }

    /// Gives the job to a free thread, or to a new one.
    fn give(self: &Arc<Pool>, job: Job) -> Result<()> {
        let mut state = lock(&self.state);
        if state.free > state.jobs.len() {
            state.jobs.push_back(job);
            self.work.notify_one();
            return Ok(());
        }
        drop(state);
        let pool = Arc::clone(self);
        thread::start("coreproc-check", move || pool.work_from(job)).map(drop)
    }

    /// The life of a thread.
    fn work_from(self: Arc<Pool>, first: Job) {
        let mut job = first;
        loop {
            RUNNING_FOR.set(self.id());
            let outcome = job.run();
            RUNNING_FOR.set(0);
            // Before the result is known, so that the next run finds this thread free.
            lock(&self.state).free += 1;
            job.tell(outcome);
            let mut state = lock(&self.state);
            job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    state.free -= 1;
                    break job;
                }
                if !state.open {
                    state.free -= 1;
                    return;
                }
                state = wait_up_to(&self.work, state, None);
            };
        }
    }
}

impl Job {
    fn run(&self) -> Outcome {
        match catch_unwind(AssertUnwindSafe(|| (self.check.run)())) {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(why)) => Outcome::Failed(one_line(&why)),
            Err(payload) => Outcome::Panicked(one_line(&panic_message(payload.as_ref()))),
        }
    }

    /// Hands the outcome to the requests that wait.
    fn tell(self, outcome: Outcome) {
        // In this order: a request that has seen the result may start the next run.
        *lock(&self.check.current) = None;
        let _ = self.result.send(Some((outcome, self.started.elapsed())));
        // If the server is gone, this drops the host's closure, which may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }
}
