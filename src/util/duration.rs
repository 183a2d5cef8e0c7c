//! Durations as whole nanoseconds.

use std::time::Duration;

/// Returns the duration in nanoseconds; `u64::MAX` (584 years) if it is longer.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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
    fn a_mean_is_that_of_what_is_known() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[None, None]), None);
        assert_eq!(mean(&[Some(1), None, Some(4)]), Some(2));
        assert_eq!(mean(&[Some(u64::MAX), Some(u64::MAX)]), Some(u64::MAX));
    }
}
