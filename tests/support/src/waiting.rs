//! Waiting for conditions that no event reports.

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

/// Waits until `condition` holds; false if it does not come true in ten seconds. For figures that are counted, not
/// asserted.
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
