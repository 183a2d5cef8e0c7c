//! Durations as whole nanoseconds, and as text for people.

use std::time::Duration;

/// Returns the duration in nanoseconds; `u64::MAX` (584 years) if it is longer.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes a duration: `740 µs`, `12.3 ms`, `3.42 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        _ if seconds < 0.001 => format!("{} µs", duration.as_micros()),
        _ if seconds < 0.0995 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 9.995 => format!("{seconds:.2} s"),
        0..60 => format!("{seconds:.1} s"),
        whole @ 60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Returns the mean of the durations that are known; None if none is.
pub(crate) fn mean(durations: &[Option<u64>]) -> Option<u64> {
    let known = || durations.iter().flatten();
    let sum: u128 = known().map(|duration| u128::from(*duration)).sum();
    let mean = sum.checked_div(known().count() as u128)?;
    Some(u64::try_from(mean).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let shown = |ns| super::shown(Duration::from_nanos(ns));
        assert_eq!(shown(0), "0 µs");
        assert_eq!(shown(740_000), "740 µs");
        assert_eq!(shown(12_340_000), "12.3 ms");
        assert_eq!(shown(999_400_000), "999 ms");
        assert_eq!(shown(999_600_000), "1.00 s");
        assert_eq!(shown(3_420_000_000), "3.42 s");
        assert_eq!(shown(59_940_000_000), "59.9 s");
        assert_eq!(shown(125_000_000_000), "2 min 05 s");
        assert_eq!(shown(3_720_000_000_000), "1 h 02 min");
        super::shown(Duration::MAX);
    }

    #[test]
    fn a_mean_is_that_of_what_is_known() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[None, None]), None);
        assert_eq!(mean(&[Some(1), None, Some(4)]), Some(2));
        assert_eq!(mean(&[Some(u64::MAX), Some(u64::MAX)]), Some(u64::MAX));
    }
}
