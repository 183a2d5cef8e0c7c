//! The limits of a cgroup, and what its processes have used. Both are files of controllers, which the directory above
//! has to enable for it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::files::{open_directory, read_at, value, write_at};
use super::place::Missing;

/// The limits of all processes in a cgroup together. None: not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeLimits {
    /// Bytes of memory: `memory.max`.
    pub(crate) memory: Option<u64>,
    /// Processes and threads: `pids.max`.
    pub(crate) processes: Option<u64>,
    /// Thousandths of a processor: `cpu.max`.
    pub(crate) cpu: Option<u32>,
}

/// What the processes of a cgroup have used so far, those that have ended included. A figure is None if its controller
/// is not enabled for the cgroup, or the kernel does not tell it.
///
/// ```
/// use coreproc::{Command, Containment, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let mut command = Command::new("true");
/// let info = command.contain(Containment::Prefer).spawn(&service)?.wait(None)?;
/// if let Some(usage) = info.usage {
///     println!("CPU time {:?}, memory at most {:?} bytes", usage.cpu_time, usage.memory_peak);
/// }
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time: `cpu.stat`.
    pub cpu_time: Option<Duration>,
    /// The most memory that was in use at once, in bytes: `memory.peak` (Linux 5.19).
    pub memory_peak: Option<u64>,
    /// How many processes the kernel has killed because the memory limit was reached: `memory.events`.
    pub oom_kills: Option<u64>,
    /// The most processes and threads at once: `pids.peak` (Linux 6.6).
    pub processes_peak: Option<u64>,
}

impl TreeLimits {
    pub(crate) fn is_empty(&self) -> bool {
        *self == TreeLimits::default()
    }

    /// Returns the controllers that have to be enabled, with the file and the text of each limit.
    fn files(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> {
        const PERIOD_US: u64 = 100_000;
        let cpu = self.cpu.map(|cpu| format!("{} {PERIOD_US}", u64::from(cpu) * PERIOD_US / 1000));
        let memory = self.memory.map(|bytes| ("memory", "memory.max", bytes.to_string()));
        let processes = self.processes.map(|count| ("pids", "pids.max", count.to_string()));
        [memory, processes, cpu.map(|text| ("cpu", "cpu.max", text))].into_iter().flatten()
    }

    /// Enables the controllers for the directories below `base`, as far as they are not.
    pub(super) fn enable(&self, base: &Path) -> std::result::Result<(), Missing> {
        if self.is_empty() {
            return Ok(());
        }
        let failed = |errno| Missing::failed(base, "open", errno);
        let directory = open_directory(base).map_err(failed)?;
        let available = read_at(&directory, "cgroup.controllers").map_err(failed)?;
        let enabled = read_at(&directory, "cgroup.subtree_control").map_err(failed)?;
        let has = |list: &str, name| list.split_ascii_whitespace().any(|known| known == name);
        for (controller, _, _) in self.files() {
            if has(&enabled, controller) {
                continue;
            }
            if !has(&available, controller) {
                return Err(Missing::new(format!("the controller {controller:?} is not available in {base:?}")));
            }
            write_at(&directory, "cgroup.subtree_control", format!("+{controller}").as_bytes()).map_err(|errno| {
                let why = match errno {
                    libc::EBUSY | libc::EOPNOTSUPP => "processes are in it, the host among them".to_owned(),
                    errno => crate::error::describe_errno(errno),
                };
                let what = format!("the controller {controller:?} cannot be enabled below {base:?}: {why}");
                Missing { errno: Some(errno), what }
            })?;
        }
        Ok(())
    }

    /// Sets the limits of an empty cgroup.
    pub(super) fn apply(&self, directory: &OwnedFd) -> std::result::Result<(), Missing> {
        self.files().try_for_each(|(_, file, text)| {
            write_at(directory, file, text.as_bytes())
                .map_err(|errno| Missing::failed(Path::new(file), &format!("write {text:?} to"), errno))
        })
    }
}

/// Reads what the processes of a cgroup have used.
pub(super) fn usage(directory: &OwnedFd) -> Usage {
    let number = |file| read_at(directory, file).ok()?.trim().parse().ok();
    let named = |file, name| value(&read_at(directory, file).ok()?, name);
    Usage {
        cpu_time: named("cpu.stat", "usage_usec").map(Duration::from_micros),
        memory_peak: number("memory.peak"),
        oom_kills: named("memory.events", "oom_kill"),
        processes_peak: number("pids.peak"),
    }
}
