//! Moments as nanoseconds since the epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time in nanoseconds since the epoch.
pub(crate) fn to_ns(time: SystemTime) -> i128 {
    // A duration has less than 2^64 seconds.
    let signed = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}

/// Does the inverse of [`to_ns`]. Fails if the platform's time cannot hold it.
pub(crate) fn from_ns(ns: i128) -> Result<SystemTime, String> {
    const SECOND: u128 = 1_000_000_000;
    let size = ns.unsigned_abs();
    // The remainder fits.
    let duration = u64::try_from(size / SECOND).ok().map(|seconds| Duration::new(seconds, (size % SECOND) as u32));
    let time = duration
        .and_then(|duration| if ns < 0 { UNIX_EPOCH.checked_sub(duration) } else { UNIX_EPOCH.checked_add(duration) });
    time.ok_or_else(|| "is out of range".to_owned())
}
