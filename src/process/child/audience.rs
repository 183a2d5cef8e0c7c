//! [`Audience`]: the subscriptions that get a child's events, and the run that it is part of.

use std::sync::Arc;

use crate::event::{Ending, Origin, Queue, Sender, Stream};
use crate::process::member::Member;
use crate::sys::clock::Stamp;
use crate::sys::pidfd::Change;
use crate::sys::space::Bytes;

/// The subscriptions and the run; empty once the child is closed.
pub(super) struct Audience {
    feeds: Vec<Arc<Queue>>,
    member: Option<Box<Member>>,
}

impl Audience {
    pub(super) fn new(member: Option<Member>) -> Audience {
        Audience { feeds: Vec::new(), member: member.map(Box::new) }
    }

    /// Returns what all events of the child share.
    pub(super) fn origin(&self, pid: i32) -> Origin {
        Origin { pid, part: self.member.as_ref().map(|member| member.part) }
    }

    /// Adds a subscription, whose first event is `started`.
    pub(super) fn attach(&mut self, sender: &Sender<'_>, subscription: Arc<Queue>, started: Stamp) {
        if subscription.attach(sender, started) {
            // There is usually only one.
            self.feeds.reserve_exact(1);
            self.feeds.push(subscription);
        }
    }

    /// Tells of output. True if a queue is full, so that reading has to stop.
    pub(super) fn tell_output(&self, sender: &Sender<'_>, stream: Stream, bytes: &Bytes<'_>, time: Stamp) -> bool {
        let mut full = false;
        for feed in &self.feeds {
            full |= feed.push_output(sender, stream, bytes, time);
        }
        full
    }

    /// Tells that the leader is stopped, or runs on.
    pub(super) fn tell_change(&self, sender: &Sender<'_>, change: Change, time: Stamp) {
        for feed in &self.feeds {
            feed.push_change(sender, change, time);
        }
    }

    /// Returns whether no subscription has so much waiting that changes have to wait.
    pub(super) fn has_room_for_changes(&self, id: u64) -> bool {
        self.feeds.iter().all(|feed| feed.has_room_for_changes(id))
    }

    /// Tells of the leader's end.
    pub(super) fn tell_exited(&self, sender: &Sender<'_>, ending: Ending, time: Stamp) {
        for feed in &self.feeds {
            feed.push_exited(sender, ending, time);
        }
        if let Some(member) = &self.member {
            member.observer.exited(member.part, ending, time);
        }
    }

    /// Tells the subscriptions that the child is closed, and lets them go. `holders` is the text about the processes
    /// that held its pipes at the drain bound.
    pub(super) fn tell_closed(&mut self, sender: &Sender<'_>, ending: Ending, holders: Option<&str>, time: Stamp) {
        for feed in std::mem::take(&mut self.feeds) {
            feed.push_closed(sender, ending, holders, time);
        }
    }

    /// Tells the run that the child is closed, and lets it go.
    pub(super) fn release_member(&mut self) {
        if let Some(member) = self.member.take() {
            member.observer.closed();
        }
    }

    /// Takes back a child that cannot be watched. If its end is not known yet, its run learns of it from the spawn that
    /// fails. Without a run, only subscriptions that have already shown an event of the child keep it.
    pub(super) fn withdraw(&mut self, id: u64, end_is_known: bool) {
        if !end_is_known {
            self.member = None;
        }
        if self.member.is_none() {
            self.feeds.retain(|feed| !feed.detach(id));
        }
    }

    /// Returns whether a subscription keeps slices of blocks.
    pub(super) fn can_share(&self) -> bool {
        self.feeds.iter().any(|feed| feed.can_share())
    }

    /// Returns whether the queue of any subscription is full.
    pub(super) fn is_full(&self, id: u64) -> bool {
        self.feeds.iter().any(|feed| feed.is_full(id))
    }
}
