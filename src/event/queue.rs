//! [`Queue`]: what the handles, the takers and the producers of a subscription share: a mailbox for each process, the
//! list of those that have something, pushes and takes.
//!
//! A process that has had no event here has no mailbox. Each push takes one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use super::filter::EventFilter;
use super::mailbox::Mailbox;
use super::options::{BatchLimit, Delivery, Limits, SubscriptionOptions, SubscriptionScope};
use super::record::{Buffer, Cursor, RecordKind, RunRecord};
use super::source::{Origin, Sender, Source, Unpaused};
use super::types::{Ending, RunPart, Stream};
use super::wanted::Wanted;
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{self, Deadline, Gate, Handler, Reactor, lock};
use crate::sys::clock::Stamp;
use crate::sys::pidfd::Change;
use crate::sys::space::Bytes;

/// The operation that errors of a take name.
pub(super) const TAKE: &str = "take";

/// Buffers kept for the next batches.
const SPARE_BUFFERS: usize = 4;

/// The shared part of a subscription.
pub(crate) struct Queue {
    handler: Arc<dyn Handler>,
    pub(super) delivery: Delivery,
    wanted: Wanted,
    pub(crate) scope: SubscriptionScope,
    limits: Limits,
    batch_limit: Option<BatchLimit>,
    state: Mutex<State>,
    takers: Gate,
    /// The threads that wait, under the same mutex, for the dispatcher to end.
    closers: Gate,
}

#[derive(Default)]
pub(super) struct State {
    /// The mailboxes of the processes and runs that have had an event. Boxed, because up to half of a map is empty.
    mailboxes: HashMap<u64, Box<Mailbox>>,
    ready: VecDeque<u64>,
    spare: Vec<Buffer>,
    /// Processes that are not closed yet, and runs that have not ended.
    attached: usize,
    /// Whether no further process can be added.
    source_ended: bool,
    closed: bool,
    pub(super) watch: Watch,
    dispatcher: Dispatcher,
}

/// The state of the thread that runs the callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Dispatcher {
    #[default]
    None,
    Running,
    Ended,
}

/// The result of a look.
pub(super) enum Next {
    Taken(Taken),
    /// Nothing more will come.
    Ended,
}

/// The contents of a batch. It holds the turn of its process until [`Queue::give_back`].
pub(super) struct Taken {
    pub(super) id: u64,
    pub(super) origin: Origin,
    /// The sequence number of the event before the first.
    pub(super) last_sequence: u64,
    pub(super) buffer: Buffer,
    pub(super) start: Cursor,
}

impl Queue {
    pub(crate) fn new(handler: Arc<dyn Handler>, options: SubscriptionOptions) -> Queue {
        Queue {
            handler,
            delivery: options.delivery,
            wanted: Wanted::by(&options),
            scope: options.scope,
            limits: options.limits(),
            batch_limit: options.batch_limit(),
            state: Mutex::new(State::default()),
            takers: Gate::default(),
            closers: Gate::default(),
        }
    }

    /// Returns whether `handler` is the one whose loop this subscription's takers turn.
    pub(crate) fn belongs_to(&self, handler: &dyn Handler) -> bool {
        std::ptr::eq(self.handler.reactor(), handler.reactor())
    }

    pub(super) fn handler(&self) -> &Arc<dyn Handler> {
        &self.handler
    }

    pub(super) fn batch_limit(&self) -> Option<BatchLimit> {
        self.batch_limit
    }

    pub(crate) fn reactor(&self) -> &Reactor {
        self.handler.reactor()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The side of the producers, which push.
impl Queue {
    /// Adds a process; its first event is `started`. False when the subscription is closed.
    pub(crate) fn attach(&self, sender: &Sender<'_>, time: Stamp) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.attached += 1;
        if self.wanted.wants_start(sender.origin.part.is_some()) {
            state.mailbox(sender).push_lifecycle(RecordKind::Started, time, &[]);
            self.announce(&mut state, sender.id);
        }
        true
    }

    /// Adds a run; its first event is `started`. False when the subscription is closed.
    pub(crate) fn attach_run(&self, run_id: u64, time: Stamp) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.attached += 1;
        let part = RunPart { run_id, spec: None, attempt: 0 };
        let origin = Origin { pid: 0, part: Some(part) };
        let mailbox = state.mailbox(&Sender { id: run_id, origin, source: &Arc::new(Unpaused) });
        if self.wanted.wants_run(RunRecord::Started) {
            mailbox.push_lifecycle(RecordKind::Run(RunRecord::Started, None), time, &[]);
            self.announce(&mut state, run_id);
        }
        true
    }

    /// Takes a process back that could not be watched; false when a taker has seen an event of it, and is owed its
    /// end.
    pub(crate) fn detach(&self, id: u64) -> bool {
        let mut state = self.state();
        if state.closed {
            return true;
        }
        if state.mailboxes.get(&id).is_some_and(|mailbox| mailbox.is_seen()) {
            return false;
        }
        state.mailboxes.remove(&id);
        state.attached -= 1;
        self.end_if_over(&mut state);
        true
    }

    /// Adds output of a process. True when its queue is full, so that the caller stops reading.
    pub(crate) fn push_output(&self, sender: &Sender<'_>, stream: Stream, bytes: &Bytes<'_>, time: Stamp) -> bool {
        if !self.wanted.wants_output(stream) {
            return false;
        }
        let mut state = self.state();
        if state.closed {
            return false;
        }
        let copied = Bytes::Borrowed(bytes);
        let bytes = if self.limits.shares() { bytes } else { &copied };
        let mailbox = state.mailbox(sender);
        mailbox.push_output(stream, bytes, time, self.limits);
        let full = mailbox.is_full();
        self.announce(&mut state, sender.id);
        full
    }

    /// Adds a change of a process that has not ended.
    pub(crate) fn push_change(&self, sender: &Sender<'_>, change: Change, time: Stamp) {
        let (kind, filter) = match change {
            Change::Stopped(signal) => (RecordKind::Stopped { signal }, EventFilter::STOPPED),
            Change::Continued => (RecordKind::Continued, EventFilter::CONTINUED),
        };
        let mut state = self.state();
        if state.closed || !self.wanted.wants(filter) {
            return;
        }
        state.mailbox(sender).push_lifecycle(kind, time, &[]);
        self.announce(&mut state, sender.id);
    }

    /// Returns whether changes of this process are not wanted, or find room: unlike the other events of its life, there
    /// can be any number of them.
    pub(crate) fn has_room_for_changes(&self, id: u64) -> bool {
        let is_wanted = self.wanted.wants(EventFilter::STOPPED) || self.wanted.wants(EventFilter::CONTINUED);
        !is_wanted || self.state().mailboxes.get(&id).is_none_or(|mailbox| mailbox.has_room(self.limits))
    }

    pub(crate) fn push_exited(&self, sender: &Sender<'_>, ending: Ending, time: Stamp) {
        let mut state = self.state();
        if state.closed || !self.wanted.wants(EventFilter::EXITED) {
            return;
        }
        state.mailbox(sender).push_lifecycle(RecordKind::Exited(ending), time, &[]);
        self.announce(&mut state, sender.id);
    }

    /// Adds the last event of a process. `holders` is the text of a close at the drain bound.
    pub(crate) fn push_closed(&self, sender: &Sender<'_>, ending: Ending, holders: Option<&str>, time: Stamp) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.attached -= 1;
        let mailbox = state.mailbox(sender);
        mailbox.flush(time, self.limits);
        if self.wanted.wants(EventFilter::CLOSED) {
            let kind = RecordKind::Closed { ending, drain_bound: holders.is_some() };
            mailbox.push_lifecycle(kind, time, holders.unwrap_or_default().as_bytes());
        }
        mailbox.finished = true;
        self.announce_or_remove(&mut state, sender.id);
        self.end_if_over(&mut state);
    }

    /// Adds what happened to a run; `spec` is the index and the attempt of the spec that it is about.
    pub(crate) fn push_run(&self, id: u64, what: RunRecord, spec: Option<(usize, u32)>, text: &str, time: Stamp) {
        let mut state = self.state();
        let Some(mailbox) = state.mailboxes.get_mut(&id) else { return };
        let ended = matches!(what, RunRecord::Ended { .. });
        if self.wanted.wants_run(what) {
            mailbox.push_lifecycle(RecordKind::Run(what, spec), time, text.as_bytes());
        }
        mailbox.finished |= ended;
        state.attached -= usize::from(ended);
        self.announce_or_remove(&mut state, id);
        self.end_if_over(&mut state);
    }

    /// Returns whether it keeps slices of blocks.
    pub(crate) fn can_share(&self) -> bool {
        self.wanted.wants_some_output() && self.limits.shares()
    }

    /// Returns whether the queue of this process is full.
    pub(crate) fn is_full(&self, id: u64) -> bool {
        self.state().mailboxes.get(&id).is_some_and(|mailbox| mailbox.is_full())
    }

    /// Notes that no further process will be attached.
    pub(crate) fn end_source(&self) {
        let mut state = self.state();
        state.source_ended = true;
        self.end_if_over(&mut state);
    }

    /// Has every waiter look again: the service is broken.
    pub(crate) fn wake_all(&self) {
        let mut state = self.state();
        self.takers.notify_all(self.reactor());
        self.closers.notify_all(self.reactor());
        state.watch.ring(self.reactor());
    }

    /// Forgets the descriptor that the host's loop watches: the host has closed our descriptors, and its number is the
    /// host's now.
    pub(crate) fn lose(&self) {
        self.state().watch.lose();
    }

    fn announce(&self, state: &mut State, id: u64) {
        let Some(mailbox) = state.mailboxes.get_mut(&id) else { return };
        if !mailbox.listed && mailbox.has_batch() {
            mailbox.listed = true;
            state.ready.push_back(id);
            state.watch.ring(self.reactor());
            self.takers.notify_one(self.reactor());
        }
    }

    /// Like [`Queue::announce`]; a mailbox that is empty and gets nothing more is removed.
    fn announce_or_remove(&self, state: &mut State, id: u64) {
        if state.mailboxes.get(&id).is_some_and(|mailbox| mailbox.finished && mailbox.is_empty()) {
            state.mailboxes.remove(&id);
        } else {
            self.announce(state, id);
        }
    }

    fn end_if_over(&self, state: &mut State) {
        if state.is_over() {
            state.watch.end(self.reactor());
            self.takers.notify_all(self.reactor());
        }
    }
}

/// The side of the takers and their batches.
impl Queue {
    /// Waits for a batch; its process gives no other until it is given back.
    ///
    /// # Errors
    ///
    /// `TimedOut` if none came in time. `Closed` if the stream of events has ended.
    pub(super) fn take(&self, deadline: Deadline) -> Result<Taken> {
        runtime::wait(&*self.handler, TAKE, (&self.state, &self.takers), deadline, |state| self.next_or_arm(state))
            .and_then(Next::into_result)
    }

    /// Takes a batch if there is one; None if there is nothing yet.
    pub(super) fn next(&self, state: &mut State) -> Option<Next> {
        match self.next_batch(state) {
            Some(taken) => Some(Next::Taken(taken)),
            None => state.has_ended().then_some(Next::Ended),
        }
    }

    /// Like [`Queue::next`]; if there is nothing yet, the next event rings.
    pub(super) fn next_or_arm(&self, state: &mut State) -> Option<Next> {
        let next = self.next(state);
        if next.is_none() {
            state.watch.arm();
        }
        next
    }

    fn next_batch(&self, state: &mut State) -> Option<Taken> {
        while let Some(id) = state.ready.pop_front() {
            let State { mailboxes, spare, .. } = state;
            let Some(mailbox) = mailboxes.get_mut(&id) else { continue };
            mailbox.listed = false;
            if !mailbox.has_batch() {
                continue;
            }
            let (buffer, start) = mailbox.take(|| spare.pop().unwrap_or_default());
            let taken = Taken { id, origin: mailbox.origin, last_sequence: mailbox.sequence, buffer, start };
            if !state.ready.is_empty() {
                self.takers.notify_one(self.reactor());
            }
            return Some(taken);
        }
        None
    }

    /// Returns the producer of the events under this id; None once they are over or the subscription is closed.
    pub(super) fn source(&self, id: u64) -> Option<Arc<dyn Source>> {
        self.state().mailboxes.get(&id).map(|mailbox| Arc::clone(&mailbox.source))
    }

    /// Takes back what a batch was made of: `end` is None when all of it was taken.
    pub(super) fn give_back(&self, id: u64, last_sequence: u64, mut buffer: Buffer, end: Option<Cursor>) {
        if self.reactor().is_forked() {
            return;
        }
        if end.is_none() {
            buffer.clear();
        }
        let mut state = self.state();
        let rest = match end {
            Some(end) => Some((buffer, end)),
            None => {
                let keeps = buffer.payload_capacity() <= self.limits.queue_bytes.saturating_mul(2);
                if keeps && state.spare.len() < SPARE_BUFFERS {
                    state.spare.push(buffer);
                }
                None
            }
        };
        let Some(mailbox) = state.mailboxes.get_mut(&id) else { return };
        mailbox.sequence = last_sequence;
        let source = mailbox.give_back(rest, self.limits).then(|| Arc::clone(&mailbox.source));
        self.announce_or_remove(&mut state, id);
        self.end_if_over(&mut state);
        drop(state);
        if let Some(source) = source {
            source.resume();
        }
    }

    /// Ends the stream of events: what waits is discarded and backpressure lifted.
    pub(super) fn close(&self) {
        // A descriptor is closed only if it is still ours.
        let _ = self.reactor().check_descriptors(&*self.handler, "close");
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.closed = true;
        let mailboxes = std::mem::take(&mut state.mailboxes);
        state.ready.clear();
        state.spare.clear();
        state.watch.end(self.reactor());
        self.takers.notify_all(self.reactor());
        drop(state);
        for source in mailboxes.into_values().filter(|mailbox| mailbox.is_full()).map(|mailbox| mailbox.source) {
            source.resume();
        }
    }
}

/// The life of the dispatcher, whose end a close waits for.
impl Queue {
    pub(super) fn dispatcher_started(&self) {
        self.state().dispatcher = Dispatcher::Running;
    }

    pub(super) fn dispatcher_ended(&self) {
        let mut state = self.state();
        state.dispatcher = Dispatcher::Ended;
        self.closers.notify_all(self.reactor());
    }

    pub(super) fn wait_for_dispatcher(&self) -> Result<()> {
        let gate = (&self.state, &self.closers);
        runtime::wait(&*self.handler, "close", gate, Deadline::after(None), |state| {
            (state.dispatcher != Dispatcher::Running).then_some(())
        })?;
        Ok(())
    }
}

impl State {
    /// Returns the mailbox of a sender; makes it if there is none.
    fn mailbox(&mut self, sender: &Sender<'_>) -> &mut Mailbox {
        self.mailboxes.entry(sender.id).or_insert_with(|| Box::new(Mailbox::new(sender.origin, sender.source.share())))
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns whether every process is closed, every run has ended, no other will come, and all events were taken.
    fn is_over(&self) -> bool {
        self.source_ended && self.attached == 0 && self.mailboxes.values().all(|mailbox| mailbox.is_empty())
    }

    /// Nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.closed || self.is_over()
    }
}

impl Next {
    /// Makes the result of a take from its last look.
    pub(super) fn into_result(next: Option<Next>) -> Result<Taken> {
        match next {
            Some(Next::Taken(taken)) => Ok(taken),
            Some(Next::Ended) => Err(Error::new(ErrorKind::Closed, TAKE, "the stream of events has ended")),
            None => Err(Error::new(ErrorKind::TimedOut, TAKE, "no event came in time")),
        }
    }
}
