//! The looks whether a child is stopped, and who is told.

use std::sync::Arc;

use super::{Child, Inner};
use crate::error::{Error, Result};
use crate::runtime::{NEVER, lock};
use crate::sys::clock::{Stamp, monotonic_ns};
use crate::sys::pidfd::{self, Change};
use crate::sys::procfs;

impl Child {
    /// Looks now whether it is stopped.
    pub(crate) fn look_for_stops(self: &Arc<Self>) -> Result<()> {
        let mut inner = lock(&self.inner);
        if inner.outputs.stops().is_none() {
            let what = "its command did not ask for reports of stops";
            return Err(Error::invalid("look for stops", what).on(format!("process {}", self.id)));
        }
        self.look_for_change(&mut inner, monotonic_ns());
        self.finish(inner);
        Ok(())
    }

    /// Returns when to look whether it is stopped.
    pub(super) fn next_look(inner: &mut Inner) -> u64 {
        if inner.life.leader().is_none() {
            return NEVER;
        }
        inner.outputs.stops().map_or(NEVER, |stops| stops.look_at)
    }

    /// Looks whether it is stopped, unless a subscriber has no room for what that may tell.
    pub(super) fn look_for_change(self: &Arc<Self>, inner: &mut Inner, now: u64) {
        let Some(stops) = inner.outputs.stops() else { return };
        stops.look_later(now);
        if !inner.audience.has_room_for_changes(self.id) {
            return;
        }
        self.take_changes(inner);
        let Some((state, threads)) = inner.life.leader().and_then(|pidfd| procfs::state_of(pidfd, self.pid)) else {
            return;
        };
        // A change after the first look tells its signal, and the state may be that of before it.
        if !self.take_changes(inner)
            && let Some(change) = inner.outputs.stops().and_then(|stops| stops.compare(state, threads))
        {
            self.change(inner, change);
        }
    }

    /// Takes the changes that the kernel tells; false if there was none.
    pub(super) fn take_changes(self: &Arc<Self>, inner: &mut Inner) -> bool {
        // Another process could change it for ever.
        const MOST: usize = 4;
        for taken in 0..MOST {
            match inner.life.leader().and_then(pidfd::take_change) {
                Some(change) => self.change(inner, change),
                None => return taken > 0,
            }
        }
        true
    }

    fn change(self: &Arc<Self>, inner: &mut Inner, change: Change) {
        let Some(stops) = inner.outputs.stops() else { return };
        let time = Stamp::now();
        let told = stops.note(change);
        if matches!(change, Change::Stopped(_)) {
            self.take_foreground_back(inner, true);
        }
        let sender = self.sender(inner);
        told.for_each(|change| inner.audience.tell_change(&sender, change, time));
    }
}
