//! The things that a process holds: file descriptors, threads, children. This is only for hosts of their own, in which
//! nothing else runs.

use super::{eventually, os};
use std::collections::BTreeMap;
use std::fs;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    pub fds: BTreeMap<i32, String>,
    pub threads: usize,
    pub childless: bool,
}

impl Census {
    pub fn take() -> Census {
        Census { fds: fds(), threads: thread_count(), childless: os::has_no_child() }
    }

    /// Waits until everything is as it was before: threads and handles end in their own time.
    #[track_caller]
    pub fn assert_restored(&self, after: &str) {
        let mut now = Census::take();
        let deadline = std::time::Instant::now() + super::GUARD;
        while now != *self {
            assert!(std::time::Instant::now() < deadline, "leaked after {after}:\nbefore {self:?}\nafter  {now:?}");
            std::thread::sleep(std::time::Duration::from_millis(1));
            now = Census::take();
        }
        println!(
            "census after {after}: leaked fds 0, zombies 0, threads 0 (fds {}, threads {})",
            self.fds.len(),
            self.threads
        );
    }
}

pub fn fds() -> BTreeMap<i32, String> {
    let own = format!("/proc/{}/fd", std::process::id());
    fs::read_dir("/proc/self/fd")
        .expect("/proc/self/fd")
        .flatten()
        .filter_map(|entry| {
            let fd = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            (target != own).then_some((fd, target))
        })
        .collect()
}

pub fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").expect("/proc/self/task").count()
}

/// Waits until every service and its thread have ended: the threads of the test and of the harness are left.
pub fn wait_serviceless() {
    eventually("every service has ended", || {
        thread_count() == 2 && !fds().values().any(|target| target.contains("eventpoll"))
    });
}

/// Returns a field of /proc/self/task/TID/status for each thread whose name starts with "coreproc-", by TID and name.
pub fn of_library_threads(field: &str) -> BTreeMap<(u32, String), String> {
    let mut values = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").expect("/proc/self/task").flatten() {
        let Some(tid) = task.file_name().to_str().and_then(|t| t.parse().ok()) else { continue };
        let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
        let get = |key: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
                .unwrap_or_else(|| panic!("no {key}"))
        };
        let name = get("Name");
        if name.starts_with("coreproc-") {
            values.insert((tid, name), get(field));
        }
    }
    values
}

/// Returns the voluntary and other context switches of each thread of the library.
pub fn switches() -> BTreeMap<(u32, String), (String, String)> {
    let other = of_library_threads("nonvoluntary_ctxt_switches");
    of_library_threads("voluntary_ctxt_switches")
        .into_iter()
        .map(|(thread, count)| {
            let both = (count, other.get(&thread).cloned().unwrap_or_default());
            (thread, both)
        })
        .collect()
}

/// Returns a figure of /proc/self/status in kilobytes, such as "VmRSS" or "VmHWM".
pub fn memory_kb(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
        .expect("a figure in kB")
}

/// Sets the peak figure (VmHWM) back to the present one.
pub fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("clear_refs");
}

pub fn wait_childless() {
    eventually("no child is left, not even a zombie", os::has_no_child);
}

/// Runs `command`, and waits until only what a service keeps for later children is left.
pub fn warm_up(service: &coreproc::Service, command: &coreproc::Command) {
    let before = fds();
    super::run(service, command);
    wait_childless();
    eventually("the first child is forgotten", || {
        fds().iter().all(|(fd, target)| before.contains_key(fd) || target.contains("inotify"))
    });
}

/// Does the same for a detached child that lives long enough to be followed.
pub fn warm_up_detached(service: &coreproc::Service) {
    let mut talk = super::fifo::Talk::new();
    let before = fds();
    let mut command = talk.tool("notify INBOX up await GATE");
    let followed = command.detach().spawn(service).expect("spawn");
    talk.inbox.expect("up");
    talk.gate.open(1);
    super::finish(&followed);
    wait_childless();
    eventually("the followed child is forgotten", || {
        fds().iter().all(|(fd, target)| before.contains_key(fd) || target.contains("inotify"))
    });
}
