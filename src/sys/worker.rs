//! [`Worker`]: one thread that does what others ask for and wait for, for calls whose effect is tied to the thread that
//! makes them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam::channel::{Sender, bounded, unbounded};

use super::thread;
use crate::error::Result;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that ends when this is dropped.
pub(crate) struct Worker {
    queue: Sender<Work>,
}

impl Worker {
    pub(crate) fn start(name: &'static str) -> Result<Worker> {
        let (queue, works) = unbounded::<Work>();
        thread::start(name, move || works.iter().for_each(|work| work()))?;
        Ok(Worker { queue })
    }

    /// Does this on the thread, after what others asked for before, and waits for it. None if it panicked.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Option<T> {
        let (sender, result) = bounded(1);
        let work: Box<dyn FnOnce() + Send + '_> = Box::new(move || {
            // The thread goes on after a panic: its end would have an effect as well.
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok(value) => drop(sender.send(value)),
                // Its drop may panic as well.
                Err(payload) => std::mem::forget(payload),
            }
        });
        // SAFETY: the work is over, or dropped undone, when `recv` returns: its sender is used or dropped last of all
        // that it borrows. So nothing that it borrows ends before it.
        let work = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Work>(work) };
        let _ = self.queue.send(work);
        result.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    #[test]
    fn work_is_done_on_one_thread_and_a_panic_wakes_its_caller_alone() {
        let worker = Worker::start("test-worker").expect("worker");
        let borrowed = String::from("borrowed");
        let first = worker.run(|| (current().id(), borrowed.len())).expect("done");
        assert_eq!(first.1, 8);
        assert_ne!(first.0, current().id());
        assert_eq!(worker.run(|| -> () { std::panic::resume_unwind(Box::new("on purpose")) }), None);
        assert_eq!(worker.run(|| current().id()), Some(first.0));
    }

    #[test]
    fn many_callers_get_their_own_results() {
        let worker = Worker::start("test-worker").expect("worker");
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let worker = &worker;
                scope.spawn(move || {
                    (0..200).for_each(|n| assert_eq!(worker.run(|| thread * 1000 + n), Some(thread * 1000 + n)))
                });
            }
        });
    }
}
