//! The health server, by bytes on real sockets, and its client.

mod addresses;
mod answers;
mod checks;
mod client;
mod host;
mod limits;
mod requests;
mod stop;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use support::*;

/// A check that can be held, and says when it has begun.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, std::sync::Condvar, AtomicUsize)>);

impl Gate {
    fn pass(&self) -> Result<(), String> {
        self.0.2.fetch_add(1, Ordering::SeqCst);
        let mut open = self.0.0.lock().expect("lock");
        while !*open {
            open = self.0.1.wait(open).expect("wait");
        }
        Ok(())
    }

    fn open(&self) {
        *self.0.0.lock().expect("lock") = true;
        self.0.1.notify_all();
    }

    fn begun(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }

    fn wait_begun(&self, times: usize) {
        eventually("the check has begun", || self.begun() >= times);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A failed test must not leave a thread behind.
        self.open();
    }
}
