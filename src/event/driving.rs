//! [`Driver`]: the seat that a subscription keeps while the host's own event loop does the service's work, in takes.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, OnceLock};

use super::queue::{Next, Queue, TAKE, Taken};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, Handler, Seat, Turned, lock};
use crate::sys::window::Window;

/// Turns of the loop in one take.
const TURNS: usize = 16;

/// The seat of a subscription that drives; None once that has ended. Locked before the state of the queue.
type DrivingSeat = Mutex<Option<Seat<'static, Arc<dyn Handler>>>>;

/// Empty until the subscription drives.
#[derive(Default)]
pub(super) struct Driver(OnceLock<DrivingSeat>);

impl Driver {
    /// Returns whether the subscription drives, or did so until its end.
    pub(super) fn has_started(&self) -> bool {
        self.0.get().is_some()
    }

    /// Takes the seat, and returns the descriptor that the host's loop watches from now on.
    pub(super) fn start(&self, queue: &Queue, operation: &'static str) -> Result<RawFd> {
        let mut state = queue.state();
        if state.is_closed() {
            return Err(Error::new(ErrorKind::Closed, operation, "the subscription is closed"));
        }
        if state.watch.has_pipe() {
            return Err(Error::invalid(operation, "subscription: gave the descriptor of a pipe to be watched"));
        }
        if let Some(fd) = state.watch.window() {
            return Ok(fd);
        }
        let window = Window::on(&queue.reactor().poller).map_err(|errno| Error::system(operation, "epoll", errno))?;
        let seat = Seat::take(Arc::clone(queue.handler())).ok_or_else(|| {
            Error::new(ErrorKind::Busy, operation, "another subscription drives the service, or a thread waits")
        })?;
        // The lock of the state keeps other threads from coming first.
        let _ = self.0.set(Mutex::new(Some(seat)));
        let (ready, over) = (state.has_ready(), state.has_ended());
        Ok(state.watch.poller(window, ready, over, queue.reactor()))
    }

    /// Takes a batch, and turns the loop for it; None if the subscription does not drive. The take that finds the end
    /// gives the seat back, for there may be processes that this subscription has never seen.
    pub(super) fn take(&self, queue: &Queue, deadline: Deadline) -> Option<Result<Taken>> {
        self.0.get().map(|seat| take(seat, queue, deadline).and_then(Next::into_result))
    }

    /// Gives the seat back.
    pub(super) fn stop(&self) {
        if let Some(seat) = self.0.get() {
            *lock(seat) = None;
        }
    }
}

fn take(seat: &DrivingSeat, queue: &Queue, deadline: Deadline) -> Result<Option<Next>> {
    if !deadline.only_looks() {
        return Err(Error::invalid(TAKE, "timeout: must be 0 where the subscription drives the service"));
    }
    queue.state().watch.enter();
    let next = turn_for_next(seat, queue);
    let reactor = queue.reactor();
    // Every taker has to learn of a panic, and the wake-up for it may have been taken here, with a batch.
    let broken = reactor.check(TAKE).is_err();
    let mut state = queue.state();
    let more = broken || state.has_ready();
    state.watch.leave(more, reactor);
    drop(state);
    if matches!(next, Ok(Some(Next::Ended))) {
        *lock(seat) = None;
    }
    next
}

/// Turns the loop until there is a batch, or nothing more to handle.
fn turn_for_next(seat: &DrivingSeat, queue: &Queue) -> Result<Option<Next>> {
    let mut turned = Turned::default();
    for _ in 0..TURNS {
        {
            let mut state = queue.state();
            if turned.woken {
                state.watch.taken();
            }
            if let Some(next) = queue.next(&mut state) {
                return Ok(Some(next));
            }
        }
        queue.reactor().check(TAKE)?;
        // Waits for another taker if need be, because its turn does not replace this one: the events that it leaves
        // once it has its batch may have had their edge already, with that batch.
        turned = lock(seat).as_mut().map(|seat| seat.turn(0)).unwrap_or_default();
        if turned.events == 0 {
            queue.reactor().check(TAKE)?;
            return Ok(queue.next_or_arm(&mut queue.state()));
        }
    }
    // Children write without pause, and not to this subscription: the host's loop gets a turn.
    queue.reactor().poller.wake();
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::super::batch::Batch;
    use super::super::options::SubscriptionOptions;
    use super::super::source::{Origin, Sender, Unpaused};
    use super::super::subscription::Subscription;
    use super::*;
    use crate::runtime::Reactor;
    use crate::sys::bell::Bell;
    use crate::sys::buffer::ReadBuffer;
    use crate::sys::clock::Stamp;
    use crate::sys::descriptor;
    use crate::sys::poller::{Events, Interest, Poller};

    const FIRST: u64 = 1;
    const SECOND: u64 = 2;

    /// A handler whose events each bring a process, and the first of them a panic.
    struct Stage {
        reactor: Reactor,
        queue: OnceLock<Arc<Queue>>,
        second: Bell,
        /// Told at the first event: where /proc shows the taker that waits behind it.
        handling: mpsc::Sender<mpsc::Sender<String>>,
    }

    impl Handler for Stage {
        fn reactor(&self) -> &Reactor {
            &self.reactor
        }

        fn handle(&self, token: u64, _hang_up: bool, _buffer: &mut ReadBuffer) {
            if token == FIRST {
                let (sender, receiver) = mpsc::channel();
                self.handling.send(sender).expect("test");
                let taker = format!("{}/stat", receiver.recv().expect("taker"));
                while !fs::read_to_string(&taker).expect("stat").contains(") S ") {
                    thread::yield_now();
                }
                self.second.ring();
            }
            let origin = Origin { pid: 0, part: None };
            let sender = Sender { id: token, origin, source: &Arc::new(Unpaused) };
            self.queue.get().expect("queue").attach(&sender, Stamp::now());
            assert!(token != FIRST, "injected");
        }

        fn broken(&self) {
            self.queue.get().expect("queue").wake_all();
        }
    }

    #[test]
    fn a_loop_learns_of_a_panic_though_takers_beside_it_took_what_came_with_it_and_left() {
        let (handling, handled) = mpsc::channel();
        let reactor = Reactor::new().expect("reactor");
        let (first, second) = (Bell::new().expect("bell"), Bell::new().expect("bell"));
        for (bell, token) in [(&first, FIRST), (&second, SECOND)] {
            reactor.poller.watch(&bell.reader(), token, Interest::Readable).expect("watch");
        }
        let stage = Arc::new(Stage { reactor, queue: OnceLock::new(), second, handling });
        let handler = Arc::clone(&stage) as Arc<dyn Handler>;
        let queue = Arc::new(Queue::new(Arc::clone(&handler), SubscriptionOptions::default()));
        assert!(stage.queue.set(Arc::clone(&queue)).is_ok());
        let subscription = Subscription::new(queue, false);
        let watched = descriptor::duplicate_raw(subscription.drive().expect("drive")).expect("duplicate");
        let host_loop = Poller::new(0).expect("loop");
        host_loop.watch(&watched, 1, Interest::Readable).expect("watch");

        first.ring();
        let take = || subscription.take(0, Some(Duration::ZERO));
        let batches = thread::scope(|scope| {
            let taker = scope.spawn(take);
            let place = handled.recv().expect("handled");
            let behind = scope.spawn(move || {
                let thread = fs::read_link("/proc/thread-self").expect("thread-self");
                place.send(format!("/proc/{}", thread.display())).expect("place");
                take()
            });
            [taker, behind].map(|taker| taker.join().expect("taker").expect("a batch each"))
        });
        let mut ids = batches.each_ref().map(Batch::process_id);
        ids.sort_unstable();
        assert_eq!(ids, [FIRST, SECOND]);

        let mut events = Events::new();
        host_loop.wait(&mut events, 10_000).expect("wait");
        assert_eq!(events.count(), 1);
        assert_eq!(take().err().expect("it is broken").kind(), ErrorKind::Panic);
    }
}
