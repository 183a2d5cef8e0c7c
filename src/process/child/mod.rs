//! One child: its state, and every transition of it.
//!
//! running → exited (the leader is reaped) → closed (its output is read to the end, or the drain bound is
//! reached). Whatever happens to a child, an event, a deadline, a call, ends in [`Child::advance`], which
//! decides what follows. All of it runs under the child's mutex; signals are sent under it too, so that none
//! can follow the reaping.

mod calls;
mod control;
mod info;
mod reading;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use info::{Info, State};

use super::capture::Capture;
use super::member::Member;
use super::output::Output;
use super::process::Process;
use super::scan::Scanner;
use super::service::Drain;
use super::stop::StopOptions;
use super::supervisor::Supervisor;
use crate::event::{Cause, Ending, holders_text};
use crate::event::{Origin, Queue, Sender, Source};
use crate::runtime::{Gate, Handler, lock};
use crate::sys::address::Address;
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::{Stamp, monotonic_ns};
use crate::sys::deliver::{self, Recipient, Target};
use crate::sys::pidfd::{self, ExitStatus, Peek, Stolen};
use crate::sys::poller::Interest;
use crate::sys::private::Private;
use crate::sys::procfs::Holder;

/// Which descriptor of a child an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Pidfd = 0,
    Stdout = 1,
    Stderr = 2,
    Stdin = 3,
}

impl Slot {
    /// Ids count from 1, so these are above the supervisor's own tokens.
    pub(crate) fn token(self, id: u64) -> u64 {
        id << 3 | self as u64
    }

    pub(crate) fn of(token: u64) -> (u64, Slot) {
        let slot = match token & 7 {
            0 => Slot::Pidfd,
            1 => Slot::Stdout,
            2 => Slot::Stderr,
            _ => Slot::Stdin,
        };
        (token >> 3, slot)
    }

    fn of_stream(index: usize) -> Slot {
        if index == 0 { Slot::Stdout } else { Slot::Stderr }
    }
}

/// What a launched child starts with.
pub(crate) struct Seed {
    /// Just before it was started.
    pub(crate) started: Stamp,
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) stdin: Option<Private>,
    pub(crate) outputs: [Option<Output>; 2],
    pub(crate) capture_bytes: usize,
    pub(crate) leads_group: bool,
    pub(crate) stop: StopOptions,
    pub(crate) drain: Drain,
    pub(crate) timeout: Option<Duration>,
    pub(crate) member: Option<Member>,
}

pub(crate) struct Child {
    pub(crate) id: u64,
    pub(crate) pid: i32,
    pub(crate) supervisor: Arc<Supervisor>,
    started: Stamp,
    leads_group: bool,
    stop: StopOptions,
    drain: Drain,
    inner: Mutex<Inner>,
    gate: Gate,
}

struct Inner {
    /// Until closed.
    pidfd: Option<OwnedFd>,
    /// Once its leader has ended. Most of many run, and what they do not need costs them nothing.
    ended: Option<Box<Ended>>,
    /// Known to have ended, but left unreaped until closed, so that its group's number stays taken (before
    /// Linux 6.9).
    unreaped: bool,
    /// What we did to it first.
    intent: Option<Cause>,
    stdin: Stdin,
    outputs: [Option<Output>; 2],
    capture: Capture,
    feeds: Vec<Arc<Queue>>,
    /// The run that it is part of; until closed.
    member: Option<Box<Member>>,
    /// Since when a full queue has kept us from reading.
    paused_since: Option<u64>,
    timeout_at: Option<u64>,
    stopping: Option<Box<Stopping>>,
    /// What the supervisor's timers know.
    armed: Option<u64>,
    /// Bytes read, of each output.
    counts: [u64; 2],
    discarded: u64,
    /// A spool is to be looked at again: no descriptor reports that.
    spool_due: bool,
    /// The poller has our descriptors.
    watched: bool,
}

#[derive(Default)]
struct Stdin {
    fd: Option<Private>,
    /// Is somebody in the middle of a write?
    busy: bool,
    /// The pipe was full.
    full: bool,
    watched: bool,
    /// Closed by a call.
    closed: bool,
    /// When nobody read it any more, on CLOCK_MONOTONIC; 0: somebody does.
    deserted: u64,
}

/// A stop that runs.
struct Stopping {
    target: Target,
    /// What the process ends of, once the kernel has taken a signal.
    cause: Cause,
    /// The first signal.
    signal: i32,
    /// When SIGKILL follows; None: never.
    kill_at: Option<u64>,
    /// SIGKILL is its signal now.
    killed: bool,
    /// The kernel has not taken the signal.
    refused: Option<Refused>,
    /// Reaches the group when its leader has been reaped by the host (before Linux 6.9).
    address: Option<Address>,
    /// When to look whether the group is gone, once its leader is.
    look_at: u64,
    interval: u64,
    /// Which pass over /proc found none but zombies in it.
    gone: Option<u64>,
}

/// A signal of a stop that is tried again.
#[derive(Clone, Copy)]
struct Refused {
    errno: i32,
    again_at: u64,
    interval: u64,
}

/// How and when its leader ended, and what became of the rest.
struct Ended {
    ending: Ending,
    at: Stamp,
    rest: Rest,
}

/// From exit to closed.
enum Rest {
    /// Nothing has been decided.
    Fresh,
    /// Its output is read to the end. Times shift while a full queue keeps us from reading.
    Draining {
        quiet_since: u64,
        started: u64,
    },
    /// The bound was reached; the holders are being looked up.
    Scanning,
    Closed {
        at: Stamp,
        holders: Vec<Holder>,
    },
}

impl Inner {
    fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// From its end on.
    fn rest(&self) -> Option<&Rest> {
        self.ended.as_ref().map(|ended| &ended.rest)
    }

    fn rest_mut(&mut self) -> Option<&mut Rest> {
        self.ended.as_mut().map(|ended| &mut ended.rest)
    }

    fn is_closed(&self) -> bool {
        matches!(self.rest(), Some(Rest::Closed { .. }))
    }
}

/// What has to happen once the lock is gone.
#[must_use]
enum After {
    Nothing,
    Scan,
}

impl Child {
    pub(crate) fn new(id: u64, supervisor: Arc<Supervisor>, seed: Seed) -> Arc<Child> {
        let started = seed.started;
        let timeout_at = seed.timeout.map(|timeout| started.monotonic_ns.saturating_add(nanoseconds(timeout)));
        Arc::new(Child {
            id,
            pid: seed.pid,
            supervisor,
            started,
            leads_group: seed.leads_group,
            stop: seed.stop,
            drain: seed.drain,
            gate: Gate::default(),
            inner: Mutex::new(Inner {
                pidfd: Some(seed.pidfd),
                ended: None,
                unreaped: false,
                intent: None,
                stdin: Stdin { fd: seed.stdin, ..Stdin::default() },
                outputs: seed.outputs,
                capture: Capture::new(seed.capture_bytes),
                feeds: Vec::new(),
                member: seed.member.map(Box::new),
                paused_since: None,
                timeout_at,
                stopping: None,
                armed: None,
                counts: [0; 2],
                discarded: 0,
                spool_due: false,
                watched: false,
            }),
        })
    }

    /// Gives its events to a subscription: before [`Child::begin`].
    pub(crate) fn attach(self: &Arc<Self>, subscription: Arc<Queue>) {
        let mut inner = lock(&self.inner);
        if subscription.attach(&self.sender(&inner), self.started) {
            // Mostly the only one.
            inner.feeds.reserve_exact(1);
            inner.feeds.push(subscription);
        }
    }

    /// As whom it speaks to subscriptions.
    fn sender(self: &Arc<Self>, inner: &Inner) -> Sender {
        let origin = Origin { pid: self.pid, part: inner.member.as_ref().map(|member| member.part) };
        Sender { id: self.id, origin, source: Arc::clone(self) as Arc<dyn Source> }
    }

    /// Tells its run of it: before [`Child::begin`].
    pub(crate) fn introduce(&self, process: &Process) {
        if let Some(member) = &lock(&self.inner).member {
            member.observer.started(member.part, process, self.started);
        }
    }

    /// Starts watching: once. On failure the child has been killed and reaped, and there is no process.
    pub(crate) fn begin(self: &Arc<Self>) -> std::result::Result<(), i32> {
        let mut inner = lock(&self.inner);
        // A short-lived child has mostly ended by now: then nobody needs to be woken for it.
        if let Some(mut buffer) = self.supervisor.reactor().spare_buffer() {
            self.look_early(&mut inner, &mut buffer);
            self.supervisor.reactor().keep_buffer(buffer);
        }
        let watched = self.watch(&mut inner);
        if watched.is_err() {
            self.withdraw(&mut inner);
        }
        self.finish(inner);
        watched
    }

    /// One look at each descriptor before the poller has them.
    fn look_early(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        for index in 0..inner.outputs.len() {
            if let Some(Output::Pipe(_)) = &inner.outputs[index] {
                self.read_once(inner, index, buffer);
            }
        }
        self.look_for_exit(inner, false, buffer);
    }

    /// It cannot be watched: ends it, and takes everything back.
    fn withdraw(self: &Arc<Self>, inner: &mut Inner) {
        let target = if self.leads_group { Target::Group } else { Target::Process };
        let known = inner.has_ended();
        if !known && let Some(pidfd) = &inner.pidfd {
            let killed = deliver::send(Recipient { pidfd, pid: self.pid, target, address: None }, libc::SIGKILL);
            let status = if killed.is_ok() {
                pidfd::reap_blocking(pidfd, self.pid);
                ExitStatus::Signal { signal: libc::SIGKILL, core_dumped: false }
            } else {
                // It has become another user's, and is not waited for: that could take for ever.
                ExitStatus::Unknown
            };
            let ending = Ending { status, cause: Cause::Killed };
            inner.ended = Some(Box::new(Ended { ending, at: Stamp::now(), rest: Rest::Fresh }));
        }
        // Its run learns from the spawn that failed, unless it knows of an end already: then so do all.
        if !known {
            inner.member = None;
        }
        if inner.member.is_none() {
            inner.feeds.retain(|feed| !feed.detach(self.id));
        }
        if !known && let Some(Ended { ending, at, .. }) = inner.ended.as_deref() {
            let sender = self.sender(inner);
            inner.feeds.iter().for_each(|feed| feed.push_exited(&sender, *ending, *at));
        }
        self.forget_all(inner);
        self.close(inner, None);
    }

    fn watch(&self, inner: &mut Inner) -> std::result::Result<(), i32> {
        inner.watched = true;
        let poller = &self.supervisor.reactor().poller;
        for (index, output) in inner.outputs.iter_mut().enumerate() {
            let slot = Slot::of_stream(index);
            match output {
                Some(Output::Pipe(pipe)) => poller.watch(&pipe.fd, slot.token(self.id), Interest::Readable)?,
                Some(Output::Spool(spool)) => {
                    spool.watch = Some(self.supervisor.follow(&spool.file, self.id, slot)?);
                    // What was written before reports itself to nobody.
                    inner.spool_due = true;
                }
                None => {}
            }
        }
        match inner.pidfd.as_ref().filter(|_| !inner.has_ended()) {
            Some(pidfd) => poller.watch(pidfd, Slot::Pidfd.token(self.id), Interest::Readable),
            None => Ok(()),
        }
    }

    fn forget_all(&self, inner: &mut Inner) {
        if let Some(pidfd) = &inner.pidfd {
            self.supervisor.reactor().poller.forget(pidfd);
        }
        self.end_stdin(inner);
        for index in 0..inner.outputs.len() {
            self.end_output(inner, index);
        }
    }

    // What happens to it.

    /// A descriptor is ready.
    pub(crate) fn on_ready(self: &Arc<Self>, slot: Slot, hang_up: bool, buffer: &mut ReadBuffer) {
        let mut inner = lock(&self.inner);
        match slot {
            Slot::Pidfd => self.look_for_exit(&mut inner, hang_up, buffer),
            Slot::Stdout => self.read(&mut inner, 0, hang_up, buffer),
            Slot::Stderr => self.read(&mut inner, 1, hang_up, buffer),
            Slot::Stdin => {
                inner.stdin.full = false;
                self.gate.notify_all(self.supervisor.reactor());
            }
        }
        self.finish(inner);
    }

    /// A deadline has come.
    pub(crate) fn on_deadline(self: &Arc<Self>, now: u64, buffer: &mut ReadBuffer) {
        let mut inner = lock(&self.inner);
        inner.armed = None;
        if std::mem::take(&mut inner.spool_due) {
            for index in 0..inner.outputs.len() {
                self.read(&mut inner, index, true, buffer);
            }
        }
        if !inner.has_ended() && inner.timeout_at.is_some_and(|at| at <= now) {
            inner.timeout_at = None;
            // It may have ended just now: then there is nothing to stop.
            let _ = self.begin_stop(&mut inner, &self.stop, Cause::Timeout);
        }
        self.retry_refused(&mut inner, now);
        if let Some(stopping) = &inner.stopping
            && !stopping.killed
            && stopping.kill_at.is_some_and(|at| at <= now)
        {
            // A refusal is kept and tried again.
            let _ = self.kill_now(&mut inner);
        }
        if self.drain_deadline(&inner).is_some_and(|at| at <= now) {
            self.read_what_is_held(&mut inner, buffer);
            if inner.outputs.iter().any(Option::is_some)
                && inner.paused_since.is_none()
                && let Some(rest) = inner.rest_mut()
            {
                *rest = Rest::Scanning;
                return self.finish_with(inner, After::Scan);
            }
        }
        self.finish(inner);
    }

    /// The holders of its pipes at the drain bound.
    pub(crate) fn on_holders(self: &Arc<Self>, holders: Vec<Holder>) {
        let mut inner = lock(&self.inner);
        if matches!(inner.rest(), Some(Rest::Scanning)) {
            self.close(&mut inner, Some(holders));
        }
        self.finish(inner);
    }

    /// The inodes of the pipes that are still open.
    pub(crate) fn pipe_inodes(&self) -> Vec<u64> {
        let inner = lock(&self.inner);
        inner.outputs.iter().flatten().filter_map(Output::pipe_inode).collect()
    }

    /// The host closed our descriptors: forgets them without closing them, for the numbers may be the host's.
    pub(crate) fn lose(&self) {
        let mut inner = lock(&self.inner);
        std::mem::forget((inner.pidfd.take(), inner.stdin.fd.take(), std::mem::take(&mut inner.outputs)));
    }

    /// The service is broken: waiters look again.
    pub(crate) fn wake_all(&self) {
        let _inner = lock(&self.inner);
        self.gate.notify_all(self.supervisor.reactor());
    }

    // Decisions.

    fn finish(self: &Arc<Self>, inner: std::sync::MutexGuard<'_, Inner>) {
        self.finish_with(inner, After::Nothing);
    }

    fn finish_with(self: &Arc<Self>, mut inner: std::sync::MutexGuard<'_, Inner>, after: After) {
        self.advance(&mut inner);
        self.arm(&mut inner);
        drop(inner);
        if let After::Scan = after {
            Scanner::request(self);
        }
    }

    /// Decides what follows from the state as it is now.
    fn advance(self: &Arc<Self>, inner: &mut Inner) {
        if !inner.has_ended() || inner.is_closed() {
            return;
        }
        let stopped = self.stop_is_settled(inner);
        if inner.outputs.iter().any(Option::is_some) {
            if let Some(rest @ Rest::Fresh) = inner.rest_mut() {
                let now = monotonic_ns();
                *rest = Rest::Draining { quiet_since: now, started: now };
            }
        } else if stopped {
            self.close(inner, None);
        }
    }

    /// Reaps and marks an exit under the lock, under which signals are sent too: none can follow the reaping.
    fn look_for_exit(self: &Arc<Self>, inner: &mut Inner, hang_up: bool, buffer: &mut ReadBuffer) {
        let Some(pidfd) = inner.pidfd.as_ref().filter(|_| !inner.has_ended()) else { return };
        let keep = self.leads_group && !deliver::groups_have_pidfds();
        let mut looked = if keep { pidfd::peek(pidfd) } else { pidfd::reap(pidfd, self.pid) };
        let unreaped = matches!(looked, Peek::Ended(_)) && keep;
        if keep && looked == Peek::Denied {
            looked = pidfd::reap(pidfd, self.pid);
        }
        let status = match looked {
            Peek::Running => return,
            Peek::Ended(status) => status,
            // It stays unreaped, because nobody may ask for it.
            Peek::Denied => ExitStatus::Unknown,
            Peek::Stolen => match pidfd::ask_stolen(pidfd) {
                Stolen::Ended(status) => status,
                // Its hang-up comes when the other's reaping is done.
                Stolen::NotYet if !hang_up => return,
                Stolen::NotYet | Stolen::Untold => ExitStatus::Unknown,
            },
        };
        let ending = Ending { status, cause: inner.intent.unwrap_or(Cause::Natural) };
        let now = Stamp::now();
        if inner.watched {
            self.supervisor.reactor().poller.forget(pidfd);
        }
        inner.ended = Some(Box::new(Ended { ending, at: now, rest: Rest::Fresh }));
        inner.timeout_at = None;
        inner.unreaped = unreaped;
        self.end_stdin(inner);
        let sender = self.sender(inner);
        for feed in &inner.feeds {
            feed.push_exited(&sender, ending, now);
        }
        if let Some(member) = &inner.member {
            member.observer.exited(member.part, ending, now);
        }
        self.gate.notify_all(self.supervisor.reactor());
        // Mostly everything has been written and all is over right here.
        for index in 0..inner.outputs.len() {
            self.read(inner, index, true, buffer);
        }
    }

    fn end_stdin(&self, inner: &mut Inner) {
        if let Some(fd) = inner.stdin.fd.take() {
            if inner.stdin.watched {
                self.supervisor.reactor().poller.forget(&fd);
            }
            self.gate.notify_all(self.supervisor.reactor());
        }
    }

    fn close(self: &Arc<Self>, inner: &mut Inner, holders: Option<Vec<Holder>>) {
        let now = Stamp::now();
        let text = holders.as_deref().map(holders_text);
        let Some(ended) = &mut inner.ended else { return };
        ended.rest = Rest::Closed { at: now, holders: holders.unwrap_or_default() };
        let ending = ended.ending;
        if let Some(pidfd) = inner.pidfd.take()
            && inner.unreaped
        {
            pidfd::reap(&pidfd, self.pid);
            inner.unreaped = false;
        }
        inner.stopping = None;
        inner.paused_since = None;
        let sender = self.sender(inner);
        for feed in std::mem::take(&mut inner.feeds) {
            feed.push_closed(&sender, ending, text.as_deref(), now);
        }
        self.gate.notify_all(self.supervisor.reactor());
        self.supervisor.child_closed(self.id, inner.outputs.iter().all(Option::is_none));
        // A holder's pipe is read on, and discarded: closing it would kill a background server by SIGPIPE.
        for index in 0..inner.outputs.len() {
            self.reread(inner, index);
        }
        if let Some(member) = inner.member.take() {
            member.observer.closed();
        }
    }

    // Deadlines.

    fn drain_deadline(&self, inner: &Inner) -> Option<u64> {
        match inner.rest() {
            Some(Rest::Draining { quiet_since, started }) if inner.paused_since.is_none() => {
                let silence = quiet_since.saturating_add(nanoseconds(self.drain.silence));
                Some(silence.min(started.saturating_add(nanoseconds(self.drain.total))))
            }
            _ => None,
        }
    }

    fn arm(&self, inner: &mut Inner) {
        let stop = inner.stopping.as_ref().map(|stopping| {
            let kill = stopping.kill_at.filter(|_| !stopping.killed).unwrap_or(u64::MAX);
            let again = stopping.refused.map_or(u64::MAX, |refused| refused.again_at);
            let look = if inner.has_ended() { stopping.look_at } else { u64::MAX };
            kill.min(again).min(look)
        });
        let spool = inner.spool_due.then_some(0);
        let next = [inner.timeout_at, stop, self.drain_deadline(inner), spool]
            .into_iter()
            .flatten()
            .filter(|at| *at != u64::MAX && !inner.is_closed())
            .min();
        if next != inner.armed {
            self.supervisor.timers.set(self.id, inner.armed, next);
            inner.armed = next;
        }
    }
}

impl Source for Child {
    fn resume(&self) {
        let mut inner = lock(&self.inner);
        let Some(since) = inner.paused_since else { return };
        if inner.feeds.iter().any(|feed| feed.is_full(self.id)) {
            return;
        }
        inner.paused_since = None;
        if let Some(Rest::Draining { quiet_since, started }) = inner.rest_mut() {
            let stood_still = monotonic_ns().saturating_sub(since.max(*started));
            *quiet_since += stood_still;
            *started += stood_still;
        }
        for index in 0..inner.outputs.len() {
            self.reread(&mut inner, index);
        }
        self.arm(&mut inner);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
