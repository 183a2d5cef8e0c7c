//! How a command's process is held together with all that it starts.

use super::{Command, Group};
use crate::process::containment::{Containment, Rung};

impl Command {
    /// Sets by what means the process is held together with all that it starts. Without it, only its group is, if it
    /// leads one, and nothing is made for it.
    ///
    /// On the rung [`Rung::Cgroup`] the process begins in a cgroup of its own, which is made below the host's own cgroup
    /// in the v2 hierarchy and removed when the last process in it has ended. What its processes start is in it, too,
    /// whatever sessions and parents they give themselves. Only a process with the right to write to another cgroup gets
    /// out. If the host ends first, the directory stays as long as its processes; then the next host that makes one in
    /// the same place removes it.
    ///
    /// On the rungs below, the environment has a mark (`COREPROC_TREE`), by which [`Process::tree`] names what has left
    /// the tree. With any containment, the default scope of kill and stop is [`Scope::Tree`], so that of its timeout and
    /// of a close of its service as well.
    ///
    /// # Errors
    ///
    /// The spawn fails with `Unsupported` at the stage `contain` if it requires a cgroup and the system does not allow
    /// one: the error says which part is missing, and nothing was started.
    ///
    /// [`Process::tree`]: crate::Process::tree
    /// [`Scope::Tree`]: crate::Scope::Tree
    ///
    /// ```
    /// use coreproc::{Command, Containment, Rung, Service, ServiceOptions};
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "setsid sleep 60 & wait"]).contain(Containment::Prefer);
    /// let process = command.spawn(&service)?;
    /// process.stop(None)?;
    /// let info = process.wait(None)?;
    /// // Nothing can be left in a cgroup; otherwise whatever is left is named.
    /// if info.rung < Rung::Cgroup {
    ///     process.tree()?.iter().for_each(|member| println!("{} {}", member.pid, member.command));
    /// }
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn contain(&mut self, containment: Containment) -> &mut Self {
        self.containment = containment;
        self
    }

    /// Limits the memory of all its processes together, in bytes (`memory.max` of cgroup v2), `u64::MAX` for any: what more is asked for is
    /// reclaimed, and if that is not enough, the kernel kills ([`Usage::oom_kills`](crate::Usage)). Limits need a cgroup,
    /// whatever containment is asked for.
    ///
    /// # Errors
    ///
    /// The spawn fails with `Unsupported` at the stage `contain` if no cgroup can be made or the controller cannot be
    /// enabled for it, which the error names. A controller can be enabled if the host's cgroup is the root of the
    /// hierarchy, or if its parent has enabled it and no process is in it.
    pub fn memory_max(&mut self, bytes: u64) -> &mut Self {
        if bytes == 0 {
            return self.mistaken("memory max", "is zero");
        }
        self.tree_limits.memory = (bytes != u64::MAX).then_some(bytes);
        self
    }

    /// Limits how many processes and threads it may have at once, itself included (`pids.max` of cgroup v2),
    /// `u64::MAX` for any: a fork beyond them fails with EAGAIN.
    ///
    /// # Errors
    ///
    /// As for [`Command::memory_max`].
    pub fn processes_max(&mut self, count: u64) -> &mut Self {
        if count == 0 {
            return self.mistaken("processes max", "is zero");
        }
        self.tree_limits.processes = (count != u64::MAX).then_some(count);
        self
    }

    /// Limits the processor time of all its processes together, in thousandths of one processor (`cpu.max` of cgroup v2):
    /// 500 is half of one, 2000 are two. From 10 to 1,000,000; `u32::MAX` for any.
    ///
    /// # Errors
    ///
    /// As for [`Command::memory_max`].
    pub fn cpu_max(&mut self, thousandths: u32) -> &mut Self {
        if !(10..=1_000_000).contains(&thousandths) && thousandths != u32::MAX {
            return self.mistaken("cpu max", "is not from 10 to 1000000 thousandths of a processor");
        }
        self.tree_limits.cpu = (thousandths != u32::MAX).then_some(thousandths);
        self
    }

    /// Finds a containment that the command's group does not allow.
    pub(super) fn containment_contradiction(&self) -> Option<(&'static str, &'static str)> {
        let leads = self.detached || self.group != Group::Inherit;
        match self.containment {
            Containment::Require(Rung::Group | Rung::Process) if !self.tree_limits.is_empty() => {
                Some(("contain", "limits need a cgroup, and another rung is required"))
            }
            Containment::Require(Rung::Group) if !leads => Some(("contain", "the process would not lead a group")),
            Containment::Require(Rung::Process) if leads => Some(("contain", "the process would lead a group")),
            _ => None,
        }
    }
}
