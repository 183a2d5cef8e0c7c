//! The CPU time of a process, by `/proc/PID/stat`. See proc_pid_stat(5).

use std::os::fd::OwnedFd;

use super::stat::stat;
use crate::sys::{clock, pidfd};

/// Returns the CPU time of the process of this pidfd, with that of the children that it has waited for, in nanoseconds;
/// None if it has ended. What /proc hides, as of a process that has become another user's, does not count: the time of
/// the process alone is known to all.
pub(crate) fn cpu_ns(pidfd: &OwnedFd, pid: i32) -> Option<u64> {
    let time = with_children(pid).or_else(|| clock::cpu_ns_of(pid));
    // If it has not ended, the number was its own all the time.
    time.filter(|_| !pidfd::has_ended(pidfd))
}

fn with_children(pid: i32) -> Option<u64> {
    let stat = stat(pid).ok()?;
    // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime …
    let times = stat.split(' ').skip(11).take(4);
    let ticks = times.map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some((u128::from(ticks) * 1_000_000_000 / u128::from(clock::ticks_per_second())) as u64)
}

/// Returns how many processors the system has that are online: so many seconds of CPU time can pass in a second.
pub(crate) fn processors() -> u64 {
    // SAFETY: takes no pointers.
    let processors = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u64::try_from(processors).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::monotonic_ns;

    #[test]
    fn both_ways_tell_the_time_of_this_process() {
        let pid = std::process::id() as i32;
        let pidfd = pidfd::open(pid).expect("pidfd");
        let begin = monotonic_ns();
        let spent = clock::cpu_ns_of(pid).expect("its clock");
        while monotonic_ns() - begin < 50_000_000 || clock::cpu_ns_of(pid).expect("its clock") - spent < 30_000_000 {}
        let by_clock = clock::cpu_ns_of(pid).expect("its clock");
        let by_stat = cpu_ns(&pidfd, pid).expect("it lives");
        // /proc counts in ticks.
        assert!(by_stat + 40_000_000 > by_clock && by_stat >= 10_000_000, "{by_stat} {by_clock}");
        assert!(processors() >= 1);
    }
}
