//! The tree of a child: all that it has started. Signals to it, who is left of it, and the end of its cgroup.

use std::sync::Arc;

use super::slot::Slot;
use super::{Child, Inner};
use crate::error::{Error, ErrorKind, Result};
use crate::process::containment::{Contained, TreeMember};
use crate::runtime::{NEVER, lock};
use crate::sys::cgroup::Cgroup;
use crate::sys::clock::monotonic_ns;
use crate::sys::deliver::Target;
use crate::sys::poller::Interest;
use crate::sys::procfs::{self, Seen};
use crate::sys::tree::{Known, Refused, Tree};

impl Inner {
    pub(super) fn contained(&mut self) -> Option<&mut Contained> {
        self.outputs.contained()
    }

    pub(super) fn cgroup(&mut self) -> Option<&mut Cgroup> {
        self.outputs.cgroup()
    }

    /// Returns whether nothing of the child is watched any more, once it is closed.
    pub(super) fn is_drained(&mut self) -> bool {
        self.outputs.are_ended() && self.cgroup().is_none()
    }
}

impl Child {
    /// Returns what a signal to the tree goes to beside the members that are found.
    fn root(&self) -> Target {
        if self.leads_group { Target::Group } else { Target::Process }
    }

    /// Sends a signal to the tree; 0 only probes.
    pub(super) fn send_to_tree(&self, inner: &mut Inner, operation: &'static str, signal: i32) -> Result<()> {
        let refused = match inner.cgroup() {
            Some(cgroup) => match signal {
                _ if !cgroup.is_populated() => return Err(self.not_running(operation)),
                0 => return Ok(()),
                libc::SIGKILL => cgroup.kill().map(|()| Vec::new()),
                _ => cgroup.signal(signal),
            },
            None => return self.send_by_descent(inner, operation, signal),
        };
        let refused = refused.map_err(|errno| match errno {
            libc::ESRCH => self.not_running(operation),
            _ => Error::system(operation, "", errno).on(format!("process {}", self.id)),
        })?;
        let refused = refused.into_iter().filter_map(procfs::seen);
        let refused = refused.map(|Seen { pid, start, .. }| Refused { pid, start }).collect();
        self.note(inner, Known::new(), refused);
        Ok(())
    }

    /// Freezes or thaws the cgroup.
    pub(super) fn freeze(&self, inner: &mut Inner, operation: &'static str, frozen: bool) -> Result<()> {
        let Some(contained) = inner.contained() else { return Err(self.not_running(operation)) };
        match &contained.cgroup {
            Some(cgroup) if cgroup.is_populated() => cgroup.freeze(frozen).map_err(|errno| {
                let kind = if errno == libc::ENOENT { ErrorKind::Unsupported } else { ErrorKind::System };
                Error::system(operation, "cgroup.freeze", errno).kind_is(kind).on(format!("process {}", self.id))
            })?,
            _ => return Err(self.not_running(operation)),
        }
        contained.frozen = frozen;
        Ok(())
    }

    /// Lets a paused tree act on a signal.
    pub(super) fn thaw(&self, inner: &mut Inner) {
        if inner.contained().is_some_and(|contained| contained.frozen) {
            let _ = self.freeze(inner, "stop", false);
        }
    }

    /// Sends a signal to the tree of a child without a cgroup.
    fn send_by_descent(&self, inner: &mut Inner, operation: &'static str, signal: i32) -> Result<()> {
        if inner.life.is_closed() {
            return Err(self.not_running(operation));
        }
        let known = inner.contained().map(|contained| std::mem::take(&mut contained.known)).unwrap_or_default();
        let reaches_group = self.leads_group && self.send(inner, operation, 0, Target::Group).is_ok();
        let mut tree = Tree::new(inner.life.leader(), self.pid, self.leads_group, known);
        let refused = match signal {
            0 => Vec::new(),
            libc::SIGKILL => {
                // Whoever is stopped starts nothing more.
                let _ = self.send(inner, operation, libc::SIGSTOP, self.root());
                tree.kill()
            }
            _ => tree.signal_outside_group(signal, reaches_group),
        };
        let sent = self.send(inner, operation, signal, self.root());
        let known = tree.into_known();
        let lives = !known.is_empty();
        self.note(inner, known, refused);
        match sent {
            Err(error) if error.kind() == ErrorKind::NotRunning && lives => Ok(()),
            other => other,
        }
    }

    /// Keeps the members that were found, and those that a signal did not reach.
    fn note(&self, inner: &mut Inner, known: Known, refused: Vec<Refused>) {
        if known.is_empty() && refused.is_empty() && inner.contained().is_none() {
            return;
        }
        let contained = inner.outputs.extra_mut().contained.get_or_insert_with(Contained::unmarked);
        contained.known = known;
        for member in refused {
            if !contained.unreached.contains(&member) {
                contained.unreached.push(member);
            }
        }
    }

    /// Returns whether something of the tree lives, as far as a signal reaches it, after the leader has ended.
    pub(super) fn tree_lives(&self, inner: &mut Inner) -> bool {
        match inner.cgroup() {
            Some(cgroup) => cgroup.is_populated(),
            None => self.known_live(inner) || self.leads_group && self.group_lives(inner),
        }
    }

    /// Looks for the living members of the tree.
    pub(crate) fn tree(&self) -> Vec<TreeMember> {
        let mut inner = lock(&self.inner);
        let member = |reachable| move |pid: i32| TreeMember { pid, command: procfs::command_line(pid), reachable };
        let unreached = inner.contained().map(|contained| contained.unreached.clone()).unwrap_or_default();
        let unreached: Vec<i32> = unreached
            .into_iter()
            .filter(|known| procfs::seen(known.pid).is_some_and(|seen| seen.start == known.start))
            .map(|known| known.pid)
            .collect();
        let reached: Vec<i32> = match inner.cgroup() {
            Some(cgroup) => cgroup.members(),
            None => self.descendants(&mut inner),
        };
        let marked = inner.contained().and_then(|contained| contained.mark.clone());
        drop(inner);
        let mut got_away = unreached.clone();
        got_away.extend(marked.into_iter().flat_map(|mark| self.marked(&mark)));
        got_away.retain(|pid| unreached.contains(pid) || !reached.contains(pid));
        got_away.sort_unstable();
        got_away.dedup();
        let reached = reached.into_iter().filter(|pid| !got_away.contains(pid));
        let mut members: Vec<TreeMember> = reached.map(member(true)).collect();
        members.extend(got_away.into_iter().map(member(false)));
        members.sort_by_key(|member| member.pid);
        members
    }

    fn known_live(&self, inner: &mut Inner) -> bool {
        let Some(contained) = inner.contained() else { return false };
        let known = std::mem::take(&mut contained.known);
        contained.known = Tree::new(None, self.pid, false, known).into_known();
        !contained.known.is_empty()
    }

    /// Returns the members that a signal reaches without a cgroup.
    fn descendants(&self, inner: &mut Inner) -> Vec<i32> {
        let known = inner.contained().map(|contained| contained.known.clone()).unwrap_or_default();
        let found = Tree::new(inner.life.leader(), self.pid, self.leads_group, known).find();
        let mut members: Vec<i32> = found.into_keys().collect();
        if !inner.life.has_ended() {
            members.push(self.pid);
        } else if self.leads_group && self.send(inner, "tree", 0, Target::Group).is_ok() {
            members.extend(procfs::members_of(self.pid).unwrap_or_default());
        }
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Returns the processes whose environment has the mark. The marks of the threads and processes of this host do not
    /// count: a mark is made for one child.
    fn marked(&self, mark: &str) -> Vec<i32> {
        let all = procfs::processes().unwrap_or_default();
        all.into_iter().map(|seen| seen.pid).filter(|pid| procfs::environment_has(*pid, mark)).collect()
    }

    // The end of the cgroup.

    /// Removes the cgroup of a closed child, or waits for the end of the last process in it.
    pub(super) fn release_cgroup(&self, inner: &mut Inner) {
        const FIRST: u64 = 10_000_000;
        const LONGEST: u64 = 1_000_000_000;
        let id = self.id;
        let Some(Contained { cgroup: slot, usage, remove_at, interval, .. }) = inner.contained() else { return };
        let Some(cgroup) = slot else { return };
        *usage = Some(cgroup.usage());
        *remove_at = 0;
        match cgroup.remove() {
            Ok(()) => {
                if let Some(mut removed) = slot.take().filter(Cgroup::is_watched)
                    && let Ok(events) = removed.events()
                {
                    self.reactor().poller.forget(&events);
                }
                inner.stopping = None;
            }
            Err(_) => {
                let is_new = !cgroup.is_watched();
                let watched = match cgroup.events() {
                    Ok(events) if is_new => {
                        self.reactor().poller.watch(&events, Slot::Cgroup.token(id), Interest::Changed).is_ok()
                    }
                    other => other.is_ok(),
                };
                if !watched {
                    // So that the next try watches it.
                    cgroup.forget_events();
                }
                // The kernel reports the end from the state on that was read last.
                if !cgroup.is_populated_now() || !watched {
                    // The last process is on its way out, or a directory below it was just made.
                    *interval = (*interval * 2).clamp(FIRST, LONGEST);
                    *remove_at = monotonic_ns() + *interval;
                }
            }
        }
    }

    /// Looks whether the cgroup of a closed child can be removed now.
    pub(super) fn cgroup_changed(self: &Arc<Self>, inner: &mut Inner) {
        if !inner.life.is_closed() || inner.cgroup().is_none() {
            return;
        }
        self.release_cgroup(inner);
        if inner.is_drained() {
            self.owner.drained(self.id);
        }
    }

    /// Returns when the removal of the cgroup is tried again; or [`NEVER`].
    pub(super) fn removal_deadline(inner: &mut Inner) -> u64 {
        match inner.contained() {
            Some(Contained { cgroup: Some(_), remove_at, .. }) if *remove_at != 0 => *remove_at,
            _ => NEVER,
        }
    }
}
