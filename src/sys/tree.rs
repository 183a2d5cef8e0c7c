//! [`Tree`]: the processes that a child and its descendants have started, as far as /proc shows the way to them, for
//! children that have no cgroup. A process whose parent has ended hangs from another one, and is not found, unless it
//! is in the child's group.
//!
//! A signal reaches no stranger. A process is known, by PID and start time, once it was shown to be a child of one that
//! was known and lived then, or a member of the child's group while that had its leader. A signal goes to a pidfd, and
//! after that was opened, the process with this number was shown to be the known one.
//!
//! System calls: pidfd_open(2), pidfd_send_signal(2).

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use super::pidfd;
use super::procfs::{self, Seen};

/// The passes over /proc in which new members are looked for. Each finds at least one more generation.
const PASSES: usize = 64;

/// A child, and what was found below it.
pub(crate) struct Tree<'a> {
    /// None once it has ended: then there is no more way to what it has started than by those that are known.
    leader: Option<&'a OwnedFd>,
    pid: i32,
    leads_group: bool,
    /// The members besides the leader.
    known: Known,
}

/// The start of each known member, in ticks since the boot, by its PID.
pub(crate) type Known = HashMap<i32, u64>;

/// A process that a signal did not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) pid: i32,
    pub(crate) start: u64,
}

impl<'a> Tree<'a> {
    /// Begins at a child and those that were found below it before.
    pub(crate) fn new(leader: Option<&'a OwnedFd>, pid: i32, leads_group: bool, known: Known) -> Tree<'a> {
        Tree { leader: leader.filter(|leader| !pidfd::has_ended(leader)), pid, leads_group, known }
    }

    /// Returns the members that live now, without the leader.
    pub(crate) fn into_known(mut self) -> Known {
        self.known.retain(|pid, start| procfs::seen(*pid).is_some_and(|seen| seen.start == *start));
        self.known
    }

    /// Sends a signal to the members that the group of the leader does not have, or, without a group, to all but the
    /// leader. Each pass finds those that were started meanwhile. Returns those that the signal did not reach.
    /// `reaches_group` says whether the group gets the signal as well, although its leader may have ended.
    pub(crate) fn signal_outside_group(&mut self, signal: i32, reaches_group: bool) -> Vec<Refused> {
        self.signal(signal, |tree, member| {
            let in_group = reaches_group && member.group == tree.pid;
            !in_group && !tree.is_in_group(member)
        })
    }

    fn signal(&mut self, signal: i32, gets_it: impl Fn(&Self, &Seen) -> bool) -> Vec<Refused> {
        let mut refused = Vec::new();
        // All are found before the first is signalled, because the way to a process is lost when its parent ends.
        self.look_for_all();
        let mut new: Vec<Seen> = self.known.keys().filter_map(|pid| procfs::seen(*pid)).collect();
        for _ in 0..PASSES {
            for member in new {
                if gets_it(self, &member)
                    && let Some(start) = self.known.get(&member.pid)
                    && let Err(errno) = send(member.pid, *start, signal)
                    && errno != libc::ESRCH
                {
                    refused.push(Refused { pid: member.pid, start: *start });
                }
            }
            new = self.look_for_all();
            if new.is_empty() {
                break;
            }
        }
        refused
    }

    /// Kills all members but the leader. A process is stopped (SIGSTOP) before it is looked for what it has started, so
    /// that it starts nothing more.
    pub(crate) fn kill(&mut self) -> Vec<Refused> {
        let refused = self.signal(libc::SIGSTOP, |_, _| true);
        for (pid, start) in &self.known {
            let _ = send(*pid, *start, libc::SIGKILL);
        }
        refused
    }

    /// Looks for all members that can be seen now.
    pub(crate) fn find(mut self) -> Known {
        self.look_for_all();
        self.into_known()
    }

    /// Makes passes over /proc until one finds nothing new. Returns the members that were not known.
    fn look_for_all(&mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        for _ in 0..PASSES {
            let new = self.look();
            if new.is_empty() {
                break;
            }
            all.extend(new);
        }
        all
    }

    /// Makes one pass over /proc. Returns the members that were not known; from now on they are.
    fn look(&mut self) -> Vec<Seen> {
        let mut rest = procfs::processes().unwrap_or_default();
        let mut new = Vec::new();
        loop {
            let (found, left): (Vec<Seen>, Vec<Seen>) = rest.into_iter().partition(|seen| self.hangs_from_known(seen));
            let found: Vec<Seen> =
                found.into_iter().filter(|seen| self.known.get(&seen.pid) != Some(&seen.start)).collect();
            if found.is_empty() {
                return new;
            }
            for member in found {
                // The pass has taken time, in which numbers may have become others'.
                if self.is_member(member) {
                    self.known.insert(member.pid, member.start);
                    new.push(member);
                }
            }
            rest = left;
        }
    }

    fn hangs_from_known(&self, seen: &Seen) -> bool {
        let has_known_parent =
            seen.parent == self.pid && self.leader.is_some() || self.known.contains_key(&seen.parent);
        seen.pid != self.pid && (has_known_parent || self.is_in_group(seen))
    }

    fn is_in_group(&self, seen: &Seen) -> bool {
        self.leads_group && self.leader.is_some() && seen.group == self.pid
    }

    /// Looks again at a process that seems to be a member.
    fn is_member(&self, member: Seen) -> bool {
        let Some(now) = procfs::seen(member.pid).filter(|now| now.start == member.start) else { return false };
        let leader_lives = || self.leader.is_some_and(|leader| !pidfd::has_ended(leader));
        let parent_lives = || match self.known.get(&now.parent) {
            _ if now.parent == self.pid => leader_lives(),
            Some(start) => procfs::seen(now.parent).is_some_and(|parent| parent.start == *start),
            None => false,
        };
        // While the leader lives, its number names no other group.
        (self.is_in_group(&now) && leader_lives()) || parent_lives()
    }
}

/// Sends a signal to a process that was proven to be a member, if it is still the same one.
fn send(pid: i32, start: u64, signal: i32) -> Result<(), i32> {
    let pidfd = pidfd::open(pid)?;
    match procfs::seen(pid) {
        Some(seen) if seen.start == start => pidfd::send_signal(pidfd.as_raw_fd(), signal, 0),
        _ => Err(libc::ESRCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    fn sleep_in(group: i32) -> Child {
        Command::new("sleep").arg("600").process_group(group).spawn().expect("spawn")
    }

    #[test]
    fn a_member_in_a_group_that_gets_the_signal_does_not_get_it_twice_once_the_leader_has_ended() {
        let mut leader = sleep_in(0);
        let group = leader.id().cast_signed();
        let mut member = sleep_in(group);
        let pid = member.id().cast_signed();
        leader.kill().expect("kill");
        leader.wait().expect("wait");
        let start = procfs::seen(pid).expect("the member lives").start;
        let mut tree = Tree::new(None, group, true, Known::from([(pid, start)]));
        assert!(tree.signal_outside_group(libc::SIGKILL, true).is_empty());
        assert!(tree.signal_outside_group(libc::SIGTERM, false).is_empty());
        // SIGKILL, had it been sent, would have come first.
        assert_eq!(member.wait().expect("wait").signal(), Some(libc::SIGTERM));
    }
}
