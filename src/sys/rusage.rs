//! [`ResourceUsage`]: what a process has used, as the kernel tells it with its exit. System calls: getrusage(2).

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a process used of the machine, together with the children that it waited for; see `getrusage(2)`.
///
/// ```
/// use coreproc::{Command, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let info = Command::new("true").spawn(&service)?.wait(None)?;
/// let rusage = info.rusage.expect("the host reaps no children of the library");
/// assert!(rusage.max_rss_bytes > 0 && rusage.minor_faults > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The most memory that it, or one of the children that it waited for, had resident, in bytes.
    pub max_rss_bytes: u64,
    /// Whether that is exact. If not, it is an upper bound: the kernel counts what the host itself had resident when it
    /// started the process, and the process has not been beyond the host's own peak.
    pub max_rss_is_exact: bool,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Context switches because it waited.
    pub voluntary_switches: u64,
    /// Context switches because its time was up.
    pub involuntary_switches: u64,
    /// How often it read from a block device, in blocks of 512 bytes.
    pub blocks_read: u64,
    /// How often it wrote to a block device, in blocks of 512 bytes.
    pub blocks_written: u64,
}

impl ResourceUsage {
    /// Reads the kernel's figures about a child.
    pub(super) fn of_child(raw: &libc::rusage) -> ResourceUsage {
        let number = |number: libc::c_long| u64::try_from(number).unwrap_or(0);
        let time = |time: libc::timeval| {
            Duration::from_secs(number(time.tv_sec)) + Duration::from_micros(number(time.tv_usec))
        };
        let max_rss_bytes = number(raw.ru_maxrss).saturating_mul(1024);
        ResourceUsage {
            user: time(raw.ru_utime),
            system: time(raw.ru_stime),
            max_rss_bytes,
            max_rss_is_exact: is_beyond_host(max_rss_bytes),
            minor_faults: number(raw.ru_minflt),
            major_faults: number(raw.ru_majflt),
            voluntary_switches: number(raw.ru_nvcsw),
            involuntary_switches: number(raw.ru_nivcsw),
            blocks_read: number(raw.ru_inblock),
            blocks_written: number(raw.ru_oublock),
        }
    }
}

/// Returns whether a child's peak is greater than this process's. Until its exec it shares this process's memory, or has a
/// copy of it, which the kernel counts as its own.
fn is_beyond_host(peak: u64) -> bool {
    /// The greatest peak of this process that is known. It only grows, so that most children need no look.
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    if peak <= KNOWN.load(Ordering::Relaxed) {
        return false;
    }
    let mut raw = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes one rusage; zeros are valid.
    let own = unsafe {
        libc::syscall(libc::SYS_getrusage, libc::RUSAGE_SELF, raw.as_mut_ptr());
        u64::try_from(raw.assume_init().ru_maxrss).unwrap_or(0).saturating_mul(1024)
    };
    KNOWN.fetch_max(own, Ordering::Relaxed);
    own > 0 && peak > own
}
