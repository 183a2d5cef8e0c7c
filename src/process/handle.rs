//! [`ProcessHandle`]: a process that was found by its identity, child or not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::identity::ProcessIdentity;
use super::stop::{Scope, check_signal};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, is_in_callback};
use crate::sys::clock::whole_ms;
use crate::sys::deliver::{self, Target, Undelivered};
use crate::sys::descriptor::Guarded;
use crate::sys::fork::{self, Generation};
use crate::sys::pidfd::{self, ExitStatus, Told, Until};

/// A process that was found again by its [`ProcessIdentity`]; any, not only a child. Thread-safe. It is a pidfd: it
/// names this process for good, whatever becomes of its number.
///
/// It never reaps: if the process is a child, of this program or another, its parent still gets the status. Dropping it
/// does nothing to the process.
///
/// ```
/// use coreproc::{ProcessIdentity, Scope, ErrorKind};
/// use std::time::Duration;
///
/// # fn main() -> coreproc::Result<()> {
/// let me = ProcessIdentity::of_pid(std::process::id() as i32)?.open()?;
/// assert!(!me.has_ended()? && me.exit_status()?.is_none());
/// me.signal(0, Scope::Process)?;
/// assert_eq!(me.wait(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::TimedOut);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ProcessHandle {
    pidfd: Guarded,
    identity: ProcessIdentity,
    made: Generation,
}

impl ProcessIdentity {
    /// Finds the process (`pidfd_open(2)`), and shows that it is this one before it returns: what is opened is never
    /// another process that has got the number since. No privilege is needed, and the process may be another user's.
    ///
    /// # Errors
    ///
    /// `NotFound` if it has ended and was reaped. `InvalidArgument` if it is of another boot or of another PID namespace;
    /// the message says of which. `Unsupported` if that cannot be told: without `pidfd_open(2)`, or without /proc.
    pub fn open(&self) -> Result<ProcessHandle> {
        const OPERATION: &str = "open process";
        fork::check(OPERATION)?;
        let lost = |errno| Error::system(OPERATION, "fstat", errno);
        Ok(ProcessHandle {
            pidfd: Guarded::new(self.find()?).map_err(lost)?,
            identity: self.clone(),
            made: Generation::now(),
        })
    }
}

impl ProcessHandle {
    /// Returns what it was found by.
    pub fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Returns the process in which it was opened.
    pub(crate) fn made(&self) -> Generation {
        self.made
    }

    /// Returns its PID; may be another process's once this one has ended.
    pub fn pid(&self) -> i32 {
        self.identity.pid()
    }

    /// Returns its pidfd, for event loops: it is readable once the process has ended. It is the handle's own.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Returns whether it has ended, reaped or not.
    pub fn has_ended(&self) -> Result<bool> {
        Ok(pidfd::has_ended(self.checked("has ended")?))
    }

    /// Returns how it ended; None while it runs.
    ///
    /// The status of a child of this program is known until the program reaps it (`waitid(2)` with WNOWAIT). That of any
    /// other process is known once its parent has reaped it, if the kernel keeps it (Linux 6.15, PIDFD_GET_INFO); until
    /// then, and on older kernels, it is [`ExitStatus::Unknown`].
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        Ok(pidfd::end_of(self.checked("exit status")?).map(Told::status))
    }

    /// Waits until it has ended (`poll(2)`), and returns how: see [`ProcessHandle::exit_status`]. None waits for ever,
    /// zero only looks. If its parent has still to reap it before the kernel tells, that is waited for as well, but not
    /// longer than 0.1 s, and within `timeout`.
    ///
    /// # Errors
    ///
    /// `TimedOut` if it has not ended in time. `Deadlock` inside a callback, if it would wait. `System` if the host has
    /// closed the descriptor.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<ExitStatus> {
        const OPERATION: &str = "wait";
        let pidfd = self.checked(OPERATION)?;
        let deadline = Deadline::after(timeout);
        if !self.wait_until(OPERATION, pidfd, Until::Ended, deadline)? {
            return Err(self.error(ErrorKind::TimedOut, OPERATION, "it has not ended in time"));
        }
        let told = pidfd::end_of(pidfd);
        if !matches!(told, Some(Told::NotYet)) || is_in_callback() {
            return Ok(told.map_or(ExitStatus::Unknown, Told::status));
        }
        self.wait_until(OPERATION, pidfd, Until::Reaped, deadline.or_after(UNTIL_REAPED))?;
        Ok(pidfd::end_of(pidfd).map_or(ExitStatus::Unknown, Told::status))
    }

    fn wait_until(&self, operation: &'static str, pidfd: &OwnedFd, until: Until, deadline: Deadline) -> Result<bool> {
        let failed = |errno| Error::system(operation, "poll", errno).on(self.subject());
        loop {
            let left = if is_in_callback() { Some(Duration::ZERO) } else { deadline.left() };
            if pidfd::wait_until(pidfd, until, left.map_or(-1, whole_ms)).map_err(failed)? {
                return Ok(true);
            }
            if deadline.is_over() {
                return Ok(false);
            }
            if is_in_callback() {
                return Err(self.error(ErrorKind::Deadlock, operation, "would wait inside a callback"));
            }
        }
    }

    /// Sends a signal (`pidfd_send_signal(2)`); 0 only probes. [`Scope::Default`] is the process. [`Scope::Group`] is the
    /// process group that it leads, also after it has ended itself. It reaches no other process or group.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a number that is no signal. `NotRunning` once it has ended, or if it leads no group with a
    /// process in it. `PermissionDenied` if the kernel refuses. `Unsupported` for a group before Linux 6.9, and if a
    /// filter forbids the call.
    pub fn signal(&self, signal: i32, scope: Scope) -> Result<()> {
        const OPERATION: &str = "signal";
        let pidfd = self.checked(OPERATION)?;
        if signal != 0 {
            check_signal(OPERATION, signal)?;
        }
        let target = if scope == Scope::Group { Target::Group } else { Target::Process };
        let ended = || self.error(ErrorKind::NotRunning, OPERATION, "it has ended");
        if target == Target::Process && pidfd::has_ended(pidfd) {
            return Err(ended());
        }
        deliver::send_by_pidfd(pidfd, signal, target).map_err(|undelivered| match (undelivered, target) {
            (Undelivered::Errno(libc::ESRCH), Target::Process) => ended(),
            (Undelivered::Errno(libc::ESRCH), Target::Group) => {
                self.error(ErrorKind::NotRunning, OPERATION, "it leads no process group with a process in it")
            }
            (Undelivered::Errno(errno), _) => Error::system(OPERATION, "", errno).on(self.subject()),
            (Undelivered::Unproven, Target::Process) => {
                let cause = "this kernel, or a filter, has no pidfd_send_signal(2) (Linux 5.1)";
                self.error(ErrorKind::Unsupported, OPERATION, cause)
            }
            (Undelivered::Unproven, Target::Group) => {
                let cause = "this kernel, or a filter, cannot signal a group by pidfd (Linux 6.9)";
                self.error(ErrorKind::Unsupported, OPERATION, cause)
            }
        })
    }

    /// Returns the descriptor for a call.
    fn checked(&self, operation: &'static str) -> Result<&OwnedFd> {
        self.made.check(operation)?;
        self.pidfd.get().map_err(|errno| {
            Error::system(operation, "", errno).because("the host has closed its descriptor").on(self.subject())
        })
    }

    fn subject(&self) -> String {
        format!("PID {}", self.pid())
    }

    fn error(&self, kind: ErrorKind, operation: &'static str, cause: &str) -> Error {
        Error::new(kind, operation, cause).on(self.subject())
    }
}

impl AsFd for ProcessHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// How long a status is waited for that the kernel tells only after the reaping.
const UNTIL_REAPED: Duration = Duration::from_millis(100);
