//! Counts, which `COREPROC_SCALE` multiplies.

use crate::GUARD;
use std::time::Duration;

const DEFAULT_SCALE: f64 = 0.1;

fn scale() -> f64 {
    match std::env::var("COREPROC_SCALE") {
        Ok(text) => text.parse().expect("COREPROC_SCALE is a number"),
        Err(_) => DEFAULT_SCALE,
    }
}

/// [`GUARD`], longer if the counts of this run are larger.
pub fn guard_for_counts() -> Duration {
    GUARD.mul_f64((scale() / DEFAULT_SCALE).max(1.0))
}

/// Prints and returns a full count times `COREPROC_SCALE`, or a tenth of it if that is not set.
pub fn count(what: &str, full: u64) -> u64 {
    let count = ((full as f64 * scale()).round() as u64).max(1);
    println!("count: {what}: {count} of {full}");
    count
}
