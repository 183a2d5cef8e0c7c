//! Which process a PID names: numbers are reused, a start time in one boot is not.
//!
//! Everything here may be hidden; the results then say so. See proc(5), pid_namespaces(7); system calls: kill(2) with
//! signal 0.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{clock, file, pidfd, procfs};

/// The start of a process, as the kernel counts. Together with its PID it tells which process it is. It is exact, and
/// unaffected by changes of the clock.
///
/// ```
/// use coreproc::{DaemonEntry, Registry};
///
/// # fn main() -> coreproc::Result<()> {
/// # let directory = tempfile::tempdir().expect("a directory");
/// let registry = Registry::new(directory.path().join("daemons"));
/// let pid = std::process::id() as i32;
/// let entry = DaemonEntry { code: "shop".into(), daemon: "worker".into(), pid, ..Default::default() };
/// let entry = registry.register(&entry)?;
/// // It is filled in if /proc tells, and tells this process from a later one with the same PID.
/// if let Some(start) = entry.process {
///     assert!(start.ticks > 0 && !start.boot_id.is_empty());
/// }
/// # registry.unregister("shop", "worker")
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessStart {
    /// Clock ticks from the boot to its start: field 22 of `/proc/PID/stat`.
    pub ticks: u64,
    /// The boot: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// The PID namespace in which a PID counts: in another one the same number is another process, and in another boot it
/// names nothing.
///
/// ```
/// use coreproc::{DaemonEntry, PidNamespace, Registry};
///
/// # fn main() -> coreproc::Result<()> {
/// # let directory = tempfile::tempdir().expect("a directory");
/// let registry = Registry::new(directory.path().join("daemons"));
/// let pid = std::process::id() as i32;
/// let entry = DaemonEntry { code: "shop".into(), daemon: "worker".into(), pid, ..Default::default() };
/// let here: Option<PidNamespace> = registry.register(&entry)?.pid_namespace;
/// let listed = registry.get("shop", "worker")?.expect("it was registered");
/// assert_eq!(listed.pid_namespace, here);
/// # registry.unregister("shop", "worker")
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PidNamespace {
    /// The inode of `/proc/PID/ns/pid`.
    pub inode: u64,
    /// The boot: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// The process that a PID names now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// No process, or one that has ended and waits to be reaped.
    Gone,
    /// A process; with its start, in ticks since the boot, if that can be seen.
    Here(Option<u64>),
}

/// Looks at a PID.
pub(crate) fn presence(pid: i32) -> Presence {
    if pid <= 0 {
        return Presence::Gone;
    }
    if !procfs::is_ours() {
        return if exists(pid) { Presence::Here(None) } else { Presence::Gone };
    }
    match procfs::stat(pid) {
        Ok(stat) => match stat.split(' ').next() {
            Some("Z" | "X") => Presence::Gone,
            _ if is_thread(pid) => Presence::Gone,
            _ => Presence::Here(start_in(&stat)),
        },
        // Other users' processes may be hidden there.
        Err(_) if exists(pid) => Presence::Here(None),
        Err(_) => Presence::Gone,
    }
}

/// Returns when a process that lives started.
pub(crate) fn start_of(pid: i32) -> Option<ProcessStart> {
    match presence(pid) {
        Presence::Here(Some(ticks)) => Some(ProcessStart { ticks, boot_id: boot_id()? }),
        _ => None,
    }
}

/// Returns when the process of a pidfd, whose number is `pid`, started, whether or not it has ended since; None if that
/// cannot be seen, or cannot be shown to be its own. ESRCH if it has been reaped.
pub(crate) fn start_behind(pidfd: &OwnedFd, pid: i32) -> Result<Option<u64>, i32> {
    let ticks = if procfs::is_ours() { procfs::stat(pid).ok().and_then(|stat| start_in(&stat)) } else { None };
    // While it is unreaped, nothing else has its number: so the file that was read before is its own.
    match pidfd::is_unreaped(pidfd) {
        Some(true) => Ok(ticks),
        Some(false) => Err(libc::ESRCH),
        None => Ok(None),
    }
}

/// Finds the start in what [`procfs::stat`] returns.
fn start_in(stat: &str) -> Option<u64> {
    stat.split(' ').nth(19)?.parse().ok()
}

/// Returns the PID namespace of this process.
pub(crate) fn pid_namespace() -> Option<PidNamespace> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    let inode = link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()?;
    Some(PidNamespace { inode, boot_id: boot_id()? })
}

/// Returns whether a process runs as this user; None if that cannot be seen.
pub(crate) fn runs_as(pid: i32, user: u32) -> Option<bool> {
    if !procfs::is_ours() {
        return None;
    }
    let status = file::read_text(&format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    Some(users.split_ascii_whitespace().any(|one| one.parse() == Ok(user)))
}

/// Returns whether the process that this PID names here has a write lock on this file. A number in a file may be one of
/// another PID namespace, or of a process that has ended, but a lock in `/proc/PID/fdinfo` is its own. None: that
/// cannot be seen.
pub(crate) fn has_locked(pid: i32, facts: &file::Facts) -> Option<bool> {
    if !procfs::is_ours() {
        return None;
    }
    let names = fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()?;
    let mut all_seen = true;
    for name in names {
        let Ok(name) = name else { return None };
        let fd = name.file_name().to_string_lossy().into_owned();
        match file::read_text(&format!("/proc/{pid}/fdinfo/{fd}")) {
            // lock: 1: OFDLCK ADVISORY WRITE -1 08:01:1234 0 EOF
            Ok(text) if has_write_lock(&text, facts.inode()) => {
                // The device in fdinfo need not be that of stat(2), so the file itself is looked at.
                match file::look_through(Path::new(&format!("/proc/{pid}/fd/{fd}"))) {
                    Ok(open) if open.is_same_file(facts) => return Some(true),
                    Ok(_) => {}
                    Err(_) => all_seen = false,
                }
            }
            // The file is another, or was closed meanwhile.
            Ok(_) | Err(libc::ENOENT) => {}
            Err(_) => all_seen = false,
        }
    }
    all_seen.then_some(false)
}

fn has_write_lock(fdinfo: &str, inode: u64) -> bool {
    let suffix = format!(":{inode}");
    fdinfo.lines().filter_map(|line| line.strip_prefix("lock:")).any(|lock| {
        let mut words = lock.split_ascii_whitespace().skip_while(|word| *word != "WRITE");
        words.next().is_some() && words.nth(1).is_some_and(|place| place.ends_with(&suffix))
    })
}

/// Returns the id of this boot.
pub(crate) fn boot_id() -> Option<String> {
    let text = file::read_text("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned())
}

/// Ticks since the boot as nanoseconds since the epoch, by the clock as it is set now.
pub(crate) fn realtime_ns(ticks: u64) -> i128 {
    clock::boot_realtime_ns() + i128::from(ticks) * 1_000_000_000 / i128::from(clock::ticks_per_second())
}

/// Returns whether a number names a thread that is not the leader of its process: /proc shows those too, if they are
/// asked for by number.
fn is_thread(pid: i32) -> bool {
    let status = file::read_text(&format!("/proc/{pid}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.is_some_and(|group| group.trim().parse() != Ok(pid))
}

fn exists(pid: i32) -> bool {
    // SAFETY: takes no pointers; signal 0 only asks.
    unsafe { libc::kill(pid, 0) == 0 || super::errno() == libc::EPERM }
}
