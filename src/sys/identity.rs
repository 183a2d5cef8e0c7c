//! Which process a PID names: numbers are reused, a start time in one boot is not.

use super::{clock, file};

/// When a process started, as the kernel counts: with its PID, which process it is. Exact and unaffected by clocks
/// that are set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessStart {
    /// Clock ticks from the boot to its start: field 22 of `/proc/PID/stat`.
    pub ticks: u64,
    /// The boot: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// What a PID names now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// No process, or one that has ended and waits to be reaped.
    Gone,
    /// A process; when it started, in ticks since the boot, where that can be seen.
    Here(Option<u64>),
}

/// Looks at a PID.
pub(crate) fn presence(pid: i32) -> Presence {
    if pid <= 0 {
        return Presence::Gone;
    }
    match file::read_text(&format!("/proc/{pid}/stat")) {
        Ok(stat) => {
            // pid (comm) state …; the name may hold anything.
            let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            let state = fields.next();
            let start = fields.nth(18).and_then(|ticks| ticks.parse().ok());
            match state {
                Some("Z" | "X") => Presence::Gone,
                _ if is_thread(pid) => Presence::Gone,
                _ => Presence::Here(start),
            }
        }
        // Other users' processes may be hidden there.
        Err(_) if exists(pid) => Presence::Here(None),
        Err(_) => Presence::Gone,
    }
}

/// When a process that lives started.
pub(crate) fn start_of(pid: i32) -> Option<ProcessStart> {
    match presence(pid) {
        Presence::Here(Some(ticks)) => Some(ProcessStart { ticks, boot_id: boot_id()? }),
        _ => None,
    }
}

/// This boot's id.
pub(crate) fn boot_id() -> Option<String> {
    let text = file::read_text("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned())
}

/// Ticks since the boot as nanoseconds since the epoch, by the clock as it is set now.
pub(crate) fn realtime_ns(ticks: u64) -> i128 {
    clock::boot_realtime_ns() + i128::from(ticks) * 1_000_000_000 / i128::from(ticks_per_second())
}

fn ticks_per_second() -> i64 {
    // SAFETY: takes no pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks } else { 100 }
}

/// A number that names a thread, but not the process it belongs to; /proc shows those too, to who asks for one.
fn is_thread(pid: i32) -> bool {
    let status = file::read_text(&format!("/proc/{pid}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.is_some_and(|group| group.trim().parse() != Ok(pid))
}

fn exists(pid: i32) -> bool {
    // SAFETY: takes no pointers; signal 0 only asks.
    unsafe { libc::kill(pid, 0) == 0 || super::errno() == libc::EPERM }
}
