//! [`Pool`]: the threads that run checks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::check::{Check, Current, Outcome, one_line};
use crate::error::Result;
use crate::runtime::{lock, panic_message};
use crate::sys::thread;
use crate::util::condition::wait_up_to;

/// Threads for checks: as many as checks ever ran at once.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<PoolState>,
    work: Condvar,
}

#[derive(Default)]
struct PoolState {
    /// Whether idle threads are kept.
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
    /// Returns whether this thread runs a check of this pool.
    pub(super) fn is_running_here(self: &Arc<Pool>) -> bool {
        RUNNING_FOR.get() == self.id()
    }

    /// Keeps threads when they are idle, from now on.
    pub(super) fn open(&self) {
        lock(&self.state).open = true;
    }

    /// Ends idle threads, and others once their check has ended.
    pub(super) fn close(&self) {
        lock(&self.state).open = false;
        self.work.notify_all();
    }

    fn id(self: &Arc<Pool>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Returns the run of the check that is under way, or starts one.
    pub(super) fn start_or_join(self: &Arc<Pool>, check: &Arc<Check>) -> Result<Current> {
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

    /// Runs jobs until the pool is closed.
    fn work_from(self: Arc<Pool>, first: Job) {
        let mut job = first;
        loop {
            RUNNING_FOR.set(self.id());
            let outcome = job.run();
            RUNNING_FOR.set(0);
            // This comes before the result is known, so that the next run finds this thread free.
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
        // The order matters: a request that has seen the result may start the next run.
        *lock(&self.check.current) = None;
        let _ = self.result.send(Some((outcome, self.started.elapsed())));
        // If the server is gone, this drops the host's closure, which may panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }
}
