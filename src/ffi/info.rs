//! `coreproc_process_info`.

use super::status::{
    COREPROC_CAUSE_NONE, COREPROC_FLAG_DRAIN_BOUND, COREPROC_FLAG_STOP_REFUSED, cause_value, flag, status_fields,
};
use super::versioned::versioned;
use crate::util::duration::nanoseconds;
use crate::{Info, ResourceUsage, Rung, State};

/// It runs.
pub const COREPROC_STATE_RUNNING: u32 = 1;
/// Its leader has ended and was reaped; its output is being read to the end.
pub const COREPROC_STATE_EXITED: u32 = 2;
/// Nothing follows.
pub const COREPROC_STATE_CLOSED: u32 = 3;

/// What it used is not known: it runs, the host reaped it, or a filter forbids to ask.
pub const COREPROC_RUSAGE_UNKNOWN: u32 = 0;
/// What it used is known.
pub const COREPROC_RUSAGE_EXACT: u32 = 1;
/// What it used is known, but max_rss_bytes is an upper bound: the kernel counts what the host itself
/// had resident when it started the process, and the process has not been beyond the host's own peak.
pub const COREPROC_RUSAGE_RSS_AT_MOST: u32 = 2;
/// None: the process is in the host's group.
pub const COREPROC_RUNG_PROCESS: u32 = 1;
/// A process group, which each process can leave (setsid(2), setpgid(2)).
pub const COREPROC_RUNG_GROUP: u32 = 2;
/// A cgroup of its own in the v2 hierarchy, which no process leaves without the right to write to
/// another cgroup.
pub const COREPROC_RUNG_CGROUP: u32 = 3;

/// A figure that is not known.
pub const COREPROC_UNKNOWN: u64 = 0xFFFF_FFFF_FFFF_FFFF;

/// What is known of a process. Plain data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_process_info {
    /// sizeof(coreproc_process_info), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// A COREPROC_STATE value.
    pub state: u32,
    /// Its number in its service: from 1, never reused.
    pub id: u64,
    /// Its PID, which may be another process's once this one has ended.
    pub pid: i32,
    /// 0 to 255 once it has exited by itself, else -1.
    pub exit_code: i32,
    /// The signal that ended it, else 0.
    pub signal: i32,
    /// A COREPROC_CAUSE value.
    pub cause: u32,
    /// COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED, DRAIN_BOUND, STOP_REFUSED.
    pub flags: u32,
    /// A COREPROC_RUNG value: by what means it is held together with what it starts.
    pub rung: u32,
    /// When it was started, on CLOCK_MONOTONIC.
    pub started_monotonic_ns: u64,
    /// When it was started, on CLOCK_REALTIME.
    pub started_realtime_ns: u64,
    /// When its end was seen, on CLOCK_MONOTONIC; 0 before.
    pub exited_monotonic_ns: u64,
    /// When it was closed, on CLOCK_MONOTONIC; 0 before.
    pub closed_monotonic_ns: u64,
    /// Bytes read from its standard output so far.
    pub stdout_bytes: u64,
    /// Bytes read from its standard error so far.
    pub stderr_bytes: u64,
    /// Bytes that its capture no longer holds, or never held.
    pub dropped_bytes: u64,
    /// Bytes that were read and discarded after it was closed, or lost from a spool.
    pub discarded_bytes: u64,
    /// Bytes that its command gave as input and its pipe has not taken: while it runs they wait for it
    /// to read; once it has ended, or closed its input, they are left over.
    pub unwritten_bytes: u64,
    /// A COREPROC_USAGE value, about the fields that follow, which are 0 if it is UNKNOWN. They are what
    /// the process used of the machine, together with the children that it waited for; see
    /// getrusage(2).
    pub rusage: u32,
    /// Always 0.
    pub rusage_reserved: u32,
    /// CPU time in user mode.
    pub user_time_ns: u64,
    /// CPU time in the kernel.
    pub system_time_ns: u64,
    /// The most memory that it, or one of those children, had resident.
    pub max_rss_bytes: u64,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Context switches because it waited.
    pub voluntary_switches: u64,
    /// Context switches because its time was up.
    pub involuntary_switches: u64,
    /// Reads from block devices, in blocks of 512 bytes.
    pub blocks_read: u64,
    /// Writes to block devices, in blocks of 512 bytes.
    pub blocks_written: u64,
    /// CPU time of all processes in its cgroup, those that have ended included (`cpu.stat`). This and
    /// the following are COREPROC_UNKNOWN if it has no cgroup, or the kernel or the controllers of the
    /// cgroup do not tell.
    pub tree_cpu_ns: u64,
    /// The most memory of its cgroup that was in use at once (`memory.peak`, Linux 5.19).
    pub tree_memory_peak: u64,
    /// How many of its processes the kernel has killed because the memory limit was reached.
    pub tree_oom_kills: u64,
    /// The most processes and threads in its cgroup at once (`pids.peak`, Linux 6.6).
    pub tree_processes_peak: u64,
    /// 1 if a signal has stopped it, as far as the library has seen it; 0 if it runs, has ended, or its
    /// command did not ask for it (coreproc_command_report_stops).
    pub stopped: u32,
    /// That signal; 0 if it is not stopped, and if someone else has waited for the stop, which makes the
    /// kernel forget the signal.
    pub stop_signal: i32,
}

versioned!(coreproc_process_info, 104);
const _: () = assert!(size_of::<coreproc_process_info>() == 232);

impl coreproc_process_info {
    pub(super) fn new(struct_size: u32, info: &Info) -> coreproc_process_info {
        let (exit_code, signal, flags) = status_fields(info.status());
        let (rusage, used) = match info.rusage {
            None => (COREPROC_RUSAGE_UNKNOWN, ResourceUsage::default()),
            Some(used) if used.max_rss_is_exact => (COREPROC_RUSAGE_EXACT, used),
            Some(used) => (COREPROC_RUSAGE_RSS_AT_MOST, used),
        };
        let usage = info.usage.unwrap_or_default();
        let known = |figure: Option<u64>| figure.unwrap_or(COREPROC_UNKNOWN);
        coreproc_process_info {
            struct_size,
            state: match info.state {
                State::Running => COREPROC_STATE_RUNNING,
                State::Exited => COREPROC_STATE_EXITED,
                State::Closed => COREPROC_STATE_CLOSED,
            },
            id: info.id,
            pid: info.pid,
            exit_code,
            signal,
            cause: info.ending.map_or(COREPROC_CAUSE_NONE, |ending| cause_value(ending.cause)),
            flags: flags
                | flag(info.drain_bound, COREPROC_FLAG_DRAIN_BOUND)
                | flag(info.stop_refused.is_some(), COREPROC_FLAG_STOP_REFUSED),
            rung: rung_value(info.rung),
            started_monotonic_ns: info.started.monotonic_ns,
            started_realtime_ns: info.started.realtime_ns,
            exited_monotonic_ns: info.exited.map_or(0, |stamp| stamp.monotonic_ns),
            closed_monotonic_ns: info.closed.map_or(0, |stamp| stamp.monotonic_ns),
            stdout_bytes: info.stdout_bytes,
            stderr_bytes: info.stderr_bytes,
            dropped_bytes: info.dropped_bytes,
            discarded_bytes: info.discarded_bytes,
            unwritten_bytes: info.unwritten_bytes,
            rusage,
            rusage_reserved: 0,
            user_time_ns: nanoseconds(used.user),
            system_time_ns: nanoseconds(used.system),
            max_rss_bytes: used.max_rss_bytes,
            minor_faults: used.minor_faults,
            major_faults: used.major_faults,
            voluntary_switches: used.voluntary_switches,
            involuntary_switches: used.involuntary_switches,
            blocks_read: used.blocks_read,
            blocks_written: used.blocks_written,
            tree_cpu_ns: known(usage.cpu_time.map(nanoseconds)),
            tree_memory_peak: known(usage.memory_peak),
            tree_oom_kills: known(usage.oom_kills),
            tree_processes_peak: known(usage.processes_peak),
            stopped: u32::from(info.stopped.is_some()),
            stop_signal: info.stopped.unwrap_or(0),
        }
    }
}

fn rung_value(rung: Rung) -> u32 {
    match rung {
        Rung::Process => COREPROC_RUNG_PROCESS,
        Rung::Group => COREPROC_RUNG_GROUP,
        Rung::Cgroup => COREPROC_RUNG_CGROUP,
    }
}
