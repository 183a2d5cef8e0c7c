//! The clocks: CLOCK_MONOTONIC for deadlines and differences, CLOCK_REALTIME for people, and the moment of the boot.
//!
//! System calls: clock_gettime(2), sysconf(3).

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// One moment on both clocks, in nanoseconds.
///
/// ```
/// use std::time::Duration;
/// use coreproc::{Command, Service, ServiceOptions, Stamp};
///
/// fn between(from: Stamp, to: Stamp) -> Duration {
///     Duration::from_nanos(to.monotonic_ns - from.monotonic_ns)
/// }
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let info = Command::new("true").spawn(&service)?.wait(None)?;
/// let exited = info.exited.expect("it has ended");
/// assert_eq!(Some(between(info.started, exited)), info.duration());
/// # Ok(())
/// # }
/// ```
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

/// Returns CLOCK_MONOTONIC in nanoseconds, in which deadlines are kept.
pub(crate) fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Returns the time in milliseconds, rounded up, so that a wait does not turn into a spin at its end.
pub(crate) fn whole_ms(time: Duration) -> i32 {
    i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

fn read(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux; a zero would only make a timestamp useless, not a state wrong.
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// Returns CLOCK_REALTIME in nanoseconds since the epoch.
pub(crate) fn realtime_ns() -> i128 {
    i128::from(read(ClockId::CLOCK_REALTIME))
}

/// Returns the moment of the boot on CLOCK_REALTIME, as that clock is set now.
pub(crate) fn boot_realtime_ns() -> i128 {
    realtime_ns() - i128::from(read(ClockId::CLOCK_BOOTTIME))
}

/// Returns how many of the ticks in which /proc counts make a second.
pub(super) fn ticks_per_second() -> u64 {
    // SAFETY: takes no pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Returns the CPU time of a process by its own clock, in nanoseconds; None if it has been reaped.
pub(super) fn cpu_ns_of(pid: i32) -> Option<u64> {
    // See clock_getcpuclockid(3): the kernel's number for the CPU clock of a process.
    const CPUCLOCK_SCHED: i32 = 2;
    let clock = ClockId::from_raw((!pid << 3) | CPUCLOCK_SCHED);
    clock_gettime(clock).ok().map(|time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Returns whether this time lies ahead of the clock, by more than a small correction of it. Such a time says nothing:
/// the clock has been set back, or the machine has started again with another time.
pub(crate) fn is_ahead(realtime_ns: i128) -> bool {
    const CORRECTION_NS: i128 = 2_000_000_000;
    realtime_ns > self::realtime_ns() + CORRECTION_NS
}

/// Writes a time that a caller gave, as messages repeat it: in full, and with the space that all times have. `200 ms`,
/// `1.5 s`.
pub(crate) fn exact(time: Duration) -> String {
    let text = format!("{time:?}");
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_were_asked_for_are_repeated_whole() {
        let shown = |ns| exact(Duration::from_nanos(ns));
        assert_eq!(shown(0), "0 ns");
        assert_eq!(shown(20_000), "20 µs");
        assert_eq!(shown(200_000_000), "200 ms");
        assert_eq!(shown(1_500_000_000), "1.5 s");
        assert_eq!(shown(3_600_000_000_000), "3600 s");
    }
}
