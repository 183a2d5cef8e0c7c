//! [`Roster`]: the connections that are open, and those of them that wait for their client, in order. It lives on the
//! server's thread, and knows of a connection only what [`Closable`] says.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::shared::Shared;

/// How many turns of the loop requests that have arrived get before a connection is closed.
const TURNS: u32 = 8;

/// A connection on the roster.
pub(super) trait Closable {
    /// Returns whether something has arrived from the client that was not read yet.
    fn has_arrived(&self) -> bool;
    /// Closes it at the next turn of the loop.
    fn close(&self);
    /// Like [`Closable::close`]; [`Roster::closed`] is told that it made room.
    fn make_room(&self);
}

pub(super) struct Roster<C> {
    pub(super) shared: Arc<Shared>,
    /// The most connections that may be open.
    limit: usize,
    open: Cell<usize>,
    /// Whether a connection was told to make room, and is not closed yet.
    is_making_room: Cell<bool>,
    waiting: RefCell<Waiting<C>>,
    /// Notified when a connection has closed, or has begun to wait for its client.
    changed: Notify,
    is_stopping: Cell<bool>,
}

/// Connections that wait for their client, by ticket: the one that has waited longest comes first.
struct Waiting<C> {
    last_ticket: u64,
    connections: BTreeMap<u64, Rc<C>>,
}

impl<C: Closable> Roster<C> {
    pub(super) fn new(shared: Arc<Shared>, limit: usize) -> Roster<C> {
        Roster {
            shared,
            limit,
            open: Cell::new(0),
            is_making_room: Cell::new(false),
            waiting: RefCell::new(Waiting { last_ticket: 0, connections: BTreeMap::new() }),
            changed: Notify::new(),
            is_stopping: Cell::new(false),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.get() >= self.limit
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    /// Makes connections close after their answer, from now on.
    pub(super) fn begin_to_stop(&self) {
        self.is_stopping.set(true);
    }

    /// Counts a connection that has opened.
    pub(super) fn opened(&self) {
        self.open.set(self.open.get() + 1);
    }

    /// Counts off a connection that has closed.
    pub(super) fn closed(&self, made_room: bool) {
        self.open.set(self.open.get() - 1);
        if made_room {
            self.is_making_room.set(false);
        }
        self.changed.notify_one();
    }

    /// Lists a connection that waits for its client. Returns its ticket.
    pub(super) fn list(&self, connection: &Rc<C>) -> u64 {
        let mut waiting = self.waiting.borrow_mut();
        waiting.last_ticket += 1;
        let ticket = waiting.last_ticket;
        waiting.connections.insert(ticket, Rc::clone(connection));
        self.changed.notify_one();
        ticket
    }

    /// Takes a connection off the list.
    pub(super) fn unlist(&self, ticket: u64) {
        // Dropped outside the borrow: the last owner of a connection calls `closed`.
        let connection = self.waiting.borrow_mut().connections.remove(&ticket);
        drop(connection);
    }

    /// Waits until a connection has closed, or could be.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Closes a connection, unless one is being closed already; false if all of them serve a request. It is the
    /// connection that has waited longest, but those with a request that has arrived are spared as long as such
    /// requests are read.
    pub(super) async fn make_room(&self) -> bool {
        for turns_left in (0..=TURNS).rev() {
            if self.is_making_room.get() {
                return true;
            }
            if self.waiting.borrow().connections.is_empty() {
                return false;
            }
            if let Some(connection) = self.longest_waiting(turns_left == 0) {
                self.is_making_room.set(true);
                connection.make_room();
                return true;
            }
            yield_now().await;
        }
        true
    }

    /// Returns, of the few that have waited longest, the first that has no request waiting; the first of all if `any`
    /// will do.
    fn longest_waiting(&self, any: bool) -> Option<Rc<C>> {
        const LOOKED_AT: usize = 32;
        let waiting = self.waiting.borrow();
        let mut first = waiting.connections.values().take(LOOKED_AT);
        first.find(|connection| any || !connection.has_arrived()).cloned()
    }

    /// Lets requests that have arrived begin, and closes the connections without one.
    pub(super) async fn close_idle(&self) {
        let (mut turns_left, mut fewest) = (TURNS, usize::MAX);
        while turns_left > 0 {
            let unread =
                self.waiting.borrow().connections.values().filter(|connection| connection.has_arrived()).count();
            if unread == 0 {
                break;
            }
            // It goes on only as long as turns help: a client may be sending bytes that are never read.
            turns_left = if unread < fewest { TURNS } else { turns_left - 1 };
            fewest = fewest.min(unread);
            yield_now().await;
        }
        for connection in self.waiting.borrow().connections.values() {
            connection.close();
        }
    }

    /// Waits until no connection is open, or `end` comes first. Returns how many requests are under way then.
    pub(super) async fn until_closed(&self, end: impl Future<Output = ()>) -> usize {
        let mut end = pin!(end);
        while self.open.get() > 0 {
            let mut changed = pin!(self.changed.notified());
            let has_ended = poll_fn(|cx| {
                if changed.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                end.as_mut().poll(cx).map(|()| true)
            });
            if has_ended.await {
                break;
            }
        }
        self.open.get().saturating_sub(self.waiting.borrow().connections.len())
    }
}
