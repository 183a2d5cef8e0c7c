//! One child: its state, and every transition of it.
//!
//! running → exited (the leader is reaped) → closed (its output is read to the end, or the drain bound is
//! reached). Whatever happens to a child, an event, a deadline, a call, ends in [`Child::advance`], which
//! decides what follows. All of it runs under the child's mutex; signals are sent under it too, so that none
//! can follow the reaping.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::capture::Capture;
use super::member::Member;
use super::output::{Next, Output};
use super::process::Process;
use super::scan::Scanner;
use super::service::Drain;
use super::stop::{Scope, StopOptions};
use super::supervisor::Supervisor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::driver::Host;
use crate::event::event::{Cause, Ending, Stream, holders_text};
use crate::event::subscription::{Core, Origin, Sender, Source};
use crate::event::wait::{self, Deadline, Gate, lock};
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::{Stamp, monotonic_ns};
use crate::sys::pidfd::{self, ExitStatus, Peek, Stolen, Target};
use crate::sys::pipe;
use crate::sys::poller::Interest;
use crate::sys::procfs::{self, Holder};

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

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It runs.
    Running,
    /// Its leader ended and was reaped; its output is being read to the end.
    Exited,
    /// Nothing follows.
    Closed,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its number in its service, from 1, never reused.
    pub id: u64,
    /// Its PID; may be another process's once this one has ended.
    pub pid: i32,
    /// Where it is in its life.
    pub state: State,
    /// How and why it ended.
    pub ending: Option<Ending>,
    /// When it was started.
    pub started: Stamp,
    /// When its end was seen.
    pub exited: Option<Stamp>,
    /// When it was closed.
    pub closed: Option<Stamp>,
    /// Bytes read from its standard output so far.
    pub stdout_bytes: u64,
    /// Bytes read from its standard error so far.
    pub stderr_bytes: u64,
    /// Bytes that its capture does not hold any more, or never did.
    pub dropped_bytes: u64,
    /// Bytes read after it was closed, and discarded; or lost from a spool.
    pub discarded_bytes: u64,
    /// It was closed while somebody still held its output pipes.
    pub drain_bound: bool,
}

impl Info {
    /// How it ended, once it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.ending.map(|ending| ending.status)
    }

    /// From start to exit; None while it runs.
    pub fn duration(&self) -> Option<Duration> {
        let exited = self.exited?;
        Some(Duration::from_nanos(exited.monotonic_ns - self.started.monotonic_ns))
    }
}

/// What a launched child starts with.
pub(crate) struct Seed {
    /// Just before it was started.
    pub(crate) started: Stamp,
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
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
    feeds: Vec<Arc<Core>>,
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
    fd: Option<OwnedFd>,
    /// Is somebody in the middle of a write?
    busy: bool,
    /// The pipe was full.
    full: bool,
    watched: bool,
}

/// A stop that runs.
struct Stopping {
    target: Target,
    /// When SIGKILL follows; None: never.
    kill_at: Option<u64>,
    killed: bool,
    /// When to look whether the group is gone, once its leader is.
    look_at: u64,
    interval: u64,
    /// Which pass over /proc found none but zombies in it.
    gone: Option<u64>,
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

/// Reads of one output before others get their turn.
const READS_AT_ONCE: usize = 16;

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
    pub(crate) fn attach(self: &Arc<Self>, subscription: Arc<Core>) {
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
        if let Some(mut buffer) = self.supervisor.driver().spare_buffer() {
            self.look_early(&mut inner, &mut buffer);
            self.supervisor.driver().keep_buffer(buffer);
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
            let _ = pidfd::send(pidfd, self.pid, libc::SIGKILL, target);
            pidfd::reap_blocking(pidfd);
            let status = ExitStatus::Signal { signal: libc::SIGKILL, core_dumped: false };
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
        let poller = &self.supervisor.driver().poller;
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
            self.supervisor.driver().poller.forget(pidfd);
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
                self.gate.notify_all(self.supervisor.driver());
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
        if let Some(stopping) = &inner.stopping
            && !stopping.killed
            && stopping.kill_at.is_some_and(|at| at <= now)
        {
            self.kill_now(&mut inner);
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

    /// The service is broken: waiters look again.
    pub(crate) fn wake_all(&self) {
        let _inner = lock(&self.inner);
        self.gate.notify_all(self.supervisor.driver());
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
        let keep = self.leads_group && !pidfd::group_signals_work();
        let looked = if keep { pidfd::peek(pidfd) } else { pidfd::reap(pidfd) };
        let status = match looked {
            Peek::Running => return,
            Peek::Ended(status) => status,
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
            self.supervisor.driver().poller.forget(pidfd);
        }
        inner.ended = Some(Box::new(Ended { ending, at: now, rest: Rest::Fresh }));
        inner.timeout_at = None;
        inner.unreaped = keep;
        self.end_stdin(inner);
        let sender = self.sender(inner);
        for feed in &inner.feeds {
            feed.push_exited(&sender, ending, now);
        }
        if let Some(member) = &inner.member {
            member.observer.exited(member.part, ending, now);
        }
        self.gate.notify_all(self.supervisor.driver());
        // Mostly everything has been written and all is over right here.
        for index in 0..inner.outputs.len() {
            self.read(inner, index, true, buffer);
        }
    }

    /// One read of what is there.
    fn read_once(self: &Arc<Self>, inner: &mut Inner, index: usize, buffer: &mut ReadBuffer) {
        let Some(output) = &mut inner.outputs[index] else { return };
        match output.read(false, buffer) {
            Next::Data { bytes, .. } => self.accept(inner, index, bytes, 0),
            Next::Empty => {}
            Next::End => self.end_output(inner, index),
        }
    }

    /// Reads an output until it is empty, ends, or is to be paused. With `hang_up` also past a short read,
    /// because no further edge will tell of the end. A hang-up without input is no end yet: the kernel looks at a
    /// pipe's bytes first and at its writers then, without a lock, so a last write may have come in between.
    fn read(self: &Arc<Self>, inner: &mut Inner, index: usize, hang_up: bool, buffer: &mut ReadBuffer) {
        for _ in 0..READS_AT_ONCE {
            if inner.paused_since.is_some() {
                self.trim_spool(inner, index);
                return;
            }
            let leader_ended = inner.has_ended();
            let Some(output) = &mut inner.outputs[index] else { return };
            match output.read(leader_ended, buffer) {
                Next::Data { bytes, more } => {
                    let lost = output.take_lost();
                    self.accept(inner, index, bytes, lost);
                    if !more && !hang_up {
                        return;
                    }
                }
                Next::Empty => return,
                Next::End => return self.end_output(inner, index),
            }
        }
        // Others get their turn; what is left reports itself again.
        self.reread(inner, index);
    }

    /// At the drain bound: what the pipes hold now, and not what comes meanwhile.
    fn read_what_is_held(self: &Arc<Self>, inner: &mut Inner, buffer: &mut ReadBuffer) {
        for index in 0..inner.outputs.len() {
            let mut left = inner.outputs[index].as_ref().map_or(0, Output::holds);
            while let Some(output) = &mut inner.outputs[index] {
                match output.read(true, buffer) {
                    Next::Data { bytes, .. } => {
                        left = left.saturating_sub(bytes.len());
                        self.accept(inner, index, bytes, 0);
                        if left == 0 {
                            break;
                        }
                    }
                    Next::Empty => break,
                    Next::End => {
                        self.end_output(inner, index);
                        break;
                    }
                }
            }
        }
    }

    /// Has an output report again that was not read to its end.
    fn reread(&self, inner: &mut Inner, index: usize) {
        match &inner.outputs[index] {
            Some(Output::Pipe(pipe)) => {
                let token = Slot::of_stream(index).token(self.id);
                self.supervisor.driver().poller.rearm(&pipe.fd, token, Interest::Readable);
            }
            Some(Output::Spool(_)) => inner.spool_due = true,
            None => {}
        }
    }

    fn trim_spool(&self, inner: &mut Inner, index: usize) {
        if let Some(output) = &mut inner.outputs[index] {
            output.trim();
        }
    }

    fn accept(self: &Arc<Self>, inner: &mut Inner, index: usize, bytes: &[u8], lost: u64) {
        inner.discarded += lost;
        if inner.is_closed() {
            inner.discarded += bytes.len() as u64;
            return;
        }
        inner.counts[index] += bytes.len() as u64;
        let now = Stamp::now();
        if let Some(Rest::Draining { quiet_since, .. }) = inner.rest_mut() {
            *quiet_since = now.monotonic_ns;
        }
        inner.capture.write(bytes);
        let stream = if index == 0 { Stream::Stdout } else { Stream::Stderr };
        let sender = self.sender(inner);
        let mut full = false;
        for feed in &inner.feeds {
            full |= feed.push_output(&sender, stream, bytes, now);
        }
        if full && inner.paused_since.is_none() {
            inner.paused_since = Some(now.monotonic_ns);
        }
    }

    fn end_output(&self, inner: &mut Inner, index: usize) {
        match &inner.outputs[index] {
            Some(Output::Pipe(pipe)) if inner.watched => self.supervisor.driver().poller.forget(&pipe.fd),
            Some(Output::Pipe(_)) => {}
            Some(Output::Spool(spool)) => {
                if let Some(watch) = spool.watch {
                    self.supervisor.unfollow(watch);
                }
            }
            None => return,
        }
        let _ended = inner.outputs[index].take();
        if inner.is_closed() && inner.outputs.iter().all(Option::is_none) {
            self.supervisor.child_drained(self.id);
        }
    }

    fn end_stdin(&self, inner: &mut Inner) {
        if let Some(fd) = inner.stdin.fd.take() {
            if inner.stdin.watched {
                self.supervisor.driver().poller.forget(&fd);
            }
            self.gate.notify_all(self.supervisor.driver());
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
            pidfd::reap(&pidfd);
            inner.unreaped = false;
        }
        inner.stopping = None;
        inner.paused_since = None;
        let sender = self.sender(inner);
        for feed in std::mem::take(&mut inner.feeds) {
            feed.push_closed(&sender, ending, text.as_deref(), now);
        }
        self.gate.notify_all(self.supervisor.driver());
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
            if inner.has_ended() { kill.min(stopping.look_at) } else { kill }
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

    // Control.

    fn target(&self, operation: &'static str, scope: Scope, default: Target) -> Result<Target> {
        match scope {
            Scope::Default if default == Target::Group && self.leads_group => Ok(Target::Group),
            Scope::Default | Scope::Process => Ok(Target::Process),
            Scope::Group if self.leads_group => Ok(Target::Group),
            Scope::Group => Err(Error::invalid(operation, "scope: the process does not lead a group of its own")),
        }
    }

    fn not_running(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::NotRunning, operation, "it has ended").on(format!("process {}", self.id))
    }

    /// Sends a signal if the target can still be named without doubt.
    fn send(&self, inner: &Inner, operation: &'static str, signal: i32, target: Target) -> Result<()> {
        let reachable = match target {
            Target::Process => !inner.has_ended(),
            Target::Group => !inner.has_ended() || inner.unreaped || pidfd::group_signals_work(),
        };
        let Some(pidfd) = inner.pidfd.as_ref().filter(|_| reachable) else {
            return Err(self.not_running(operation));
        };
        let sent = match pidfd::send(pidfd, self.pid, signal, target) {
            // It left its group, which is empty now: it is still the one to be reached.
            Err(libc::ESRCH) if !inner.has_ended() => pidfd::send(pidfd, self.pid, signal, Target::Process),
            other => other,
        };
        sent.map_err(|errno| match errno {
            libc::ESRCH => self.not_running(operation),
            errno => Error::system(operation, "", errno).on(format!("process {}", self.id)),
        })
    }

    pub(crate) fn signal(&self, signal: i32, scope: Scope) -> Result<()> {
        const OPERATION: &str = "signal";
        if signal != 0 {
            super::stop::check_signal(OPERATION, signal)?;
        }
        let target = self.target(OPERATION, scope, Target::Process)?;
        self.send(&lock(&self.inner), OPERATION, signal, target)
    }

    pub(crate) fn kill(&self, scope: Scope) -> Result<()> {
        const OPERATION: &str = "kill";
        let target = self.target(OPERATION, scope, Target::Group)?;
        let mut inner = lock(&self.inner);
        self.send(&inner, OPERATION, libc::SIGKILL, target)?;
        if !inner.has_ended() {
            inner.intent.get_or_insert(Cause::Killed);
        }
        Ok(())
    }

    /// Starts a stop, or moves a running one to its last step. Fine when the process has ended.
    pub(crate) fn stop(self: &Arc<Self>, options: Option<&StopOptions>, cause: Cause) -> Result<()> {
        let options = options.unwrap_or(&self.stop);
        options.check("stop")?;
        self.target("stop", options.scope, Target::Group)?;
        let mut inner = lock(&self.inner);
        let result = match &inner.stopping {
            Some(stopping) if !stopping.killed => {
                self.kill_now(&mut inner);
                Ok(())
            }
            Some(_) => Ok(()),
            None => self.begin_stop(&mut inner, options, cause),
        };
        self.finish(inner);
        match result {
            Err(error) if error.kind() == ErrorKind::NotRunning => Ok(()),
            other => other,
        }
    }

    fn begin_stop(&self, inner: &mut Inner, options: &StopOptions, cause: Cause) -> Result<()> {
        const FIRST_LOOK: u64 = 5_000_000;
        let target = self.target("stop", options.scope, Target::Group)?;
        if inner.stopping.is_some() {
            return Ok(());
        }
        self.send(inner, "stop", options.signal, target)?;
        if !inner.has_ended() {
            inner.intent.get_or_insert(cause);
        }
        let now = monotonic_ns();
        inner.stopping = Some(Box::new(Stopping {
            target,
            kill_at: options.grace.map(|grace| now.saturating_add(nanoseconds(grace))),
            killed: options.signal == libc::SIGKILL,
            look_at: now,
            interval: FIRST_LOOK,
            gone: None,
        }));
        Ok(())
    }

    fn kill_now(&self, inner: &mut Inner) {
        if let Some(target) = inner.stopping.as_ref().map(|stopping| stopping.target) {
            // Nobody left to kill is what a stop wants.
            let _ = self.send(inner, "stop", libc::SIGKILL, target);
        }
        if let Some(stopping) = &mut inner.stopping {
            stopping.killed = true;
        }
    }

    /// After the leader's exit: does a stop still have something to do? A group is stopped when it is empty
    /// or was killed; that it is empty nothing reports, so it is looked at, ever less often.
    fn stop_is_settled(&self, inner: &mut Inner) -> bool {
        const LONGEST: u64 = 200_000_000;
        let Some(stopping) = &inner.stopping else { return true };
        let waits_for_group = stopping.target == Target::Group && !stopping.killed && stopping.kill_at.is_some();
        let now = monotonic_ns();
        if waits_for_group && (stopping.look_at > now || self.group_lives(inner)) {
            if let Some(stopping) = &mut inner.stopping
                && stopping.look_at <= now
            {
                stopping.look_at = now + stopping.interval;
                stopping.interval = (stopping.interval * 2).min(LONGEST);
            }
            return false;
        }
        inner.stopping = None;
        true
    }

    /// Has the group of an ended leader any member left that has not ended?
    fn group_lives(&self, inner: &mut Inner) -> bool {
        /// Zombies answer a signal, too, and where nobody reaps orphans (a container whose first process does not) they
        /// stay. Before /proc is asked, whoever reaps has had so long.
        const PATIENCE: u64 = 160_000_000;
        if inner.unreaped {
            // The leader itself would answer a signal.
            return procfs::group_has_others(self.pid);
        }
        if self.send(inner, "stop", 0, Target::Group).is_err() {
            return false;
        }
        let Some(stopping) = inner.stopping.as_mut().filter(|stopping| stopping.interval >= PATIENCE) else {
            return true;
        };
        // A single pass can miss one that was forked behind its back.
        let before = std::mem::replace(&mut stopping.gone, self.supervisor.pass_without(self.pid));
        stopping.gone.is_none() || before.is_none() || before == stopping.gone
    }

    // What callers ask.

    pub(crate) fn info(&self) -> Info {
        self.info_of(&lock(&self.inner))
    }

    fn info_of(&self, inner: &Inner) -> Info {
        let (state, closed, drain_bound) = match inner.rest() {
            None => (State::Running, None, false),
            Some(Rest::Closed { at, holders }) => (State::Closed, Some(*at), !holders.is_empty()),
            Some(_) => (State::Exited, None, false),
        };
        Info {
            id: self.id,
            pid: self.pid,
            state,
            ending: inner.ended.as_ref().map(|ended| ended.ending),
            started: self.started,
            exited: inner.ended.as_ref().map(|ended| ended.at),
            closed,
            stdout_bytes: inner.counts[0],
            stderr_bytes: inner.counts[1],
            dropped_bytes: inner.capture.dropped(),
            discarded_bytes: inner.discarded,
            drain_bound,
        }
    }

    pub(crate) fn wait(&self, until: State, deadline: Deadline) -> Result<Info> {
        const OPERATION: &str = "wait";
        wait::wait(&*self.supervisor, OPERATION, (&self.inner, &self.gate), deadline, |inner| {
            let reached = match until {
                State::Running => true,
                State::Exited => inner.has_ended(),
                State::Closed => inner.is_closed(),
            };
            reached.then(|| self.info_of(inner))
        })?
        .ok_or_else(|| {
            Error::new(ErrorKind::TimedOut, OPERATION, "it has not ended in time").on(format!("process {}", self.id))
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        !lock(&self.inner).is_closed()
    }

    pub(crate) fn captured(&self) -> Result<Vec<u8>> {
        lock(&self.inner)
            .capture
            .to_vec()
            .ok_or_else(|| Error::new(ErrorKind::OutOfMemory, "output", "no memory for a copy of the capture"))
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        match lock(&self.inner).rest() {
            Some(Rest::Closed { holders, .. }) => holders.clone(),
            _ => Vec::new(),
        }
    }

    /// Writes at least one byte, as many as fit until the deadline. Writers take turns.
    pub(crate) fn write_stdin(&self, data: &[u8], deadline: Deadline) -> Result<usize> {
        const OPERATION: &str = "write stdin";
        const AT_ONCE: usize = 64 * 1024;
        let gate = (&self.inner, &self.gate);
        let turn = wait::wait(&*self.supervisor, OPERATION, gate, deadline, |inner| {
            if inner.stdin.fd.is_none() || !inner.stdin.busy {
                return Some(self.check_stdin(inner).map(|()| inner.stdin.busy = true));
            }
            None
        })?;
        turn.unwrap_or_else(|| Err(self.stdin_timed_out()))?;
        let mut written = 0;
        let result = loop {
            if written == data.len() {
                break Ok(());
            }
            let step = wait::wait(&*self.supervisor, OPERATION, gate, deadline, |inner| {
                let rest = &data[written..data.len().min(written + AT_ONCE)];
                self.write_some(inner, rest).transpose()
            });
            match step {
                Ok(Some(Ok(count))) => written += count,
                Ok(Some(Err(error))) | Err(error) => break Err(error),
                Ok(None) => break Err(self.stdin_timed_out()),
            }
        };
        lock(&self.inner).stdin.busy = false;
        self.wake_all();
        match result {
            Err(error) if written == 0 => Err(error),
            _ => Ok(written),
        }
    }

    fn stdin_timed_out(&self) -> Error {
        Error::new(ErrorKind::TimedOut, "write stdin", "it did not read in time").on(format!("process {}", self.id))
    }

    fn check_stdin(&self, inner: &Inner) -> Result<()> {
        if inner.has_ended() {
            return Err(self.not_running("write stdin"));
        }
        if inner.stdin.fd.is_none() {
            return Err(Error::new(
                ErrorKind::StdinClosed,
                "write stdin",
                "its standard input is not a pipe, or is closed",
            )
            .on(format!("process {}", self.id)));
        }
        Ok(())
    }

    /// One write without waiting; None when the pipe is full.
    fn write_some(&self, inner: &mut Inner, data: &[u8]) -> Result<Option<usize>> {
        self.check_stdin(inner)?;
        let Some(fd) = inner.stdin.fd.as_ref().filter(|_| !inner.stdin.full) else { return Ok(None) };
        match pipe::write(fd, data) {
            Ok(count) => Ok(Some(count)),
            Err(libc::EAGAIN) => {
                inner.stdin.full = true;
                if !inner.stdin.watched {
                    self.supervisor
                        .driver()
                        .poller
                        .watch(fd, Slot::Stdin.token(self.id), Interest::Writable)
                        .map_err(|errno| Error::system("write stdin", "epoll", errno))?;
                    inner.stdin.watched = true;
                }
                Ok(None)
            }
            Err(libc::EPIPE) => {
                self.end_stdin(inner);
                Err(Error::new(ErrorKind::StdinClosed, "write stdin", "nobody reads its standard input any more")
                    .on(format!("process {}", self.id))
                    .errno_is(libc::EPIPE))
            }
            Err(errno) => Err(Error::system("write stdin", "", errno).on(format!("process {}", self.id))),
        }
    }

    pub(crate) fn close_stdin(&self) {
        self.end_stdin(&mut lock(&self.inner));
    }

    pub(crate) fn close_output(self: &Arc<Self>, stream: Stream) {
        let mut inner = lock(&self.inner);
        self.end_output(&mut inner, if stream == Stream::Stdout { 0 } else { 1 });
        self.finish(inner);
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
