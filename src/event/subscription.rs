//! [`Subscription`]: a mailbox per process, a ready list, and takers.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::batch::Batch;
use super::event::{Ending, RunPart, Stream};
use super::mailbox::{Buffer, Cursor, Limits, Mailbox, RecordKind};
pub(crate) use super::mailbox::{Origin, RunRecord};
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{self, Deadline, Gate, Handler, Seat, Turned, lock};
use crate::sys::clock::Stamp;
use crate::sys::fork;
use crate::sys::poller::Window;

/// Whose events a subscription gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionScope {
    /// Those of every process of the service that is spawned, and every run that is started, after it opened.
    #[default]
    All,
    /// Those of processes whose command named it, and of runs whose options did, with their processes.
    Named,
}

/// How output is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As read.
    Chunks,
    /// A line an event.
    #[default]
    Lines,
    /// Not at all: lifecycle events alone.
    None,
}

/// Which events, other than output, are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    /// All of them.
    #[default]
    All,
    /// The last of each process, [`EventKind::Closed`](crate::EventKind::Closed), and the last of each run,
    /// [`EventKind::RunEnded`](crate::EventKind::RunEnded): for who waits for ends, a third of the batches. Of a
    /// run's processes also the first, [`EventKind::Started`](crate::EventKind::Started), because nobody else tells
    /// of them.
    Ends,
}

/// What a subscription wants. Zero sizes are the defaults, `u64::MAX` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Whose events.
    pub scope: SubscriptionScope,
    /// In which form.
    pub delivery: Delivery,
    /// Which of the other events.
    pub lifecycle: Lifecycle,
    /// Bytes that may wait for each process (0: 1 MiB). When so many wait, that child's pipes are not read,
    /// and the kernel slows it; no other child is affected. One read, or one line, may go beyond it.
    pub queue_bytes: u64,
    /// Longest line, in bytes without its `\n` (0: 1 MiB). A longer one arrives in pieces of this size.
    pub max_line_bytes: u64,
}

impl SubscriptionOptions {
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let check = |field, bytes| if bytes == u64::MAX { Ok(()) } else { check_size(operation, field, bytes) };
        check("queue_bytes", self.queue_bytes)?;
        check("max_line_bytes", self.max_line_bytes)
    }

    fn limits(&self) -> Limits {
        const DEFAULT: u64 = 1024 * 1024;
        let size = |bytes: u64| usize::try_from(if bytes == 0 { DEFAULT } else { bytes }).unwrap_or(usize::MAX);
        Limits { queue_bytes: size(self.queue_bytes), max_line: size(self.max_line_bytes) }
    }
}

/// Sizes above what memory can have are mistakes.
pub(crate) fn check_size(operation: &'static str, field: &str, bytes: u64) -> Result<()> {
    if isize::try_from(bytes).is_ok() {
        return Ok(());
    }
    Err(Error::invalid(operation, format!("{field}: {bytes} bytes are out of range")))
}

/// A producer of events that can be told to go on.
pub(crate) trait Source: Any + Send + Sync {
    /// A queue that was full has room again. Called without any lock.
    fn resume(&self);
}

/// Whose events are pushed.
pub(crate) struct Sender {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) source: Arc<dyn Source>,
}

/// A run: its events are too few to be held back.
struct Unpaused;

impl Source for Unpaused {
    fn resume(&self) {}
}

/// The seat of a subscription that drives; None once that has ended.
type DrivingSeat = Mutex<Option<Seat<'static, Arc<dyn Handler>>>>;

/// The shared part of a subscription.
pub(crate) struct Core {
    handler: Arc<dyn Handler>,
    delivery: Delivery,
    lifecycle: Lifecycle,
    pub(crate) scope: SubscriptionScope,
    limits: Limits,
    state: Mutex<State>,
    /// Set by who drives. Locked before `state`.
    seat: OnceLock<DrivingSeat>,
    takers: Gate,
    /// On the same mutex: those who wait for the dispatcher to end.
    closers: Gate,
}

#[derive(Default)]
struct State {
    /// Of those that have had an event: most of many idle processes cost nothing here. Boxed, because up to half of
    /// a map is empty.
    boxes: HashMap<u64, Box<Mailbox>>,
    ready: VecDeque<u64>,
    spare: Vec<Buffer>,
    /// Processes that are not closed yet, and runs that have not ended.
    attached: usize,
    /// No process can be added any more.
    source_ended: bool,
    closed: bool,
    watch: Watch,
    dispatcher: Dispatcher,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Dispatcher {
    #[default]
    None,
    Running,
    Ended,
}

/// What a look brings.
enum Next {
    Batch(Batch),
    /// Nothing will come any more.
    Ended,
}

const TAKE: &str = "take";

/// Buffers kept for the next batches.
const SPARE_BUFFERS: usize = 4;

/// Turns of the loop in one take.
const TURNS: usize = 16;

impl Core {
    pub(crate) fn new(handler: Arc<dyn Handler>, options: SubscriptionOptions) -> Core {
        Core {
            handler,
            delivery: options.delivery,
            lifecycle: options.lifecycle,
            scope: options.scope,
            limits: options.limits(),
            state: Mutex::new(State::default()),
            seat: OnceLock::new(),
            takers: Gate::default(),
            closers: Gate::default(),
        }
    }

    /// Is `host` the one whose loop this subscription's takers turn?
    pub(crate) fn belongs_to(&self, handler: &dyn Handler) -> bool {
        std::ptr::eq(self.handler.reactor(), handler.reactor())
    }

    /// Adds a process; its first event is `started`. False when the subscription is closed.
    pub(crate) fn attach(&self, sender: &Sender, time: Stamp) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        state.attached += 1;
        if sender.origin.part.is_some() || self.lifecycle == Lifecycle::All {
            state.mailbox(sender).push_lifecycle(RecordKind::Started, time, &[]);
            self.announce(&mut state, sender.id);
        }
        true
    }

    /// Adds a run; its first event is `started`. False when the subscription is closed.
    pub(crate) fn attach_run(&self, run_id: u64, time: Stamp) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        state.attached += 1;
        let part = RunPart { run_id, spec: None, attempt: 0 };
        let origin = Origin { pid: 0, part: Some(part) };
        let mailbox = state.mailbox(&Sender { id: run_id, origin, source: Arc::new(Unpaused) });
        if self.lifecycle == Lifecycle::All {
            mailbox.push_lifecycle(RecordKind::Run(RunRecord::Started, None), time, &[]);
            self.announce(&mut state, run_id);
        }
        true
    }

    /// Takes a process back that could not be watched; false when somebody has seen an event of it, and is owed its
    /// end.
    pub(crate) fn detach(&self, id: u64) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return true;
        }
        if state.boxes.get(&id).is_some_and(|mailbox| mailbox.is_seen()) {
            return false;
        }
        state.boxes.remove(&id);
        state.attached -= 1;
        self.end_if_over(&mut state);
        true
    }

    /// Output of a process. True: its queue is full, stop reading.
    pub(crate) fn push_output(&self, sender: &Sender, stream: Stream, bytes: &[u8], time: Stamp) -> bool {
        if self.delivery == Delivery::None {
            return false;
        }
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        let mailbox = state.mailbox(sender);
        match self.delivery {
            Delivery::Lines => mailbox.push_lines(stream, bytes, time, self.limits),
            _ => mailbox.push_chunk(stream, bytes, time, self.limits),
        }
        let full = mailbox.is_full();
        self.announce(&mut state, sender.id);
        full
    }

    pub(crate) fn push_exited(&self, sender: &Sender, ending: Ending, time: Stamp) {
        let mut state = lock(&self.state);
        if state.closed || self.lifecycle == Lifecycle::Ends {
            return;
        }
        state.mailbox(sender).push_lifecycle(RecordKind::Exited(ending), time, &[]);
        self.announce(&mut state, sender.id);
    }

    /// The last event of a process. `holders` is the text of a close at the drain bound.
    pub(crate) fn push_closed(&self, sender: &Sender, ending: Ending, holders: Option<&str>, time: Stamp) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        let mailbox = state.mailbox(sender);
        mailbox.flush_partial(time);
        let kind = RecordKind::Closed { ending, drain_bound: holders.is_some() };
        mailbox.push_lifecycle(kind, time, holders.unwrap_or_default().as_bytes());
        mailbox.finished = true;
        state.attached -= 1;
        self.announce(&mut state, sender.id);
        self.end_if_over(&mut state);
    }

    /// What happened to a run, and to which attempt of which spec.
    pub(crate) fn push_run(&self, id: u64, what: RunRecord, spec: Option<(usize, u32)>, text: &str, time: Stamp) {
        let mut state = lock(&self.state);
        let Some(mailbox) = state.boxes.get_mut(&id) else { return };
        let ended = matches!(what, RunRecord::Ended { .. });
        if ended || self.lifecycle == Lifecycle::All {
            mailbox.push_lifecycle(RecordKind::Run(what, spec), time, text.as_bytes());
        }
        mailbox.finished |= ended;
        state.attached -= usize::from(ended);
        self.announce(&mut state, id);
        self.end_if_over(&mut state);
    }

    /// Is the queue of this process full?
    pub(crate) fn is_full(&self, id: u64) -> bool {
        lock(&self.state).boxes.get(&id).is_some_and(|mailbox| mailbox.is_full())
    }

    /// No process will be attached any more.
    pub(crate) fn end_source(&self) {
        let mut state = lock(&self.state);
        state.source_ended = true;
        self.end_if_over(&mut state);
    }

    /// The service is broken: waiters look again.
    pub(crate) fn wake_all(&self) {
        let mut state = lock(&self.state);
        self.takers.notify_all(self.handler.reactor());
        self.closers.notify_all(self.handler.reactor());
        state.watch.ring(self.handler.reactor());
    }

    /// The host closed our descriptors: what its loop watches is its own matter now.
    pub(crate) fn lose(&self) {
        lock(&self.state).watch.lose();
    }

    fn announce(&self, state: &mut State, id: u64) {
        let Some(mailbox) = state.boxes.get_mut(&id) else { return };
        if !mailbox.listed && mailbox.has_batch() {
            mailbox.listed = true;
            state.ready.push_back(id);
            state.watch.ring(self.handler.reactor());
            self.takers.notify_one(self.handler.reactor());
        }
    }

    fn end_if_over(&self, state: &mut State) {
        if state.is_over() {
            state.watch.end(self.handler.reactor());
            self.takers.notify_all(self.handler.reactor());
        }
    }

    fn take(self: &Arc<Self>, deadline: Deadline) -> Result<Batch> {
        let taken = match self.seat.get() {
            Some(seat) => self.take_driving(seat, deadline)?,
            None => runtime::wait(&*self.handler, TAKE, (&self.state, &self.takers), deadline, |state| {
                self.next_or_arm(state)
            })?,
        };
        match taken {
            Some(Next::Batch(batch)) => Ok(batch),
            Some(Next::Ended) => Err(Error::new(ErrorKind::Closed, TAKE, "the stream of events has ended")),
            None => Err(Error::new(ErrorKind::TimedOut, TAKE, "no event came in time")),
        }
    }

    /// A take of who drives; the one that finds the end gives the seat back, for there may be processes that this
    /// subscription has never seen.
    fn take_driving(self: &Arc<Self>, seat: &DrivingSeat, deadline: Deadline) -> Result<Option<Next>> {
        if !deadline.only_looks() {
            return Err(Error::invalid(TAKE, "timeout: must be 0 where the subscription drives the service"));
        }
        lock(&self.state).watch.enter();
        let next = self.turn_for_next(seat);
        let reactor = self.handler.reactor();
        // A panic is for everybody, and its wake-up may have been taken here, with a batch.
        let broken = reactor.check(TAKE).is_err();
        let mut guard = lock(&self.state);
        let State { watch, ready, .. } = &mut *guard;
        watch.leave(broken || !ready.is_empty(), reactor);
        drop(guard);
        if matches!(next, Ok(Some(Next::Ended))) {
            *lock(seat) = None;
        }
        next
    }

    /// Turns the loop until there is a batch, or nothing more to handle.
    fn turn_for_next(self: &Arc<Self>, seat: &DrivingSeat) -> Result<Option<Next>> {
        let mut turned = Turned::default();
        for _ in 0..TURNS {
            {
                let mut guard = lock(&self.state);
                let state = &mut *guard;
                if turned.woken {
                    state.watch.taken();
                }
                if let Some(next) = self.next(state) {
                    return Ok(Some(next));
                }
            }
            self.handler.reactor().check(TAKE)?;
            // Behind another taker too, and not in its place: what it leaves when it has its batch may have had its
            // edge already, with this one.
            turned = lock(seat).as_mut().map(|seat| seat.turn(0)).unwrap_or_default();
            if turned.events == 0 {
                self.handler.reactor().check(TAKE)?;
                return Ok(self.next_or_arm(&mut lock(&self.state)));
            }
        }
        // Children that write without pause, to nobody here: the host is to have a turn, too.
        self.handler.reactor().poller.wake();
        Ok(None)
    }

    fn next(self: &Arc<Self>, state: &mut State) -> Option<Next> {
        match self.next_batch(state) {
            Some(batch) => Some(Next::Batch(batch)),
            None => (state.closed || state.is_over()).then_some(Next::Ended),
        }
    }

    fn next_or_arm(self: &Arc<Self>, state: &mut State) -> Option<Next> {
        let next = self.next(state);
        if next.is_none() {
            state.watch.arm();
        }
        next
    }

    fn next_batch(self: &Arc<Self>, state: &mut State) -> Option<Batch> {
        while let Some(id) = state.ready.pop_front() {
            let State { boxes, spare, .. } = state;
            let Some(mailbox) = boxes.get_mut(&id) else { continue };
            mailbox.listed = false;
            if !mailbox.has_batch() {
                continue;
            }
            let taken = mailbox.take(|| spare.pop().unwrap_or_default());
            let batch = Batch::new(Arc::clone(self), id, mailbox.origin, mailbox.sequence, taken);
            if !state.ready.is_empty() {
                self.takers.notify_one(self.handler.reactor());
            }
            return Some(batch);
        }
        None
    }

    /// Whose events come under this id; None once they are over or the subscription is closed.
    pub(super) fn source(&self, id: u64) -> Option<Arc<dyn Source>> {
        lock(&self.state).boxes.get(&id).map(|mailbox| Arc::clone(&mailbox.source))
    }

    /// A batch is done with: `end` is None when all of it was taken.
    pub(super) fn give_back(&self, id: u64, last_sequence: u64, mut buffer: Buffer, end: Option<Cursor>) {
        if fork::happened() {
            return;
        }
        let mut state = lock(&self.state);
        let rest = match end {
            Some(end) => Some((buffer, end)),
            None => {
                buffer.clear();
                let keeps = buffer.arena.capacity() <= self.limits.queue_bytes.saturating_mul(2);
                if keeps && state.spare.len() < SPARE_BUFFERS {
                    state.spare.push(buffer);
                }
                None
            }
        };
        let Some(mailbox) = state.boxes.get_mut(&id) else { return };
        mailbox.sequence = last_sequence;
        let source = mailbox.give_back(rest, self.limits).then(|| Arc::clone(&mailbox.source));
        if mailbox.finished && mailbox.is_empty() {
            state.boxes.remove(&id);
            self.end_if_over(&mut state);
        } else {
            self.announce(&mut state, id);
        }
        drop(state);
        if let Some(source) = source {
            source.resume();
        }
    }

    /// Ends the subscription; what waits is discarded and backpressure lifted.
    pub(crate) fn close(&self) {
        // What it closes is ours, or not touched.
        let _ = self.handler.reactor().check_descriptors(&*self.handler, "close");
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.closed = true;
        let boxes = std::mem::take(&mut state.boxes);
        state.ready.clear();
        state.spare.clear();
        state.watch.end(self.handler.reactor());
        self.takers.notify_all(self.handler.reactor());
        drop(state);
        if let Some(seat) = self.seat.get() {
            *lock(seat) = None;
        }
        for source in boxes.into_values().filter(|mailbox| mailbox.is_full()).map(|mailbox| mailbox.source) {
            source.resume();
        }
    }

    /// Takes until the end; the dispatcher's loop.
    pub(super) fn run_callbacks(self: &Arc<Self>, mut callback: impl FnMut(&Batch)) {
        while let Ok(batch) = self.take(Deadline::after(None)) {
            runtime::in_callback(|| callback(&batch));
        }
    }

    pub(super) fn dispatcher_started(&self) {
        lock(&self.state).dispatcher = Dispatcher::Running;
    }

    pub(super) fn dispatcher_ended(&self) {
        let mut state = lock(&self.state);
        state.dispatcher = Dispatcher::Ended;
        self.closers.notify_all(self.handler.reactor());
    }

    fn wait_for_dispatcher(&self) -> Result<()> {
        let gate = (&self.state, &self.closers);
        runtime::wait(&*self.handler, "close", gate, Deadline::after(None), |state| {
            (state.dispatcher != Dispatcher::Running).then_some(())
        })?;
        Ok(())
    }
}

impl State {
    /// A sender's, made when it has none.
    fn mailbox(&mut self, sender: &Sender) -> &mut Mailbox {
        self.boxes.entry(sender.id).or_insert_with(|| Box::new(Mailbox::new(sender.origin, Arc::clone(&sender.source))))
    }

    fn is_over(&self) -> bool {
        self.source_ended && self.attached == 0 && self.boxes.values().all(|mailbox| mailbox.is_empty())
    }
}

/// A stream of the events of processes. Cheap to clone; thread-safe; dropping the last clone closes it.
///
/// With a callback ([`Service::listen`](crate::Service::listen)) a thread of its own, `coreproc-dsp`, takes
/// the events; otherwise take them with [`Subscription::take`], from as many threads as you like.
#[derive(Clone)]
pub struct Subscription(Arc<Handle>);

struct Handle {
    core: Arc<Core>,
    listens: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !fork::happened() {
            self.core.close();
        }
    }
}

impl Subscription {
    pub(crate) fn new(core: Arc<Core>, listens: bool) -> Subscription {
        Subscription(Arc::new(Handle { core, listens }))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// Takes a batch of up to `max_events` events of one process (0: all that wait), waiting up to `timeout`
    /// (None: for ever; zero: only looks).
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; [`ErrorKind::Closed`] at the end: after a close, or when the service is closed,
    /// all its processes too, and all events are taken.
    pub fn take(&self, max_events: usize, timeout: Option<Duration>) -> Result<Batch> {
        let mut batch = self.take_whole(timeout)?;
        if max_events > 0 {
            batch.collect(max_events, |_| ());
        }
        Ok(batch)
    }

    pub(crate) fn take_whole(&self, timeout: Option<Duration>) -> Result<Batch> {
        fork::check("take")?;
        self.refuse_listener("take")?;
        self.0.core.take(Deadline::after(timeout))
    }

    /// A descriptor that is readable while events may be waiting or the stream has ended: the end of a pipe,
    /// non-blocking, owned by the subscription. A [`take`](Subscription::take) that found nothing arms it.
    /// Its bytes mean nothing, and may be read.
    pub fn fd(&self) -> Result<RawFd> {
        const OPERATION: &str = "subscription fd";
        fork::check(OPERATION)?;
        self.refuse_listener(OPERATION)?;
        let mut state = lock(&self.0.core.state);
        if self.0.core.seat.get().is_some() {
            return Err(Error::invalid(OPERATION, "subscription: drives the service, and has the descriptor for that"));
        }
        let (ready, over) = (!state.ready.is_empty(), state.closed || state.is_over());
        state.watch.pipe(ready, over).map_err(|errno| Error::system(OPERATION, "pipe", errno))
    }

    /// Has the host's own event loop do the service's work, in [`take`](Subscription::take), without a hand-off
    /// between threads: the descriptor, an epoll's, is readable while there is work, and when the stream has ended,
    /// for an event loop that accepts one, level- or edge-triggered. It is owned by the subscription.
    ///
    /// Until the subscription is closed, or a take says [`ErrorKind::Closed`], nothing happens to the processes of the
    /// service but in takes: no output is read, no exit is seen. (Deadlines are met.) So whenever the descriptor
    /// is readable, take until [`ErrorKind::TimedOut`] or [`ErrorKind::Closed`], and soon. Those takes only look;
    /// another timeout is [`ErrorKind::InvalidArgument`]. Other waits of the service go on, and end when a take has
    /// brought what they wait for.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while another subscription drives, or another thread waits for something of the service
    /// (that of an earlier callback does, for as long as it lives): then [`Subscription::fd`] is left;
    /// [`ErrorKind::Closed`]; [`ErrorKind::System`].
    pub fn drive(&self) -> Result<RawFd> {
        const OPERATION: &str = "subscription drive";
        fork::check(OPERATION)?;
        self.refuse_listener(OPERATION)?;
        let core = &self.0.core;
        let mut state = lock(&core.state);
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, OPERATION, "the subscription is closed"));
        }
        if state.watch.has_pipe() {
            return Err(Error::invalid(OPERATION, "subscription: gave the descriptor of a pipe to be watched"));
        }
        if let Some(fd) = state.watch.window() {
            return Ok(fd);
        }
        let window =
            Window::on(&core.handler.reactor().poller).map_err(|errno| Error::system(OPERATION, "epoll", errno))?;
        let seat = Seat::take(Arc::clone(&core.handler)).ok_or_else(|| {
            Error::new(ErrorKind::Busy, OPERATION, "another subscription drives the service, or a thread waits")
        })?;
        // The lock of the state keeps others from coming first.
        let _ = core.seat.set(Mutex::new(Some(seat)));
        let (ready, over) = (!state.ready.is_empty(), state.is_over());
        Ok(state.watch.poller(window, ready, over, core.handler.reactor()))
    }

    /// Ends the subscription: discards what waits, lifts its backpressure, and wakes every taker. Idempotent.
    /// With a callback, waits until the dispatcher has ended, except from inside the callback.
    pub fn close(&self) -> Result<()> {
        fork::check("close")?;
        self.0.core.close();
        if self.0.listens && !runtime::is_in_callback() {
            self.0.core.wait_for_dispatcher()?;
        }
        Ok(())
    }

    fn refuse_listener(&self, operation: &'static str) -> Result<()> {
        if self.0.listens {
            return Err(Error::invalid(operation, "subscription: its callback takes the events"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::runtime::Reactor;
    use crate::sys::buffer::ReadBuffer;
    use crate::sys::pipe::{self, Bell};
    use crate::sys::poller::{Events, Interest, Poller};

    const FIRST: u64 = 1;
    const SECOND: u64 = 2;

    /// Its events bring a process each, and the first a panic.
    struct Stage {
        reactor: Reactor,
        core: OnceLock<Arc<Core>>,
        second: Bell,
        /// At the first event, this tells where in /proc the taker is who waits behind it.
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
            let sender = Sender { id: token, origin, source: Arc::new(Unpaused) };
            self.core.get().expect("core").attach(&sender, Stamp::now());
            assert!(token != FIRST, "injected");
        }

        fn broken(&self) {
            self.core.get().expect("core").wake_all();
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
        let stage = Arc::new(Stage { reactor, core: OnceLock::new(), second, handling });
        let handler = Arc::clone(&stage) as Arc<dyn Handler>;
        let core = Arc::new(Core::new(Arc::clone(&handler), SubscriptionOptions::default()));
        assert!(stage.core.set(Arc::clone(&core)).is_ok());
        let subscription = Subscription::new(core, false);
        let watched = pipe::duplicate_raw(subscription.drive().expect("drive")).expect("duplicate");
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
