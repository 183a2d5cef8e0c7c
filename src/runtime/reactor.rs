//! [`Reactor`]: a service's loop, and which thread turns it. The service's supervisor thread does, unless a thread that
//! waits for something of that service has taken the *seat*: it then waits in the poller itself and handles what comes,
//! so that what it waits for reaches it without a hand-off between threads. There is one seat; further waiters sleep. A
//! subscription that drives ([`crate::Subscription::drive`]) keeps the seat, for a host whose event loop does the
//! waiting.
//!
//! Every event goes to exactly one thread. The handler guards what an event is about by a lock of its own, so any
//! thread may handle any event. A thread that changes something that the seated thread waits for wakes the poller.

use std::any::Any;
use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::groups::Groups;
use super::lock::lock;
use super::panic::panic_message;
use super::spools::Spools;
use super::timers::Timers;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::block::Pool;
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::monotonic_ns;
use crate::sys::fork::Generation;
use crate::sys::poller::{Events, Interest, LOST, Poller};

/// The loop's own tokens, the greatest numbers; all others are the handler's.
const WAKER: u64 = LOST - 1;
const TIMER: u64 = LOST - 2;
const SPOOLS: u64 = LOST - 3;

/// Blocks that are kept for the next output: as much as one queue holds.
const POOLED_BLOCKS: usize = 16;

/// What a loop calls.
pub(crate) trait Handler: Send + Sync {
    /// Returns the loop itself.
    fn reactor(&self) -> &Reactor;
    /// Handles one event; on any thread, several at once.
    fn handle(&self, token: u64, hang_up: bool, buffer: &mut ReadBuffer);
    /// Handles the deadline of a key that has come; on any thread, several at once.
    fn deadline(&self, _key: u64, _now: u64, _buffer: &mut ReadBuffer) {}
    /// Wakes every waiter, because each has to learn that handling panicked or that the descriptors are lost.
    fn broken(&self);
    /// Forgets all descriptors without closing them: the host has closed them, and the numbers may be its own now.
    /// [`Handler::broken`] follows.
    fn lost(&self) {}
}

/// One loop: a poller, timers, a watcher of spools, and what is known of process groups.
pub(crate) struct Reactor {
    /// The process in which it turns.
    generation: Generation,
    pub(crate) poller: Poller,
    timers: Timers,
    spools: Spools,
    groups: Groups,
    /// The seat; None while a thread sits in it.
    pub(super) seat: Mutex<Option<Box<Turn>>>,
    /// Whether the supervisor has taken over from a seated thread that was late.
    pub(super) relieved: AtomicBool,
    broken: OnceLock<Broken>,
    /// Memory for what children write.
    blocks: Arc<Pool>,
    #[cfg(feature = "fault-injection")]
    panic_next: AtomicBool,
}

/// The reason why a loop has stopped turning.
enum Broken {
    /// Handling panicked, with this message.
    Panic(String),
    /// The host closed the descriptors.
    Lost,
}

thread_local! {
    /// The address of the reactor from whose seat this thread handles events; 0 for none.
    pub(super) static SEATED: Cell<usize> = const { Cell::new(0) };
}

/// What one thread needs to turn a loop.
pub(crate) struct Turn {
    pub(super) events: Events,
    buffer: ReadBuffer,
}

impl Turn {
    pub(crate) fn new() -> Result<Turn> {
        let buffer = ReadBuffer::new()
            .ok_or_else(|| Error::new(ErrorKind::OutOfMemory, "wait", "no memory for a read buffer"))?;
        Ok(Turn { events: Events::new(), buffer })
    }
}

impl Reactor {
    pub(crate) fn new() -> Result<Reactor> {
        let seat = Mutex::new(Some(Box::new(Turn::new()?)));
        let (poller, timers) = (Poller::new(WAKER)?, Timers::new()?);
        poller
            .watch(timers.timer(), TIMER, Interest::Readable)
            .map_err(|errno| Error::system("open service", "epoll", errno))?;
        Ok(Reactor {
            generation: Generation::now(),
            poller,
            timers,
            spools: Spools::default(),
            groups: Groups::default(),
            seat,
            relieved: AtomicBool::new(false),
            broken: OnceLock::new(),
            blocks: Arc::new(Pool::new(POOLED_BLOCKS)),
            #[cfg(feature = "fault-injection")]
            panic_next: AtomicBool::new(false),
        })
    }

    /// Replaces the deadline of a key, on CLOCK_MONOTONIC; [`NEVER`](super::NEVER) is none.
    pub(crate) fn set_deadline(&self, key: u64, old: u64, new: u64) {
        self.timers.set(key, old, new);
    }

    /// Reports writes to a spool under `token` from now on; returns its watch number.
    pub(crate) fn follow(&self, file: &OwnedFd, token: u64) -> std::result::Result<i32, i32> {
        self.spools.follow(&self.poller, SPOOLS, file, token)
    }

    /// Ends what [`Reactor::follow`] began.
    pub(crate) fn unfollow(&self, watch: i32) {
        self.spools.unfollow(watch);
    }

    /// Returns the number of a recent pass over /proc that found no living member in this group; None if there is one,
    /// or if /proc does not tell.
    pub(crate) fn pass_without(&self, group: i32) -> Option<u64> {
        self.groups.pass_without(group)
    }

    /// Returns where blocks for output, and buffers for reads outside the loop, come from.
    pub(crate) fn blocks(&self) -> &Arc<Pool> {
        &self.blocks
    }

    /// Fails with what broke this loop.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        match self.broken.get() {
            None => Ok(()),
            Some(Broken::Panic(message)) => Err(Error::new(ErrorKind::Panic, operation, message.clone())),
            Some(Broken::Lost) => Err(Error::system(operation, "", libc::EBADF)
                .because("the host closed descriptors of the library, and this service is no more")),
        }
    }

    /// Returns the process in which it turns.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Fails in a child of fork.
    pub(crate) fn check_fork(&self, operation: &'static str) -> Result<()> {
        self.generation.check(operation)
    }

    /// Returns whether this is a child of fork, for calls that cannot fail.
    pub(crate) fn is_forked(&self) -> bool {
        self.generation.is_over()
    }

    /// Like [`Reactor::check`], and looks whether the descriptors are still ours. Called before one of them is used.
    pub(crate) fn check_descriptors(&self, handler: &dyn Handler, operation: &'static str) -> Result<()> {
        if !self.poller.is_lost() && !self.poller.is_intact() {
            self.lose(handler);
        }
        match self.broken.get() {
            Some(Broken::Lost) => self.check(operation),
            _ => Ok(()),
        }
    }

    /// Runs the supervisor: turns until `done`, or until the descriptors are lost.
    pub(crate) fn supervise(&self, handler: &dyn Handler, mut turn: Turn, done: impl Fn() -> bool) {
        while !done() {
            match self.poller.wait_as_supervisor(&mut turn.events, Some(self.timers.timer().as_fd())) {
                Ok(false) => {}
                Ok(true) => self.relieve(handler, &mut turn.buffer),
                Err(_) => return self.lose(handler),
            }
            let woken = self.handle(handler, &mut turn);
            if woken {
                self.pass_on();
            }
        }
    }

    /// Gives the seat back its wake-ups. One of them may have been for the seated thread, if the supervisor was on its
    /// way when the seat was taken, or has relieved that thread. From now on wake-ups are the seat's alone, so that the
    /// next one reaches it.
    fn pass_on(&self) {
        let seat = lock(&self.seat);
        if seat.is_none() {
            self.relieved.store(false, Ordering::Relaxed);
            self.poller.switch_supervisor(false);
            self.poller.wake();
        }
    }

    /// Meets deadlines in place of the seated thread, which is the host's and may be in a signal handler. If the
    /// supervisor finds any due, it goes on with all that comes until that thread is back.
    fn relieve(&self, handler: &dyn Handler, buffer: &mut ReadBuffer) {
        let handled = catch_unwind(AssertUnwindSafe(|| self.meet_deadlines(handler, buffer)));
        match handled {
            Ok(true) => {
                let seat = lock(&self.seat);
                if seat.is_none() {
                    self.relieved.store(true, Ordering::Relaxed);
                    self.poller.switch_supervisor(true);
                }
            }
            Ok(false) => {}
            Err(payload) => self.break_with(handler, payload.as_ref()),
        }
    }

    /// Hands what is due to the handler. Returns whether there was anything.
    fn meet_deadlines(&self, handler: &dyn Handler, buffer: &mut ReadBuffer) -> bool {
        #[cfg(feature = "fault-injection")]
        if self.panic_next.swap(false, Ordering::SeqCst) {
            panic!("injected into the supervisor");
        }
        let now = monotonic_ns();
        let due = self.timers.due(now);
        due.iter().for_each(|key| handler.deadline(*key, now, buffer));
        !due.is_empty()
    }

    /// Handles what a wait brought. Returns whether the waker was among it.
    pub(super) fn handle(&self, handler: &dyn Handler, turn: &mut Turn) -> bool {
        let Turn { events, buffer } = turn;
        let mut woken = false;
        if events.iter().any(|(token, _)| token == LOST) {
            self.lose(handler);
            return true;
        }
        for (token, hang_up) in events.iter() {
            if token == WAKER {
                self.poller.clear_wake();
                woken = true;
                continue;
            }
            let handled = catch_unwind(AssertUnwindSafe(|| match token {
                TIMER => {
                    self.meet_deadlines(handler, buffer);
                }
                SPOOLS => self.spools.changed().into_iter().for_each(|token| handler.handle(token, false, buffer)),
                _ => handler.handle(token, hang_up, buffer),
            }));
            if let Err(payload) = handled {
                self.break_with(handler, payload.as_ref());
            }
        }
        woken
    }

    /// Marks the service broken by a panic, and tells every waiter.
    pub(crate) fn break_with(&self, handler: &dyn Handler, payload: &(dyn Any + Send)) {
        let _ = self.broken.set(Broken::Panic(panic_message(payload)));
        handler.broken();
        self.poller.wake();
    }

    /// Marks the service broken because the host closed the descriptors, and tells every waiter.
    pub(super) fn lose(&self, handler: &dyn Handler) {
        self.poller.lose();
        let _ = self.broken.set(Broken::Lost);
        self.timers.timer().lose();
        self.spools.lose();
        handler.lost();
        handler.broken();
    }

    /// Returns what [`SEATED`] is while a thread handles events from its seat.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Tells the seated thread that something it waits for has changed. If that is this thread it looks by itself.
    pub(crate) fn wake_seat(&self) {
        if SEATED.get() != self.address() {
            self.poller.wake();
        }
    }

    /// Tells the supervisor that it has something to decide that no descriptor reports.
    pub(crate) fn wake_supervisor(&self) {
        self.poller.wake_supervisor();
    }

    /// Makes the next turn panic, for tests of what a panic does.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn panic_at_next_turn(&self) {
        self.panic_next.store(true, Ordering::SeqCst);
        self.timers.timer().set(Some(1));
    }
}
