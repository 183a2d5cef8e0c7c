//! A child's deadlines: its timeout and the others of its watchdog, the next step of a stop, the drain bound, and spools to be looked at again. The
//! loop knows the earliest of them.

use std::sync::Arc;

use super::life::Life;
use super::watchdog::Watchdog;
use super::{Child, Inner};
use crate::event::Cause;
use crate::runtime::{NEVER, lock};
use crate::sys::buffer::ReadBuffer;
use crate::sys::{pidfd, procfs};

impl Child {
    /// Handles a deadline that has come.
    pub(in crate::process) fn on_deadline(self: &Arc<Self>, now: u64, buffer: &mut ReadBuffer) {
        let mut inner = lock(&self.inner);
        inner.armed = NEVER;
        self.read_due_spools(&mut inner, buffer);
        if self.bound_of_life(&mut inner) <= now {
            self.catch_up(&mut inner, buffer);
            self.check_deadlines(&mut inner, now);
        }
        if Self::next_look(&mut inner) <= now {
            self.look_for_change(&mut inner, now);
        }
        if let Life::Running { timeout_at, .. } = &mut inner.life
            && *timeout_at <= now
        {
            *timeout_at = NEVER;
            // If it has ended just now, there is nothing to stop.
            let _ = self.begin_stop(&mut inner, &self.terms.stop, Cause::Timeout);
        }
        self.continue_stop(&mut inner, now);
        if Self::removal_deadline(&mut inner) <= now {
            self.cgroup_changed(&mut inner);
        }
        let names_holders = self.reaches_drain_bound(&mut inner, now, buffer);
        self.finish(inner);
        if names_holders {
            let asker: Arc<Self> = Arc::clone(self);
            self.owner.scanner().request(asker);
        }
    }

    /// Reads what is there if the drain bound has come. True if holders keep the pipes open, so that they have to be
    /// looked up.
    fn reaches_drain_bound(self: &Arc<Self>, inner: &mut Inner, now: u64, buffer: &mut ReadBuffer) -> bool {
        if self.drain_deadline(inner) > now {
            return false;
        }
        self.read_what_is_held(inner, buffer);
        let held = !inner.outputs.are_ended() && !inner.outputs.is_paused();
        held && inner.life.begin_naming()
    }

    /// Returns when the drain bound is reached; or [`NEVER`]. While a stop goes on its clock stands still, because the
    /// child is not closed before every step of it is done.
    fn drain_deadline(&self, inner: &Inner) -> u64 {
        let awaits = inner.stopping.is_none() && !inner.outputs.is_paused() && !inner.outputs.are_ended();
        if awaits { inner.life.drained_at(&self.drain) } else { NEVER }
    }

    /// Stops the child if it has passed one of its deadlines. The caller has read what it has written.
    pub(super) fn check_deadlines(self: &Arc<Self>, inner: &mut Inner, now: u64) {
        let Life::Running { pidfd, .. } = &inner.life else { return };
        let is_paused = inner.outputs.is_paused();
        let Some(watchdog) = inner.outputs.watchdog() else { return };
        let spent = || procfs::cpu_ns(pidfd.as_ref()?, self.pid);
        if let Some(cause) = watchdog.exceeded(now, is_paused, spent) {
            self.exceed(inner, cause);
        }
    }

    /// Brings what is known of the child up to date before it is stopped for what it has not done: the loop may be late.
    pub(super) fn catch_up(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        self.look_for_exit(inner, false, buffer);
        if inner.outputs.watchdog().is_some() {
            for index in inner.outputs.indices() {
                self.read(inner, index, false, buffer);
            }
        }
    }

    /// Notes output of the child, and stops it if that is too much.
    pub(super) fn watch_output(self: &Arc<Self>, inner: &mut Inner, bytes: u64, now: u64) {
        if let Some(watchdog) = inner.outputs.watchdog()
            && watchdog.heard(bytes, now)
            && !inner.life.has_ended()
        {
            self.exceed(inner, Cause::OutputLimit);
        }
    }

    fn exceed(&self, inner: &mut Inner, cause: Cause) {
        inner.outputs.watchdog().into_iter().for_each(Watchdog::end);
        // A signal to what has ended would be taken, and make it the cause of the end.
        if inner.life.pidfd().is_none_or(pidfd::has_ended) {
            return;
        }
        let _ = self.begin_stop(inner, &self.terms.stop, cause);
    }

    /// Returns when the child, while it runs, may be to be stopped.
    fn bound_of_life(&self, inner: &mut Inner) -> u64 {
        let watchdog = inner.outputs.watchdog().map_or(NEVER, |watchdog| watchdog.next());
        if inner.life.has_ended() { NEVER } else { inner.life.timeout_at().min(watchdog) }
    }

    /// Tells the loop the earliest deadline, if it differs from the one that the loop knows.
    pub(super) fn arm(&self, inner: &mut Inner) {
        let stop = inner.stopping.as_ref().map_or(NEVER, |stopping| stopping.next_step(inner.life.is_draining()));
        let spool = if inner.outputs.has_due_spool() { 0 } else { NEVER };
        let next = match inner.life {
            Life::Closed { .. } => Self::removal_deadline(inner).min(stop),
            _ => self
                .bound_of_life(inner)
                .min(Self::next_look(inner))
                .min(stop)
                .min(spool)
                .min(self.drain_deadline(inner)),
        };
        if next != inner.armed {
            self.reactor().set_deadline(self.id, inner.armed, next);
            inner.armed = next;
        }
    }
}
