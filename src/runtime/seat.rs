//! [`Seat`]: the right of a thread that waits to turn the loop in place of the supervisor.

use std::ops::Deref;
use std::sync::atomic::Ordering;

use super::lock::lock;
use super::reactor::{Handler, SEATED, Turn};

/// The result of a turn of the loop.
#[derive(Default)]
pub(crate) struct Turned {
    /// How many events it has handled.
    pub(crate) events: usize,
    /// Whether the poller's waker was among them.
    pub(crate) woken: bool,
}

/// The right to turn the loop of a handler, a borrowed or a shared one, in place of the supervisor.
pub(crate) struct Seat<'a, H: Deref<Target = dyn Handler + 'a>> {
    handler: H,
    /// The turn; None once dropped.
    turn: Option<Box<Turn>>,
}

impl<'a, H: Deref<Target = dyn Handler + 'a>> Seat<'a, H> {
    /// Takes the seat, if it is free.
    pub(crate) fn take(handler: H) -> Option<Self> {
        let turn = lock(&handler.reactor().seat).take()?;
        handler.reactor().poller.switch_supervisor(false);
        Some(Seat { handler, turn: Some(turn) })
    }

    /// Waits up to `timeout_ms` and handles what came.
    pub(crate) fn turn(&mut self, timeout_ms: i32) -> Turned {
        let Seat { handler, turn: Some(turn) } = self else { return Turned::default() };
        let reactor = handler.reactor();
        if reactor.poller.wait(&mut turn.events, timeout_ms).is_err() {
            reactor.lose(&**handler);
            return Turned::default();
        }
        if reactor.relieved.load(Ordering::Relaxed) && reactor.relieved.swap(false, Ordering::Relaxed) {
            reactor.poller.switch_supervisor(false);
        }
        let before = SEATED.replace(reactor.address());
        let woken = reactor.handle(&**handler, turn);
        SEATED.set(before);
        Turned { events: turn.events.count(), woken }
    }
}

impl<'a, H: Deref<Target = dyn Handler + 'a>> Drop for Seat<'a, H> {
    fn drop(&mut self) {
        if self.handler.reactor().is_forked() {
            // The descriptors are shared with the parent, whose loop this would disturb.
            return;
        }
        let reactor = self.handler.reactor();
        // Under the lock, because the supervisor switches itself off only while the seat is taken.
        let mut seat = lock(&reactor.seat);
        reactor.poller.switch_supervisor(true);
        *seat = self.turn.take();
    }
}
