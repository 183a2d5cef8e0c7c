//! Limits of this process and of the machine.

#[cfg(feature = "health")]
use nix::sys::resource::{Resource, getrlimit};

/// Returns how many descriptors this process may have (the soft RLIMIT_NOFILE); 1024 if the kernel does not tell.
#[cfg(feature = "health")]
pub(crate) fn descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

/// Returns the greatest number of a processor that this machine can have; None if the kernel does not tell.
pub(crate) fn last_cpu() -> Option<u32> {
    let ranges = std::fs::read_to_string("/sys/devices/system/cpu/possible").ok()?;
    ranges.trim_end().rsplit([',', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_processor_is_at_least_that_of_this_thread() {
        // SAFETY: no arguments.
        let here = unsafe { libc::sched_getcpu() };
        assert!(super::last_cpu().is_none_or(|last| last >= here as u32));
    }
}
