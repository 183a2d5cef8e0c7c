//! Questions of a host to the kernel about itself, and the page that it shares with its children. All `unsafe` code of
//! the benches is here.
#![allow(unsafe_code)]

use crate::Fallible;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

const MIB: usize = 1 << 20;
const STAMPS_OFFSET: usize = 64;

pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub(crate) fn cpu_us() -> u64 {
    usage_us(libc::RUSAGE_SELF)
}

/// Counts the children that have been reaped, too.
pub(crate) fn cpu_with_children_us() -> u64 {
    usage_us(libc::RUSAGE_SELF) + usage_us(libc::RUSAGE_CHILDREN)
}

fn usage_us(whose: i32) -> u64 {
    // SAFETY: rusage is plain integers, for which zero is a value; getrusage fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    let time = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// CPU time of all processes since the machine started, and that of this process and its ended descendants.
pub(crate) struct CpuTime {
    all: f64,
    own: f64,
}

impl CpuTime {
    pub(crate) fn now() -> Fallible<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let ticks: Vec<f64> =
            stat.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
        // user, nice, system, then (after idle and iowait) irq, softirq and what the hypervisor took.
        let busy: f64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&column| ticks.get(column)).sum();
        // SAFETY: a plain system call.
        let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Ok(Self { all: busy / ticks_per_second, own: cpu_with_children_us() as f64 / 1e6 })
    }

    /// Returns the seconds of CPU that other processes have used since then.
    pub(crate) fn of_others_since(&self, before: &Self) -> f64 {
        ((self.all - before.all) - (self.own - before.own)).max(0.0)
    }
}

/// Raises the limit of open files, and sets the guard against hanging: a signal of the kernel's costs the measurement
/// nothing.
pub(crate) fn begin_host() {
    // SAFETY: plain system calls on a local struct.
    unsafe {
        libc::alarm(120);
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

pub(crate) fn send_signal(pid: u32, signal: i32) -> Fallible<()> {
    // SAFETY: a plain system call.
    match unsafe { libc::kill(i32::try_from(pid)?, signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Resident memory, in small pages, so that the page tables are as large as this much memory can make them.
pub(crate) struct Ballast {
    memory: *mut libc::c_void,
    size: usize,
}

impl Ballast {
    pub(crate) fn new(mib: usize) -> Fallible<Self> {
        let size = mib * MIB;
        // SAFETY: a fresh private mapping, written only within its size.
        unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0);
            if memory == libc::MAP_FAILED {
                return Err(std::io::Error::last_os_error().into());
            }
            libc::madvise(memory, size, libc::MADV_NOHUGEPAGE);
            for offset in (0..size).step_by(4096) {
                memory.cast::<u8>().add(offset).write_volatile(1);
            }
            Ok(Self { memory, size })
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made, to which no other code has a pointer.
        unsafe { libc::munmap(self.memory, self.size) };
    }
}

/// Returns the resident memory. It is exact; the kernel updates the figure in statm in batches per CPU.
pub(crate) fn rss_bytes() -> Fallible<f64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    Ok(field(&rollup, "Rss:")? * 1024.0)
}

pub(crate) fn available_mib() -> Fallible<usize> {
    let kib = field(&std::fs::read_to_string("/proc/meminfo")?, "MemAvailable:")?;
    Ok((kib / 1024.0) as usize)
}

fn field(text: &str, name: &str) -> Fallible<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let word = value.and_then(|value| value.split_whitespace().next());
    Ok(word.ok_or_else(|| format!("no {name}"))?.parse()?)
}

pub(crate) struct Threads {
    pub(crate) count: usize,
    /// Voluntary context switches of all but the main thread.
    pub(crate) switches: u64,
}

pub(crate) fn threads() -> Fallible<Threads> {
    let main = std::process::id().to_string();
    let mut threads = Threads { count: 0, switches: 0 };
    for entry in std::fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        threads.count += 1;
        if *entry.file_name() != *main {
            // A thread that ended meanwhile has nothing left to count.
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            threads.switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0.0) as u64;
        }
    }
    Ok(threads)
}

/// Counts the switches in one second, once earlier work has settled.
pub(crate) fn idle_switches() -> Fallible<u64> {
    let mut before = threads()?.switches;
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(50));
        let now = threads()?.switches;
        if now == before {
            break;
        }
        before = now;
    }
    std::thread::sleep(Duration::from_secs(1));
    Ok(threads()?.switches - before)
}

/// The page shared with the children: a count of those that are ready, then a time stamp for each. Never unmapped.
pub(crate) struct Page(*const u8, usize);

// SAFETY: the mapping is only reached through atomics and lives until the process ends.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    pub(crate) fn bytes(stamps: usize) -> u64 {
        (STAMPS_OFFSET + stamps * size_of::<u64>()).next_multiple_of(4096) as u64
    }

    pub(crate) fn map(path: &Path) -> Fallible<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let size = usize::try_from(file.metadata()?.len())?;
        // SAFETY: a new shared mapping of a whole file.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED || size < STAMPS_OFFSET {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Self(at.cast(), size))
    }

    fn ready(&self) -> &AtomicU32 {
        // SAFETY: the mapping is at least `STAMPS_OFFSET` long, page-aligned, and never unmapped.
        unsafe { &*self.0.cast() }
    }

    pub(crate) fn wait_ready(&self, count: usize) {
        loop {
            let seen = self.ready().load(Ordering::SeqCst);
            if seen as usize >= count {
                return;
            }
            // SAFETY: the address is that of a live atomic; a futex wait only reads it.
            unsafe {
                let timeout = std::ptr::null::<libc::timespec>();
                libc::syscall(libc::SYS_futex, self.ready().as_ptr(), libc::FUTEX_WAIT, seen, timeout);
            }
        }
    }

    pub(crate) fn stamp(&self, slot: usize) -> u64 {
        let offset = STAMPS_OFFSET + slot * size_of::<u64>();
        assert!(offset + size_of::<u64>() <= self.1, "slot beyond the page");
        // SAFETY: in bounds and aligned, and never unmapped.
        unsafe { &*self.0.add(offset).cast::<AtomicU64>() }.load(Ordering::SeqCst)
    }
}
