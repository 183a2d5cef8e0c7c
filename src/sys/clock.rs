//! The two clocks that events carry.

use nix::time::{ClockId, clock_gettime};

/// One moment on both clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// CLOCK_MONOTONIC: for differences; never goes back.
    pub monotonic_ns: u64,
    /// CLOCK_REALTIME since the epoch: for people; may jump.
    pub realtime_ns: u64,
}

impl Stamp {
    pub(crate) fn now() -> Stamp {
        Stamp { monotonic_ns: monotonic_ns(), realtime_ns: read(ClockId::CLOCK_REALTIME) }
    }
}

/// CLOCK_MONOTONIC in nanoseconds: deadlines are kept in it.
pub(crate) fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux; a zero would only make a timestamp useless, not a state wrong.
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// CLOCK_REALTIME since the epoch.
pub(crate) fn realtime_ns() -> i128 {
    i128::from(read(ClockId::CLOCK_REALTIME))
}

/// The moment of the boot on CLOCK_REALTIME, as that clock is set now.
pub(crate) fn boot_realtime_ns() -> i128 {
    realtime_ns() - i128::from(read(ClockId::CLOCK_BOOTTIME))
}
