//! A process that is bound to its host.

use super::Command;
use crate::sys::signal;

impl Command {
    /// Has the kernel send it this signal when the host dies, however that happens (PR_SET_PDEATHSIG): SIGKILL ends it
    /// for sure, another one lets it clean up. A host that dies while it starts takes it along.
    ///
    /// It reaches the process alone, not what it has started. Running a set-user-ID program, or one with capabilities
    /// of its own, undoes it. The processes of a service for which this is set are started one after another by a
    /// thread of the service, which lives as long as they do, because the kernel means the thread that started them
    /// when it says parent. What Linux keeps for each thread (namespaces, processors, nice value) the process has from
    /// that thread, which has it from the first one that spawned such a process. Not together with [`Command::detach`].
    ///
    /// ```
    /// use coreproc::{Command, ErrorKind, Service, ServiceOptions};
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let process = Command::new("true").die_with_host(9).spawn(&service)?;
    /// process.wait(None)?;
    /// let refused = Command::new("true").die_with_host(9).detach().spawn(&service);
    /// assert_eq!(refused.err().unwrap().kind(), ErrorKind::InvalidArgument);
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn die_with_host(&mut self, signal: i32) -> &mut Self {
        if signal::is_valid(signal) {
            self.die_with_host = Some(signal);
        } else {
            self.mistake("die with host", &format!("{signal} is no signal"));
        }
        self
    }

    /// Finds what contradicts a bound process.
    pub(super) fn bound_contradiction(&self) -> Option<(&'static str, &'static str)> {
        (self.detached && self.die_with_host.is_some())
            .then_some(("die with host", "a detached process outlives the host"))
    }
}
