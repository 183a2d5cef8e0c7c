//! Signals to a child and its group, and how a stop goes on.

use std::sync::Arc;

use super::{Child, Inner, Stopping, nanoseconds};
use crate::error::{Error, ErrorKind, Result};
use crate::event::event::Cause;
use crate::event::wait::lock;
use crate::process::stop::{Scope, StopOptions, check_signal};
use crate::sys::clock::monotonic_ns;
use crate::sys::pidfd::{self, Target};
use crate::sys::procfs;

impl Child {
    fn target(&self, operation: &'static str, scope: Scope, default: Target) -> Result<Target> {
        match scope {
            Scope::Default if default == Target::Group && self.leads_group => Ok(Target::Group),
            Scope::Default | Scope::Process => Ok(Target::Process),
            Scope::Group if self.leads_group => Ok(Target::Group),
            Scope::Group => Err(Error::invalid(operation, "scope: the process does not lead a group of its own")),
        }
    }

    pub(super) fn not_running(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::NotRunning, operation, "it has ended").on(format!("process {}", self.id))
    }

    /// Sends a signal if the target can still be named without doubt.
    fn send(&self, inner: &Inner, operation: &'static str, signal: i32, target: Target) -> Result<()> {
        let reachable = match target {
            Target::Process => !inner.has_ended(),
            Target::Group => !inner.has_ended() || inner.unreaped || pidfd::group_signals_work(),
        };
        let Some(pidfd) = inner.pidfd.as_ref().filter(|_| reachable) else {
            return Err(self.not_running(operation));
        };
        let sent = match pidfd::send(pidfd, self.pid, signal, target) {
            // It left its group, which is empty now: it is still the one to be reached.
            Err(libc::ESRCH) if !inner.has_ended() => pidfd::send(pidfd, self.pid, signal, Target::Process),
            other => other,
        };
        sent.map_err(|errno| match errno {
            libc::ESRCH => self.not_running(operation),
            errno => Error::system(operation, "", errno).on(format!("process {}", self.id)),
        })
    }

    pub(crate) fn signal(&self, signal: i32, scope: Scope) -> Result<()> {
        const OPERATION: &str = "signal";
        if signal != 0 {
            check_signal(OPERATION, signal)?;
        }
        let target = self.target(OPERATION, scope, Target::Process)?;
        self.send(&lock(&self.inner), OPERATION, signal, target)
    }

    pub(crate) fn kill(&self, scope: Scope) -> Result<()> {
        const OPERATION: &str = "kill";
        let target = self.target(OPERATION, scope, Target::Group)?;
        let mut inner = lock(&self.inner);
        self.send(&inner, OPERATION, libc::SIGKILL, target)?;
        if !inner.has_ended() {
            inner.intent.get_or_insert(Cause::Killed);
        }
        Ok(())
    }

    /// Starts a stop, or moves a running one to its last step. Fine when the process has ended.
    pub(crate) fn stop(self: &Arc<Self>, options: Option<&StopOptions>, cause: Cause) -> Result<()> {
        let options = options.unwrap_or(&self.stop);
        options.check("stop")?;
        self.target("stop", options.scope, Target::Group)?;
        let mut inner = lock(&self.inner);
        let result = match &inner.stopping {
            Some(stopping) if !stopping.killed => {
                self.kill_now(&mut inner);
                Ok(())
            }
            Some(_) => Ok(()),
            None => self.begin_stop(&mut inner, options, cause),
        };
        self.finish(inner);
        match result {
            Err(error) if error.kind() == ErrorKind::NotRunning => Ok(()),
            other => other,
        }
    }

    pub(super) fn begin_stop(&self, inner: &mut Inner, options: &StopOptions, cause: Cause) -> Result<()> {
        const FIRST_LOOK: u64 = 5_000_000;
        let target = self.target("stop", options.scope, Target::Group)?;
        if inner.stopping.is_some() {
            return Ok(());
        }
        self.send(inner, "stop", options.signal, target)?;
        if !inner.has_ended() {
            inner.intent.get_or_insert(cause);
        }
        let now = monotonic_ns();
        inner.stopping = Some(Box::new(Stopping {
            target,
            kill_at: options.grace.map(|grace| now.saturating_add(nanoseconds(grace))),
            killed: options.signal == libc::SIGKILL,
            look_at: now,
            interval: FIRST_LOOK,
            gone: None,
        }));
        Ok(())
    }

    pub(super) fn kill_now(&self, inner: &mut Inner) {
        if let Some(target) = inner.stopping.as_ref().map(|stopping| stopping.target) {
            // Nobody left to kill is what a stop wants.
            let _ = self.send(inner, "stop", libc::SIGKILL, target);
        }
        if let Some(stopping) = &mut inner.stopping {
            stopping.killed = true;
        }
    }

    /// After the leader's exit: does a stop still have something to do? A group is stopped when it is empty
    /// or was killed; that it is empty nothing reports, so it is looked at, ever less often.
    pub(super) fn stop_is_settled(&self, inner: &mut Inner) -> bool {
        const LONGEST: u64 = 200_000_000;
        let Some(stopping) = &inner.stopping else { return true };
        let waits_for_group = stopping.target == Target::Group && !stopping.killed && stopping.kill_at.is_some();
        let now = monotonic_ns();
        if waits_for_group && (stopping.look_at > now || self.group_lives(inner)) {
            if let Some(stopping) = &mut inner.stopping
                && stopping.look_at <= now
            {
                stopping.look_at = now + stopping.interval;
                stopping.interval = (stopping.interval * 2).min(LONGEST);
            }
            return false;
        }
        inner.stopping = None;
        true
    }

    /// Has the group of an ended leader any member left that has not ended?
    fn group_lives(&self, inner: &mut Inner) -> bool {
        /// Zombies answer a signal, too, and where nobody reaps orphans (a container whose first process does not) they
        /// stay. Before /proc is asked, whoever reaps has had so long.
        const PATIENCE: u64 = 160_000_000;
        if inner.unreaped {
            // The leader itself would answer a signal.
            return procfs::group_has_others(self.pid);
        }
        if self.send(inner, "stop", 0, Target::Group).is_err() {
            return false;
        }
        let Some(stopping) = inner.stopping.as_mut().filter(|stopping| stopping.interval >= PATIENCE) else {
            return true;
        };
        // A single pass can miss one that was forked behind its back.
        let before = std::mem::replace(&mut stopping.gone, self.supervisor.pass_without(self.pid));
        stopping.gone.is_none() || before.is_none() || before == stopping.gone
    }
}
