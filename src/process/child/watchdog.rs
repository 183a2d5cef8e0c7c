//! [`Watchdog`]: what a child may not exceed besides its timeout: the time to its first output, a time of silence, CPU
//! time, and bytes of output.

use crate::event::Cause;
use crate::process::deadlines::Deadlines;
use crate::runtime::NEVER;
use crate::sys::procfs;
use crate::util::duration::nanoseconds;

/// The time between looks at the CPU time of a child that has almost used up its own: the figures of /proc are no finer.
const FINEST: u64 = 10_000_000;

/// The deadlines of a child. Times are in nanoseconds, on CLOCK_MONOTONIC unless they are CPU time; [`NEVER`] is none.
pub(super) struct Watchdog {
    /// When the first output must have come; [`NEVER`] once it has.
    start_at: u64,
    /// The longest silence.
    silence: u64,
    /// When output was read last; later by the time in which a full queue kept us from reading.
    heard_at: u64,
    /// When to look whether the silence is too long. A read does not change it, so that no timer is set for each.
    silence_look_at: u64,
    /// The most CPU time.
    cpu: u64,
    /// When the CPU time could be used up at the earliest.
    cpu_look_at: u64,
    /// How many bytes it may still write.
    output_left: u64,
}

impl Watchdog {
    pub(super) fn new(deadlines: &Deadlines, started_at: u64) -> Watchdog {
        let time = |deadline: Option<_>| deadline.map_or(NEVER, nanoseconds);
        let (start, silence, cpu) = (time(deadlines.start), time(deadlines.silence), time(deadlines.cpu));
        let first_silence = if start == NEVER { started_at.saturating_add(silence) } else { NEVER };
        Watchdog {
            start_at: started_at.saturating_add(start),
            silence,
            heard_at: started_at,
            silence_look_at: first_silence,
            cpu,
            cpu_look_at: if cpu == NEVER { NEVER } else { started_at.saturating_add(cpu / procfs::processors()) },
            output_left: deadlines.output.unwrap_or(u64::MAX),
        }
    }

    /// Returns when to look next.
    pub(super) fn next(&self) -> u64 {
        self.start_at.min(self.silence_look_at).min(self.cpu_look_at)
    }

    /// Notes that output was read. Returns whether it is too much.
    pub(super) fn heard(&mut self, bytes: u64, now: u64) -> bool {
        self.heard_at = now;
        if std::mem::replace(&mut self.start_at, NEVER) != NEVER {
            self.silence_look_at = now.saturating_add(self.silence);
        }
        let too_much = bytes > self.output_left;
        self.output_left = self.output_left.saturating_sub(bytes);
        too_much
    }

    /// Notes that nothing could be read from `paused` until now.
    pub(super) fn stood_still(&mut self, paused: u64, now: u64) {
        self.heard_at += now.saturating_sub(paused.max(self.heard_at));
        if self.silence_look_at == NEVER && self.start_at == NEVER {
            self.silence_look_at = self.heard_at.saturating_add(self.silence);
        }
    }

    /// Returns which deadline has passed; if none has, notes when to look again. `spent` tells the CPU time that is used
    /// up, if it can.
    pub(super) fn exceeded(&mut self, now: u64, is_paused: bool, spent: impl FnOnce() -> Option<u64>) -> Option<Cause> {
        if self.start_at <= now {
            return Some(Cause::StartTimeout);
        }
        if self.silence_look_at <= now {
            let due = self.heard_at.saturating_add(self.silence);
            if !is_paused && due <= now {
                return Some(Cause::Silence);
            }
            // The end of a pause sets it anew.
            self.silence_look_at = if is_paused { NEVER } else { due };
        }
        if self.cpu_look_at <= now {
            let left = spent().map_or(FINEST, |spent| self.cpu.saturating_sub(spent));
            if left == 0 {
                return Some(Cause::CpuTime);
            }
            self.cpu_look_at = now + (left / procfs::processors()).max(FINEST);
        }
        None
    }

    /// Ends all deadlines: the child is being stopped for one of them.
    pub(super) fn end(&mut self) {
        self.start_at = NEVER;
        self.silence_look_at = NEVER;
        self.silence = NEVER;
        self.cpu_look_at = NEVER;
        self.output_left = u64::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn of(set: impl FnOnce(&mut Deadlines)) -> Watchdog {
        let mut deadlines = Deadlines::default();
        set(&mut deadlines);
        Watchdog::new(&deadlines, 100)
    }

    fn silence(seconds: u64) -> Watchdog {
        of(|deadlines| deadlines.silence = Some(Duration::from_secs(seconds)))
    }

    fn untold() -> Option<u64> {
        None
    }

    #[test]
    fn without_a_deadline_nothing_is_to_be_looked_at() {
        let mut none = of(|_| ());
        assert!(!none.heard(u64::MAX, 5));
        none.stood_still(5, 10);
        assert_eq!(none.next(), NEVER);
    }

    #[test]
    fn the_output_limit_is_the_most_that_is_allowed() {
        let mut limited = of(|deadlines| deadlines.output = Some(10));
        assert!(!limited.heard(4, 1) && !limited.heard(6, 2));
        assert!(limited.heard(1, 3));
        assert_eq!(limited.next(), NEVER);
    }

    #[test]
    fn reads_leave_the_time_of_the_next_look_alone() {
        let mut silent = silence(1);
        let first = silent.next();
        assert_eq!(first, SECOND + 100);
        silent.heard(1, SECOND / 2);
        assert_eq!(silent.next(), first);
        assert_eq!(silent.exceeded(first, false, untold), None);
        assert_eq!(silent.next(), SECOND + SECOND / 2);
        assert_eq!(silent.exceeded(SECOND + SECOND / 2, false, untold), Some(Cause::Silence));
    }

    #[test]
    fn a_pause_stops_the_clock_of_the_silence_and_its_looks() {
        let mut silent = silence(1);
        silent.heard(1, SECOND);
        assert_eq!(silent.exceeded(3 * SECOND, true, untold), None);
        assert_eq!(silent.next(), NEVER);
        silent.stood_still(SECOND, 5 * SECOND);
        assert_eq!(silent.next(), 6 * SECOND);
        assert_eq!(silent.exceeded(6 * SECOND, false, untold), Some(Cause::Silence));
    }

    #[test]
    fn silence_counts_from_the_first_output_if_that_has_a_deadline() {
        let mut both = of(|deadlines| {
            deadlines.start = Some(Duration::from_secs(10));
            deadlines.silence = Some(Duration::from_secs(1));
        });
        assert_eq!(both.next(), 10 * SECOND + 100);
        both.heard(1, 9 * SECOND);
        assert_eq!(both.next(), 10 * SECOND);
        assert_eq!(both.exceeded(10 * SECOND, false, untold), Some(Cause::Silence));
    }

    #[test]
    fn the_next_look_at_the_cpu_time_is_when_it_can_be_used_up() {
        let mut busy = of(|deadlines| deadlines.cpu = Some(Duration::from_secs(8)));
        let processors = procfs::processors();
        assert_eq!(busy.next(), 100 + 8 * SECOND / processors);
        assert_eq!(busy.exceeded(20 * SECOND, false, || Some(6 * SECOND)), None);
        assert_eq!(busy.next(), 20 * SECOND + (2 * SECOND / processors).max(FINEST));
        assert_eq!(busy.exceeded(30 * SECOND, false, || Some(8 * SECOND - 1)), None);
        assert_eq!(busy.next(), 30 * SECOND + FINEST);
        assert_eq!(busy.exceeded(40 * SECOND, false, || Some(8 * SECOND)), Some(Cause::CpuTime));
    }
}
