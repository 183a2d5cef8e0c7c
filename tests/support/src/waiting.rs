//! Waiting for what is not told by an event.

use crate::GUARD;
use std::thread;
use std::time::{Duration, Instant};

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + GUARD;
    while !condition() {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until `condition` holds, for what is counted and not asserted; false where it does not come true.
pub fn settle(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}
