//! Who turns the loop. A service's supervisor thread does, unless a thread that waits for something of that
//! service has taken the *seat*: it then waits in the poller itself and handles what comes, so that what it
//! waits for reaches it without a hand-off between threads. There is one seat; further waiters sleep. A subscription
//! that drives ([`super::subscription::Subscription::drive`]) keeps it, for a host whose event loop does the waiting.
//!
//! Every event goes to exactly one thread, and handling is guarded by each process's own lock, so it does not
//! matter who handles what. A thread that changes something the seated one waits for wakes the poller.

use std::any::Any;
use std::cell::Cell;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use crossbeam::queue::ArrayQueue;

use super::wait::lock;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::buffer::ReadBuffer;
use crate::sys::fork;
use crate::sys::poller::{Events, LOST, Poller};

/// The token of the poller's waker; all others belong to the host.
pub(crate) const WAKER: u64 = 0;

/// Whoever owns a loop and handles its events.
pub(crate) trait Host: Send + Sync {
    fn driver(&self) -> &Driver;
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
    /// host's now. [`Host::broken`] follows.
    fn lost(&self) {}
}

pub(crate) struct Driver {
    pub(crate) poller: Poller,
    /// None while somebody sits in it.
    seat: Mutex<Option<Box<Turn>>>,
    /// The supervisor has taken over from a seated thread that was late.
    relieved: AtomicBool,
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
    static SEATED: Cell<bool> = const { Cell::new(false) };
}

/// What one thread needs to turn a loop.
pub(crate) struct Turn {
    events: Events,
    buffer: ReadBuffer,
}

impl Turn {
    pub(crate) fn new() -> Result<Turn> {
        let buffer = ReadBuffer::new()
            .ok_or_else(|| Error::new(ErrorKind::OutOfMemory, "wait", "no memory for a read buffer"))?;
        Ok(Turn { events: Events::new(), buffer })
    }
}

impl Driver {
    pub(crate) fn new() -> Result<Driver> {
        let seat = Mutex::new(Some(Box::new(Turn::new()?)));
        Ok(Driver {
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

    /// As [`Driver::check`], and looks whether the descriptors are still ours: before something is done with one.
    pub(crate) fn check_descriptors(&self, host: &dyn Host, operation: &'static str) -> Result<()> {
        if !self.poller.is_lost() && !self.poller.is_intact() {
            self.lose(host);
        }
        match self.broken.get() {
            Some(Broken::Lost) => self.check(operation),
            _ => Ok(()),
        }
    }

    /// The supervisor's life: turns until `done`, or until the descriptors are lost.
    pub(crate) fn supervise(&self, host: &dyn Host, mut turn: Turn, done: impl Fn() -> bool) {
        while !done() {
            match self.poller.wait_as_supervisor(&mut turn.events, host.timer()) {
                Ok(false) => {}
                Ok(true) => self.meet_deadlines(host, &mut turn.buffer),
                Err(_) => return self.lose(host),
            }
            let woken = self.handle(host, &mut turn);
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
    fn meet_deadlines(&self, host: &dyn Host, buffer: &mut ReadBuffer) {
        let handled = catch_unwind(AssertUnwindSafe(|| host.handle_deadlines(buffer)));
        match handled {
            Ok(true) => {
                let seat = lock(&self.seat);
                if seat.is_none() {
                    self.relieved.store(true, Ordering::Relaxed);
                    self.poller.switch_supervisor(true);
                }
            }
            Ok(false) => {}
            Err(payload) => self.break_with(host, payload.as_ref()),
        }
    }

    /// Handles what a wait brought; was the waker among it?
    fn handle(&self, host: &dyn Host, turn: &mut Turn) -> bool {
        let Turn { events, buffer } = turn;
        let mut woken = false;
        if events.iter().any(|(token, _)| token == LOST) {
            self.lose(host);
            return true;
        }
        for (token, hang_up) in events.iter() {
            if token == WAKER {
                self.poller.clear_wake();
                woken = true;
                continue;
            }
            let handled = catch_unwind(AssertUnwindSafe(|| host.handle(token, hang_up, buffer)));
            if let Err(payload) = handled {
                self.break_with(host, payload.as_ref());
            }
        }
        woken
    }

    /// Marks the service broken by a panic, and tells everybody.
    pub(crate) fn break_with(&self, host: &dyn Host, payload: &(dyn Any + Send)) {
        let _ = self.broken.set(Broken::Panic(panic_message(payload)));
        host.broken();
        self.poller.wake();
    }

    /// Marks the service broken because the host closed the descriptors, and tells everybody.
    fn lose(&self, host: &dyn Host) {
        self.poller.lose();
        let _ = self.broken.set(Broken::Lost);
        host.lost();
        host.broken();
    }

    /// Something that the seated thread waits for has changed.
    pub(super) fn wake_seat(&self) {
        if !SEATED.get() {
            self.poller.wake();
        }
    }

    /// The supervisor has something to decide that no descriptor reports.
    pub(crate) fn wake_supervisor(&self) {
        self.poller.wake_supervisor();
    }
}

/// What a turn of the loop has handled.
#[derive(Default)]
pub(super) struct Turned {
    pub(super) events: usize,
    /// The poller's waker was among them.
    pub(super) woken: bool,
}

/// The right to turn the loop of `host`, a borrowed or a shared one, in place of the supervisor.
pub(super) struct Seat<'a, H: Deref<Target = dyn Host + 'a>> {
    host: H,
    /// Until dropped.
    turn: Option<Box<Turn>>,
}

impl<'a, H: Deref<Target = dyn Host + 'a>> Seat<'a, H> {
    /// The seat, if it is free.
    pub(super) fn take(host: H) -> Option<Self> {
        let turn = lock(&host.driver().seat).take()?;
        host.driver().poller.switch_supervisor(false);
        Some(Seat { host, turn: Some(turn) })
    }

    /// Waits up to `timeout_ms` and handles what came.
    pub(super) fn turn(&mut self, timeout_ms: i32) -> Turned {
        let Seat { host, turn: Some(turn) } = self else { return Turned::default() };
        let driver = host.driver();
        if driver.poller.wait(&mut turn.events, timeout_ms).is_err() {
            driver.lose(&**host);
            return Turned::default();
        }
        if driver.relieved.load(Ordering::Relaxed) && driver.relieved.swap(false, Ordering::Relaxed) {
            driver.poller.switch_supervisor(false);
        }
        SEATED.set(true);
        let woken = driver.handle(&**host, turn);
        SEATED.set(false);
        Turned { events: turn.events.count(), woken }
    }
}

impl<'a, H: Deref<Target = dyn Host + 'a>> Drop for Seat<'a, H> {
    fn drop(&mut self) {
        if fork::happened() {
            // Descriptors are shared with the parent, whose loop this would disturb.
            return;
        }
        let driver = self.host.driver();
        // In one step for the supervisor, which switches itself off while nobody is in the seat.
        let mut seat = lock(&driver.seat);
        driver.poller.switch_supervisor(true);
        *seat = self.turn.take();
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    format!("panicked: {text}")
}
