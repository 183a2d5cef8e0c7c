//! Signals to a child and its group, the calls that end it, and how a stop goes on.

use std::sync::Arc;

use super::life::Life;
use super::stopping::{Reach, Stopping};
use super::{Child, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Cause;
use crate::process::options::CloseMode;
use crate::process::stop::{Scope, StopPolicy, StopStep, check_signal};
use crate::runtime::lock;
use crate::sys::clock::monotonic_ns;
use crate::sys::deliver::{self, Recipient, Target, Undelivered};
use crate::sys::{procfs, signal};

impl Child {
    /// Returns which processes a scope means. The default one of a signal is the process, that of kill and stop all that
    /// is held together.
    pub(super) fn reach(&self, operation: &'static str, scope: Scope, default: Reach) -> Result<Reach> {
        match scope {
            Scope::Default if default == Reach::Process => Ok(Reach::Process),
            Scope::Default if self.is_contained => Ok(Reach::Tree),
            Scope::Default if self.leads_group => Ok(Reach::Group),
            Scope::Default | Scope::Process => Ok(Reach::Process),
            Scope::Tree => Ok(Reach::Tree),
            Scope::Group if self.leads_group => Ok(Reach::Group),
            Scope::Group => Err(Error::invalid(operation, "scope: the process does not lead a group of its own")),
        }
    }

    pub(super) fn not_running(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::NotRunning, operation, "it has ended").on(format!("process {}", self.id))
    }

    fn send_to(&self, inner: &mut Inner, operation: &'static str, signal: i32, reach: Reach) -> Result<()> {
        match reach {
            Reach::Process => self.send(inner, operation, signal, Target::Process),
            Reach::Group => self.send(inner, operation, signal, Target::Group),
            Reach::Tree => self.send_to_tree(inner, operation, signal),
        }
    }

    /// Sends a signal if the target can still be named without doubt.
    pub(super) fn send(&self, inner: &Inner, operation: &'static str, signal: i32, target: Target) -> Result<()> {
        let ended = inner.life.has_ended();
        let Some(pidfd) = inner.life.pidfd().filter(|_| target == Target::Group || !ended) else {
            return Err(self.not_running(operation));
        };
        let address = inner.stopping.as_ref().and_then(|stopping| stopping.address_of(target));
        let to = Recipient { pidfd, pid: self.pid, target, address };
        let sent = match deliver::send(to, signal) {
            // It has left its group, which is empty now, and still has to be reached.
            Err(Undelivered::Errno(libc::ESRCH)) if !ended => {
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

    /// Sends a signal; 0 only probes.
    pub(crate) fn signal(&self, signal: i32, scope: Scope) -> Result<()> {
        const OPERATION: &str = "signal";
        if signal != 0 {
            check_signal(OPERATION, signal)?;
        }
        let reach = self.reach(OPERATION, scope, Reach::Process)?;
        self.send_to(&mut lock(&self.inner), OPERATION, signal, reach)
    }

    /// Sends SIGKILL, once.
    pub(crate) fn kill(&self, scope: Scope) -> Result<()> {
        const OPERATION: &str = "kill";
        let reach = self.reach(OPERATION, scope, Reach::Group)?;
        let mut inner = lock(&self.inner);
        self.send_to(&mut inner, OPERATION, libc::SIGKILL, reach)?;
        inner.life.intend(Cause::Killed);
        Ok(())
    }

    /// Keeps it from running, or lets it run on.
    pub(crate) fn pause(&self, scope: Scope, paused: bool) -> Result<()> {
        let (operation, signal) = if paused { ("pause", libc::SIGSTOP) } else { ("resume", libc::SIGCONT) };
        let reach = self.reach(operation, scope, Reach::Group)?;
        let mut inner = lock(&self.inner);
        match reach {
            Reach::Tree if inner.cgroup().is_some() => self.freeze(&mut inner, operation, paused),
            _ => self.send_to(&mut inner, operation, signal, reach),
        }
    }

    /// Kills it, as [`Child::kill`], because its service closes: a refusal is returned, and the signal is tried again
    /// until the kernel takes it.
    fn kill_for_good(self: &Arc<Self>) -> Result<()> {
        let result = self.kill(Scope::Default);
        let refused = result.as_ref().err().and_then(Error::errno);
        if let Some(errno) = refused {
            let reach = self.reach("kill", Scope::Default, Reach::Group)?;
            let mut inner = lock(&self.inner);
            if inner.stopping.is_none() {
                let last = StopStep { signal: libc::SIGKILL, grace: None };
                let policy = Arc::new(StopPolicy { scope: self.terms.stop.scope, steps: vec![last] });
                let stopping = Stopping::new(inner.life.pidfd(), self.pid, &policy, reach, Cause::Killed);
                inner.stopping = Some(Box::new(stopping));
            }
            if let Some(stopping) = &mut inner.stopping {
                stopping.kill();
                stopping.refuse(errno);
            }
            self.finish(inner);
        }
        result
    }

    /// Starts a stop, or moves a running one to its next step. Fine when the process has ended.
    pub(crate) fn stop(self: &Arc<Self>, policy: Option<StopPolicy>, cause: Cause) -> Result<()> {
        let policy = match policy {
            Some(policy) => Arc::new(policy),
            None => Arc::clone(&self.terms.stop),
        };
        policy.check("stop")?;
        self.reach("stop", policy.scope, Reach::Group)?;
        let mut inner = lock(&self.inner);
        let result = match &inner.stopping {
            Some(_) => self.stop_again(&mut inner),
            None => self.begin_stop(&mut inner, &policy, cause),
        };
        self.finish(inner);
        match result {
            Err(error) if error.kind() == ErrorKind::NotRunning => Ok(()),
            other => other,
        }
    }

    /// Ends it because its service closes; fine when it has ended.
    pub(in crate::process) fn end(self: &Arc<Self>, mode: CloseMode) -> Result<()> {
        let result = match mode {
            CloseMode::Leave => Ok(()),
            CloseMode::Stop => self.stop(None, Cause::Stopped),
            CloseMode::Kill => self.kill_for_good(),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::NotRunning => Ok(()),
            other => other,
        }
    }

    // The steps of a stop.

    /// Starts a stop, unless one goes on. A refusal by the kernel is returned, and the stop goes on: the signal is
    /// tried again.
    pub(super) fn begin_stop(&self, inner: &mut Inner, policy: &Arc<StopPolicy>, cause: Cause) -> Result<()> {
        let reach = self.reach("stop", policy.scope, Reach::Group)?;
        if inner.stopping.is_some() {
            return Ok(());
        }
        let stopping = Stopping::new(inner.life.pidfd(), self.pid, policy, reach, cause);
        inner.stopping = Some(Box::new(stopping));
        let result = self.deliver_step(inner);
        if result.is_err() && inner.stopping.as_ref().is_some_and(|stopping| stopping.refused().is_none()) {
            // There is no process to be stopped, or none that could be named.
            inner.stopping = None;
        }
        result
    }

    /// Moves a stop to its next step; at the last one, sends its signal again. SIGKILL is sent again only if the kernel
    /// refused it.
    fn stop_again(&self, inner: &mut Inner) -> Result<()> {
        let Some(stopping) = &mut inner.stopping else { return Ok(()) };
        if stopping.advance() || !stopping.kills() || stopping.refused().is_some() {
            return self.deliver_step(inner);
        }
        Ok(())
    }

    /// Does what is due for a stop. A refusal is kept, and tried again.
    pub(super) fn continue_stop(&self, inner: &mut Inner, now: u64) {
        if inner.stopping.as_ref().is_some_and(|stopping| stopping.retry_is_due(now)) {
            let _ = self.deliver_step(inner);
        }
        if let Some(stopping) = inner.stopping.as_mut().filter(|stopping| stopping.next_is_due(now)) {
            stopping.advance();
            let _ = self.deliver_step(inner);
        }
    }

    /// Sends the signal of the step that the stop has come to.
    fn deliver_step(&self, inner: &mut Inner) -> Result<()> {
        let Some(stopping) = &inner.stopping else { return Ok(()) };
        let (reach, cause, signal) = (stopping.reach(), stopping.cause(), stopping.signal());
        let result = self.send_to(inner, "stop", signal, reach);
        if result.is_ok() {
            if signal::leaves_stopped_what_is_stopped(signal) {
                // A process that is suspended has to act on it now, too.
                let _ = self.send_to(inner, "stop", libc::SIGCONT, reach);
                self.thaw(inner);
            }
            inner.life.intend(cause);
        }
        if let Some(stopping) = &mut inner.stopping {
            match result.as_ref().err().and_then(Error::errno) {
                Some(errno) => stopping.refuse(errno),
                None => stopping.accept(),
            }
        }
        result
    }

    /// Returns whether, after the leader's exit, no stop has anything left to do. A group is stopped when it is empty
    /// or was killed. No descriptor reports that it is empty, so it is looked at, ever less often.
    pub(super) fn stop_is_settled(&self, inner: &mut Inner) -> bool {
        let Some(stopping) = &inner.stopping else { return true };
        if stopping.waits_for_others() {
            let is_tree = stopping.reach() == Reach::Tree;
            let now = monotonic_ns();
            if !stopping.look_is_due(now) {
                return false;
            }
            if if is_tree { self.tree_lives(inner) } else { self.group_lives(inner) } {
                inner.stopping.iter_mut().for_each(|stopping| stopping.look_later(now));
                return false;
            }
        }
        if let Some(stopping) = inner.stopping.take() {
            inner.life.stop_settled(stopping.began(), monotonic_ns());
        }
        true
    }

    /// Returns whether the group of an ended leader has a member left that has not ended.
    pub(super) fn group_lives(&self, inner: &mut Inner) -> bool {
        if !deliver::groups_have_pidfds() {
            // An unreaped leader itself would answer a signal.
            let unreaped = matches!(inner.life, Life::Exited { unreaped: true, .. });
            let address = inner.stopping.as_ref().and_then(|stopping| stopping.address_of(Target::Group));
            return (unreaped || address.is_some()) && procfs::group_has_others(self.pid);
        }
        match self.send(inner, "stop", 0, Target::Group) {
            Err(error) if error.kind() == ErrorKind::NotRunning => return false,
            // Members that have become another user's are there, too.
            _ => {}
        }
        match inner.stopping.as_mut().filter(|stopping| stopping.asks_proc()) {
            Some(stopping) => !stopping.is_gone(self.reactor().pass_without(self.pid)),
            None => true,
        }
    }
}
