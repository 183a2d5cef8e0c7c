//! Signals to a child and its group, and how a stop goes on.

use std::sync::Arc;

use super::{Child, Inner, Refused, Stopping, nanoseconds};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Cause;
use crate::process::stop::{Scope, StopOptions, check_signal};
use crate::runtime::lock;
use crate::sys::clock::monotonic_ns;
use crate::sys::deliver::{self, Recipient, Target, Undelivered};
use crate::sys::{procfs, signal};

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
        let reachable = target == Target::Group || !inner.has_ended();
        let Some(pidfd) = inner.pidfd.as_ref().filter(|_| reachable) else {
            return Err(self.not_running(operation));
        };
        let stopping = inner.stopping.as_ref().filter(|stopping| stopping.target == target);
        let address = stopping.and_then(|stopping| stopping.address.as_ref());
        let to = Recipient { pidfd, pid: self.pid, target, address };
        let sent = match deliver::send(to, signal) {
            // It left its group, which is empty now: it is still the one to be reached.
            Err(Undelivered::Errno(libc::ESRCH)) if !inner.has_ended() => {
                deliver::send(Recipient { target: Target::Process, address: None, ..to }, signal)
            }
            other => other,
        };
        sent.map_err(|undelivered| match undelivered {
            Undelivered::Errno(libc::ESRCH) => self.not_running(operation),
            Undelivered::Errno(errno) => Error::system(operation, "", errno).on(format!("process {}", self.id)),
            Undelivered::Unproven => Error::new(
                ErrorKind::Unsupported,
                operation,
                "not sent: the host has reaped it, and this kernel cannot prove whose its number is now",
            )
            .on(format!("process {}", self.id)),
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

    /// Kills it, as [`Child::kill`], because its service closes: a refusal is told, and tried again until the kernel
    /// takes the signal.
    pub(crate) fn kill_for_good(self: &Arc<Self>) -> Result<()> {
        let result = self.kill(Scope::Default);
        let refused = result.as_ref().err().and_then(Error::errno);
        if let Some(errno) = refused {
            let mut inner = lock(&self.inner);
            if inner.stopping.is_none() {
                let target = self.target("kill", Scope::Default, Target::Group)?;
                let options = StopOptions { signal: libc::SIGKILL, grace: None, ..self.stop };
                inner.stopping = Some(self.new_stop(&inner, &options, target, Cause::Killed));
            }
            if let Some(stopping) = &mut inner.stopping {
                stopping.killed = true;
                stopping.refuse(errno);
            }
            self.finish(inner);
        }
        result
    }

    /// Starts a stop, or moves a running one to its last step. Fine when the process has ended.
    pub(crate) fn stop(self: &Arc<Self>, options: Option<&StopOptions>, cause: Cause) -> Result<()> {
        let options = options.unwrap_or(&self.stop);
        options.check("stop")?;
        self.target("stop", options.scope, Target::Group)?;
        let mut inner = lock(&self.inner);
        let result = match &inner.stopping {
            Some(stopping) if !stopping.killed => self.kill_now(&mut inner),
            Some(stopping) => match stopping.refused {
                Some(_) => self.deliver_step(&mut inner),
                None => Ok(()),
            },
            None => self.begin_stop(&mut inner, options, cause),
        };
        self.finish(inner);
        match result {
            Err(error) if error.kind() == ErrorKind::NotRunning => Ok(()),
            other => other,
        }
    }

    /// A refusal by the kernel is returned, and the stop goes on: the signal is tried again.
    pub(super) fn begin_stop(&self, inner: &mut Inner, options: &StopOptions, cause: Cause) -> Result<()> {
        let target = self.target("stop", options.scope, Target::Group)?;
        if inner.stopping.is_some() {
            return Ok(());
        }
        inner.stopping = Some(self.new_stop(inner, options, target, cause));
        let result = self.deliver_step(inner);
        if inner.stopping.as_ref().is_some_and(|stopping| result.is_err() && stopping.refused.is_none()) {
            // There is nobody to be stopped, or nobody who could be named.
            inner.stopping = None;
        }
        result
    }

    fn new_stop(&self, inner: &Inner, options: &StopOptions, target: Target, cause: Cause) -> Box<Stopping> {
        const FIRST_LOOK: u64 = 5_000_000;
        let now = monotonic_ns();
        Box::new(Stopping {
            target,
            cause,
            signal: options.signal,
            kill_at: options.grace.map(|grace| now.saturating_add(nanoseconds(grace))),
            killed: options.signal == libc::SIGKILL,
            refused: None,
            address: inner.pidfd.as_ref().and_then(|pidfd| deliver::address(pidfd, self.pid, target)),
            look_at: now,
            interval: FIRST_LOOK,
            gone: None,
        })
    }

    /// Sends the signal of the step that the stop has come to.
    fn deliver_step(&self, inner: &mut Inner) -> Result<()> {
        let Some(stopping) = &inner.stopping else { return Ok(()) };
        let (target, cause) = (stopping.target, stopping.cause);
        let signal = if stopping.killed { libc::SIGKILL } else { stopping.signal };
        let result = self.send(inner, "stop", signal, target);
        if result.is_ok() {
            if signal::leaves_stopped_what_is_stopped(signal) {
                // Also a stopped process is to act on it now.
                let _ = self.send(inner, "stop", libc::SIGCONT, target);
            }
            if !inner.has_ended() {
                inner.intent.get_or_insert(cause);
            }
        }
        if let Some(stopping) = &mut inner.stopping {
            match result.as_ref().err().and_then(Error::errno) {
                Some(errno) => stopping.refuse(errno),
                None => stopping.refused = None,
            }
        }
        result
    }

    /// Tries again what the kernel refused, once it is time.
    pub(super) fn retry_refused(&self, inner: &mut Inner, now: u64) {
        let refused = inner.stopping.as_ref().and_then(|stopping| stopping.refused);
        if refused.is_some_and(|refused| refused.again_at <= now) {
            // A further refusal is kept, too.
            let _ = self.deliver_step(inner);
        }
    }

    pub(super) fn kill_now(&self, inner: &mut Inner) -> Result<()> {
        if let Some(stopping) = &mut inner.stopping {
            stopping.killed = true;
        }
        self.deliver_step(inner)
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
        if !deliver::groups_have_pidfds() {
            // An unreaped leader itself would answer a signal.
            let can_be_reached = inner.unreaped || inner.stopping.as_ref().is_some_and(|stop| stop.address.is_some());
            return can_be_reached && procfs::group_has_others(self.pid);
        }
        match self.send(inner, "stop", 0, Target::Group) {
            Err(error) if error.kind() == ErrorKind::NotRunning => return false,
            // Members that have become another user's are there, too.
            _ => {}
        }
        let Some(stopping) = inner.stopping.as_mut().filter(|stopping| stopping.interval >= PATIENCE) else {
            return true;
        };
        // A single pass can miss one that was forked behind its back.
        let before = std::mem::replace(&mut stopping.gone, self.supervisor.pass_without(self.pid));
        stopping.gone.is_none() || before.is_none() || before == stopping.gone
    }
}

impl Stopping {
    /// The kernel refused a signal: it is tried again, ever less often.
    fn refuse(&mut self, errno: i32) {
        const FIRST: u64 = 50_000_000;
        const LONGEST: u64 = 1_000_000_000;
        let interval = self.refused.map_or(FIRST, |refused| (refused.interval * 2).min(LONGEST));
        self.refused = Some(Refused { errno, again_at: monotonic_ns().saturating_add(interval), interval });
    }
}
