//! [`Subscription`]: a mailbox per process, a ready list, and takers.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::batch::Batch;
use super::driver::Host;
use super::event::{Ending, RunPart, Stream};
use super::mailbox::{Buffer, Cursor, Limits, Mailbox, RecordKind};
pub(crate) use super::mailbox::{Origin, RunRecord};
use super::wait::{self, Deadline, Gate, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::clock::Stamp;
use crate::sys::fork;
use crate::sys::pipe::Bell;

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

/// What a subscription wants. Zero sizes are the defaults, `u64::MAX` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Whose events.
    pub scope: SubscriptionScope,
    /// In which form.
    pub delivery: Delivery,
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

/// A run: its events are too few to be held back.
struct Unpaused;

impl Source for Unpaused {
    fn resume(&self) {}
}

/// The shared part of a subscription.
pub(crate) struct Core {
    host: Arc<dyn Host>,
    delivery: Delivery,
    pub(crate) scope: SubscriptionScope,
    limits: Limits,
    state: Mutex<State>,
    takers: Gate,
    /// On the same mutex: those who wait for the dispatcher to end.
    closers: Gate,
}

#[derive(Default)]
struct State {
    boxes: HashMap<u64, Mailbox>,
    ready: VecDeque<u64>,
    spare: Vec<Buffer>,
    /// Processes that are not closed yet, and runs that have not ended.
    attached: usize,
    /// No process can be added any more.
    source_ended: bool,
    closed: bool,
    bell: Option<Bell>,
    rung: bool,
    dispatcher: Dispatcher,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Dispatcher {
    #[default]
    None,
    Running,
    Ended,
}

/// Buffers kept for the next batches.
const SPARE_BUFFERS: usize = 4;

impl Core {
    pub(crate) fn new(host: Arc<dyn Host>, options: SubscriptionOptions) -> Core {
        Core {
            host,
            delivery: options.delivery,
            scope: options.scope,
            limits: options.limits(),
            state: Mutex::new(State::default()),
            takers: Gate::default(),
            closers: Gate::default(),
        }
    }

    /// Is `host` the one whose loop this subscription's takers turn?
    pub(crate) fn belongs_to(&self, host: &dyn Host) -> bool {
        std::ptr::eq(self.host.driver(), host.driver())
    }

    /// Adds a process; its first event is `started`. False when the subscription is closed.
    pub(crate) fn attach(&self, id: u64, origin: Origin, source: Arc<dyn Source>, time: Stamp) -> bool {
        self.add(id, origin, source, RecordKind::Started, time)
    }

    /// Adds a run; its first event is `started`. False when the subscription is closed.
    pub(crate) fn attach_run(&self, run_id: u64, time: Stamp) -> bool {
        let part = RunPart { run_id, spec: None, attempt: 0 };
        let origin = Origin { pid: 0, part: Some(part) };
        self.add(run_id, origin, Arc::new(Unpaused), RecordKind::Run(RunRecord::Started, None), time)
    }

    fn add(&self, id: u64, origin: Origin, source: Arc<dyn Source>, first: RecordKind, time: Stamp) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        let mut mailbox = Mailbox::new(origin, source);
        mailbox.push_lifecycle(first, time, &[]);
        state.boxes.insert(id, mailbox);
        state.attached += 1;
        self.announce(&mut state, id);
        true
    }

    /// Takes a process back that could not be watched; false when somebody has seen an event of it, and is owed its
    /// end.
    pub(crate) fn detach(&self, id: u64) -> bool {
        let mut state = lock(&self.state);
        if state.boxes.get(&id).is_some_and(Mailbox::is_seen) {
            return false;
        }
        if state.boxes.remove(&id).is_some() {
            state.attached -= 1;
            self.end_if_over(&mut state);
        }
        true
    }

    /// Output of a process. True: its queue is full, stop reading.
    pub(crate) fn push_output(&self, id: u64, stream: Stream, bytes: &[u8], time: Stamp) -> bool {
        if self.delivery == Delivery::None {
            return false;
        }
        let mut state = lock(&self.state);
        let Some(mailbox) = state.boxes.get_mut(&id) else { return false };
        match self.delivery {
            Delivery::Lines => mailbox.push_lines(stream, bytes, time, self.limits),
            _ => mailbox.push_chunk(stream, bytes, time, self.limits),
        }
        let full = mailbox.is_full();
        self.announce(&mut state, id);
        full
    }

    pub(crate) fn push_exited(&self, id: u64, ending: Ending, time: Stamp) {
        let mut state = lock(&self.state);
        if let Some(mailbox) = state.boxes.get_mut(&id) {
            mailbox.push_lifecycle(RecordKind::Exited(ending), time, &[]);
            self.announce(&mut state, id);
        }
    }

    /// The last event of a process. `holders` is the text of a close at the drain bound.
    pub(crate) fn push_closed(&self, id: u64, ending: Ending, holders: Option<&str>, time: Stamp) {
        let mut state = lock(&self.state);
        let Some(mailbox) = state.boxes.get_mut(&id) else { return };
        mailbox.flush_partial(time);
        let kind = RecordKind::Closed { ending, drain_bound: holders.is_some() };
        mailbox.push_lifecycle(kind, time, holders.unwrap_or_default().as_bytes());
        mailbox.finished = true;
        state.attached -= 1;
        self.announce(&mut state, id);
        self.end_if_over(&mut state);
    }

    /// What happened to a run, and to which attempt of which spec.
    pub(crate) fn push_run(&self, id: u64, what: RunRecord, spec: Option<(usize, u32)>, text: &str, time: Stamp) {
        let mut state = lock(&self.state);
        let Some(mailbox) = state.boxes.get_mut(&id) else { return };
        mailbox.push_lifecycle(RecordKind::Run(what, spec), time, text.as_bytes());
        let ended = matches!(what, RunRecord::Ended { .. });
        mailbox.finished |= ended;
        state.attached -= usize::from(ended);
        self.announce(&mut state, id);
        self.end_if_over(&mut state);
    }

    /// Is the queue of this process full?
    pub(crate) fn is_full(&self, id: u64) -> bool {
        lock(&self.state).boxes.get(&id).is_some_and(Mailbox::is_full)
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
        self.takers.notify_all(self.host.driver());
        self.closers.notify_all(self.host.driver());
        state.ring();
    }

    fn announce(&self, state: &mut State, id: u64) {
        let Some(mailbox) = state.boxes.get_mut(&id) else { return };
        if !mailbox.listed && mailbox.has_batch() {
            mailbox.listed = true;
            state.ready.push_back(id);
            state.ring();
            self.takers.notify_one(self.host.driver());
        }
    }

    fn end_if_over(&self, state: &mut State) {
        if state.is_over() {
            if let Some(bell) = &mut state.bell {
                bell.end();
            }
            self.takers.notify_all(self.host.driver());
        }
    }

    fn take(self: &Arc<Self>, deadline: Deadline) -> Result<Batch> {
        const OPERATION: &str = "take";
        let taken = wait::wait(&*self.host, OPERATION, (&self.state, &self.takers), deadline, |state| {
            if let Some(batch) = self.next_batch(state) {
                return Some(Some(batch));
            }
            let ended = state.closed || state.is_over();
            if !ended {
                // Armed again: nothing waits, so whatever comes now rings.
                state.hush();
            }
            ended.then_some(None)
        })?;
        match taken {
            Some(Some(batch)) => Ok(batch),
            Some(None) => Err(Error::new(ErrorKind::Closed, OPERATION, "the stream of events has ended")),
            None => Err(Error::new(ErrorKind::TimedOut, OPERATION, "no event came in time")),
        }
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
                self.takers.notify_one(self.host.driver());
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
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.closed = true;
        let boxes = std::mem::take(&mut state.boxes);
        state.ready.clear();
        state.spare.clear();
        if let Some(bell) = &mut state.bell {
            bell.end();
        }
        self.takers.notify_all(self.host.driver());
        drop(state);
        for source in boxes.into_values().filter(Mailbox::is_full).map(|mailbox| mailbox.source) {
            source.resume();
        }
    }

    /// Takes until the end; the dispatcher's loop.
    pub(super) fn run_callbacks(self: &Arc<Self>, mut callback: impl FnMut(&Batch)) {
        while let Ok(batch) = self.take(Deadline::after(None)) {
            wait::in_callback(|| callback(&batch));
        }
    }

    pub(super) fn dispatcher_started(&self) {
        lock(&self.state).dispatcher = Dispatcher::Running;
    }

    pub(super) fn dispatcher_ended(&self) {
        let mut state = lock(&self.state);
        state.dispatcher = Dispatcher::Ended;
        self.closers.notify_all(self.host.driver());
    }

    fn wait_for_dispatcher(&self) -> Result<()> {
        let gate = (&self.state, &self.closers);
        wait::wait(&*self.host, "close", gate, Deadline::after(None), |state| {
            (state.dispatcher != Dispatcher::Running).then_some(())
        })?;
        Ok(())
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.source_ended && self.attached == 0 && self.boxes.values().all(Mailbox::is_empty)
    }

    fn ring(&mut self) {
        if let Some(bell) = self.bell.as_ref().filter(|_| !self.rung) {
            bell.ring();
            self.rung = true;
        }
    }

    fn hush(&mut self) {
        if let Some(bell) = self.bell.as_ref().filter(|_| self.rung) {
            bell.hush();
            self.rung = false;
        }
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
        let mut guard = lock(&self.0.core.state);
        let state = &mut *guard;
        if state.bell.is_none() {
            let mut bell = Bell::new().map_err(|errno| Error::system(OPERATION, "pipe", errno))?;
            if state.closed || state.is_over() {
                bell.end();
            }
            state.bell = Some(bell);
            if !state.ready.is_empty() {
                state.ring();
            }
        }
        Ok(state.bell.as_ref().map_or(-1, |bell| bell.reader().as_raw_fd()))
    }

    /// Ends the subscription: discards what waits, lifts its backpressure, and wakes every taker. Idempotent.
    /// With a callback, waits until the dispatcher has ended, except from inside the callback.
    pub fn close(&self) -> Result<()> {
        fork::check("close")?;
        self.0.core.close();
        if self.0.listens && !wait::is_in_callback() {
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
