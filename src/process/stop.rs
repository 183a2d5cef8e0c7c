//! The stop policy: steps of a signal and a grace period each; and which processes a signal reaches.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::fork::Renewed;
use crate::sys::signal;

/// Which processes get a signal.
///
/// ```
/// use coreproc::{Command, Scope, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn(&service)?;
/// // The shell and its child.
/// process.signal(15, Scope::Group)?;
/// assert!(!process.wait(None)?.drain_bound);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// For kill and stop: the tree if the command asks for a containment ([`Command::contain`](crate::Command::contain)),
    /// else the group if the process leads one of its own, else the process. For signal: the process.
    #[default]
    Default,
    /// The process alone.
    Process,
    /// The process group that it leads.
    Group,
    /// The process and all that it has started, directly or not: each process in its cgroup if it has one, even after
    /// the process itself is closed. Otherwise its group, if it leads one, and its descendants as far as /proc shows
    /// them: a process whose parent has ended is not found unless it is in the group;
    /// [`Process::tree`](crate::Process::tree) names what got away.
    Tree,
}

/// How to stop a process in the usual way: a signal, a grace period, SIGKILL. [`StopPolicy`] is the general form.
///
/// ```
/// use coreproc::{Cause, Command, Service, ServiceOptions, StopOptions};
/// use std::time::Duration;
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sh").args(["-c", "trap '' TERM; sleep 60"]).spawn(&service)?;
/// process.stop(Some(&StopOptions { grace: Some(Duration::from_millis(100)), ..StopOptions::default() }))?;
/// assert_eq!(process.wait(None)?.ending.map(|ending| ending.cause), Some(Cause::Stopped));
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopOptions {
    /// The first signal.
    pub signal: i32,
    /// The time until SIGKILL; None: only a further stop sends it.
    pub grace: Option<Duration>,
    /// Which processes are stopped.
    pub scope: Scope,
}

impl Default for StopOptions {
    /// Returns SIGTERM, five seconds, [`Scope::Default`].
    fn default() -> StopOptions {
        StopOptions { signal: libc::SIGTERM, grace: Some(Duration::from_secs(5)), scope: Scope::Default }
    }
}

impl StopOptions {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        check_signal(operation, self.signal)
    }
}

/// One step of a [`StopPolicy`].
///
/// ```
/// use coreproc::{StopOptions, StopPolicy, StopStep};
///
/// let [first, last] = StopPolicy::from(StopOptions::default()).steps.try_into().unwrap();
/// assert_eq!((first.signal, first.grace), (15, Some(std::time::Duration::from_secs(5))));
/// assert_eq!(last, StopStep { signal: 9, grace: None });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStep {
    /// The signal.
    pub signal: i32,
    /// The time until the next step; None: only a further stop leads to it. The last step's has no meaning.
    pub grace: Option<Duration>,
}

/// How to stop a process: one signal after another, until it has ended.
///
/// SIGCONT follows each signal that a stopped process would not act on. A further stop moves to the next step at once;
/// at the last step it sends the last signal again, unless that is SIGKILL.
///
/// ```
/// use coreproc::{Command, ExitStatus, Scope, Service, ServiceOptions, StopPolicy, StopStep};
/// use std::time::Duration;
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sh").args(["-c", "trap '' INT TERM; echo; sleep 60"]).spawn(&service)?;
/// let step = |signal| StopStep { signal, grace: Some(Duration::from_millis(50)) };
/// // Ctrl-C, then SIGTERM, then SIGKILL.
/// let policy = StopPolicy { scope: Scope::Group, steps: vec![step(2), step(15), step(9)] };
/// process.stop_by(&policy)?;
/// # // It may end before it has set its traps.
/// assert!(matches!(process.wait(None)?.status(), Some(ExitStatus::Signal { .. })));
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopPolicy {
    /// Which processes get the signals.
    pub scope: Scope,
    /// The steps, at least one. None follows SIGKILL.
    pub steps: Vec<StopStep>,
}

impl Default for StopPolicy {
    /// Returns the policy of [`StopOptions::default`].
    fn default() -> StopPolicy {
        StopOptions::default().into()
    }
}

impl From<StopOptions> for StopPolicy {
    fn from(StopOptions { signal, grace, scope }: StopOptions) -> StopPolicy {
        let mut steps = vec![StopStep { signal, grace }];
        if signal != libc::SIGKILL {
            steps.push(StopStep { signal: libc::SIGKILL, grace: None });
        }
        StopPolicy { scope, steps }
    }
}

impl StopPolicy {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let Some((last, before)) = self.steps.split_last() else {
            return Err(Error::invalid(operation, "steps: is empty"));
        };
        for (index, step) in before.iter().chain([last]).enumerate() {
            check_signal(operation, step.signal)
                .map_err(|error| Error::invalid(operation, format!("steps[{index}].signal: {}", error.cause())))?;
        }
        match before.iter().position(|step| step.signal == libc::SIGKILL) {
            Some(index) => Err(Error::invalid(operation, format!("steps[{}]: nothing can follow SIGKILL", index + 1))),
            None => Ok(()),
        }
    }

    /// Returns the default policy, which all commands share.
    pub(super) fn shared_default() -> Arc<StopPolicy> {
        static DEFAULT: Renewed<Arc<StopPolicy>> = Renewed::new();
        Arc::clone(DEFAULT.get(Arc::default))
    }

    /// Returns the policy for many to share: bindings make a command for each process, and mostly with the same policy,
    /// which an idle child then need not have of its own.
    pub(super) fn shared(self) -> Arc<StopPolicy> {
        static LAST: Renewed<Mutex<Option<Arc<StopPolicy>>>> = Renewed::new();
        // Not shared while another thread looks, so that no fork can leave the lock taken.
        let Ok(mut last) = LAST.get(|| Mutex::new(None)).try_lock() else { return Arc::new(self) };
        match &*last {
            Some(known) if **known == self => Arc::clone(known),
            _ => Arc::clone(last.insert(Arc::new(self))),
        }
    }
}

/// Checks that a signal can be sent. 0 only probes, and is refused.
pub(crate) fn check_signal(operation: &'static str, number: i32) -> Result<()> {
    if signal::is_valid(number) {
        return Ok(());
    }
    Err(Error::invalid(operation, format!("{number} is not a signal number (1 to {})", signal::MAX)))
}
