//! Who turns the loop. A service's supervisor thread does, unless a thread that waits for something of that
//! service has taken the *seat*: it then waits in the poller itself and handles what comes, so that what it
//! waits for reaches it without a hand-off between threads. There is one seat; further waiters sleep. A subscription
//! that drives ([`crate::Subscription::drive`]) keeps it, for a host whose event loop does the waiting.
//!
//! Every event goes to exactly one thread, and handling is guarded by each process's own lock, so it does not
//! matter who handles what. A thread that changes something the seated one waits for wakes the poller.

use std::any::Any;
use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use crossbeam::queue::ArrayQueue;

use super::lock::lock;
use super::panic::panic_message;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::buffer::ReadBuffer;
use crate::sys::poller::{Events, LOST, Poller};

/// The token of the poller's waker; all others belong to the handler.
pub(crate) const WAKER: u64 = 0;

/// Whoever owns a loop and handles its events.
pub(crate) trait Handler: Send + Sync {
    fn reactor(&self) -> &Reactor;
    /// Handles one event; on any thread, several at once.
    fn handle(&self, token: u64, hang_up: bool, buffer: &mut ReadBuffer);
    /// Handling panicked, or the descriptors are lost: the service is broken, everybody who waits must learn it.
    fn broken(&self);
    /// Readable from the next deadline on, until that was handled.
    fn timer(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Handles what is due. Was there anything?
    fn handle_deadlines(&self, _buffer: &mut ReadBuffer) -> bool {
        false
    }
    /// The host closed our descriptors: whose number is kept must be forgotten without being closed, for it may be the
    /// host's now. [`Handler::broken`] follows.
    fn lost(&self) {}
}

pub(crate) struct Reactor {
    pub(crate) poller: Poller,
    /// None while somebody sits in it.
    pub(super) seat: Mutex<Option<Box<Turn>>>,
    /// The supervisor has taken over from a seated thread that was late.
    pub(super) relieved: AtomicBool,
    broken: OnceLock<Broken>,
    /// For reads outside the loop.
    buffers: ArrayQueue<ReadBuffer>,
}

/// Why a loop turns no more.
enum Broken {
    Panic(String),
    /// The host closed the descriptors.
    Lost,
}

thread_local! {
    /// Set while this thread handles events from the seat.
    pub(super) static SEATED: Cell<bool> = const { Cell::new(false) };
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
        Ok(Reactor {
            poller: Poller::new(WAKER)?,
            seat,
            relieved: AtomicBool::new(false),
            broken: OnceLock::new(),
            buffers: ArrayQueue::new(2),
        })
    }

    /// A buffer for a read outside the loop; None when memory is short.
    pub(crate) fn spare_buffer(&self) -> Option<ReadBuffer> {
        self.buffers.pop().or_else(ReadBuffer::new)
    }

    pub(crate) fn keep_buffer(&self, buffer: ReadBuffer) {
        // Dropped where there are enough.
        drop(self.buffers.push(buffer));
    }

    /// What broke this loop, as an error.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        match self.broken.get() {
            None => Ok(()),
            Some(Broken::Panic(message)) => Err(Error::new(ErrorKind::Panic, operation, message.clone())),
            Some(Broken::Lost) => Err(Error::system(operation, "", libc::EBADF)
                .because("the host closed descriptors of the library, and this service is no more")),
        }
    }

    /// As [`Reactor::check`], and looks whether the descriptors are still ours: before something is done with one.
    pub(crate) fn check_descriptors(&self, handler: &dyn Handler, operation: &'static str) -> Result<()> {
        if !self.poller.is_lost() && !self.poller.is_intact() {
            self.lose(handler);
        }
        match self.broken.get() {
            Some(Broken::Lost) => self.check(operation),
            _ => Ok(()),
        }
    }

    /// The supervisor's life: turns until `done`, or until the descriptors are lost.
    pub(crate) fn supervise(&self, handler: &dyn Handler, mut turn: Turn, done: impl Fn() -> bool) {
        while !done() {
            match self.poller.wait_as_supervisor(&mut turn.events, handler.timer()) {
                Ok(false) => {}
                Ok(true) => self.meet_deadlines(handler, &mut turn.buffer),
                Err(_) => return self.lose(handler),
            }
            let woken = self.handle(handler, &mut turn);
            if woken {
                self.pass_on();
            }
        }
    }

    /// A wake-up may have been for the seat: we were on our way when it was taken, or have relieved it. From now on it is the
    /// seat's alone, so that the next one reaches it.
    fn pass_on(&self) {
        let seat = lock(&self.seat);
        if seat.is_none() {
            self.relieved.store(false, Ordering::Relaxed);
            self.poller.switch_supervisor(false);
            self.poller.wake();
        }
    }

    /// Deadlines are met also while the seated thread, which is the host's, runs a signal handler. What the supervisor
    /// finds due it handles, and goes on with all that comes until that thread is back.
    fn meet_deadlines(&self, handler: &dyn Handler, buffer: &mut ReadBuffer) {
        let handled = catch_unwind(AssertUnwindSafe(|| handler.handle_deadlines(buffer)));
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

    /// Handles what a wait brought; was the waker among it?
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
            let handled = catch_unwind(AssertUnwindSafe(|| handler.handle(token, hang_up, buffer)));
            if let Err(payload) = handled {
                self.break_with(handler, payload.as_ref());
            }
        }
        woken
    }

    /// Marks the service broken by a panic, and tells everybody.
    pub(crate) fn break_with(&self, handler: &dyn Handler, payload: &(dyn Any + Send)) {
        let _ = self.broken.set(Broken::Panic(panic_message(payload)));
        handler.broken();
        self.poller.wake();
    }

    /// Marks the service broken because the host closed the descriptors, and tells everybody.
    pub(super) fn lose(&self, handler: &dyn Handler) {
        self.poller.lose();
        let _ = self.broken.set(Broken::Lost);
        handler.lost();
        handler.broken();
    }

    /// Something that the seated thread waits for has changed.
    pub(crate) fn wake_seat(&self) {
        if !SEATED.get() {
            self.poller.wake();
        }
    }

    /// The supervisor has something to decide that no descriptor reports.
    pub(crate) fn wake_supervisor(&self) {
        self.poller.wake_supervisor();
    }
}
