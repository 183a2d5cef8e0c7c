//! [`Child`]: one child, and what happens to it.
//!
//! running → exited (the leader is reaped) → closed (its output is read to the end, or the drain bound is reached); see
//! [`Life`]. Whatever happens to a child, an event, a deadline or a call, ends in [`Child::finish`], which decides what
//! follows. All of it runs under the child's mutex; signals are sent under it too, so that none can follow the reaping.
//!
//! Locks: under a child's may be taken that of its run, then that of a subscription; or that of the service's registry.

mod activity;
mod audience;
mod changes;
mod control;
mod deadlines;
mod extra;
mod identity;
mod info;
mod life;
mod outputs;
mod query;
mod reading;
mod slot;
mod stopping;
mod stops;
mod terminal;
mod tree;
mod watchdog;
mod watchers;
mod writing;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::audience::Audience;
pub(super) use self::extra::Extra;
use self::life::{Bound, Draining, Life};
use self::outputs::Outputs;
use self::stopping::Stopping;
use super::capture::{Capture, Shape};
use super::containment::Rung;
use super::descriptor::STDIN;
use super::input::Input;
use super::member::Member;
use super::options::Drain;
use super::reader::Reader;
use super::scan::{Asker, Scanner};
use super::terms::Terms;
use crate::error::Result;
use crate::event::{Cause, Ending, Queue, Sender, Source, holders_text};
use crate::runtime::{Gate, Handler, NEVER, Reactor, lock};
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::Stamp;
use crate::sys::deliver::{self, Recipient, Target};
use crate::sys::pidfd::{self, ExitStatus, Peek, Told};
use crate::sys::poller::Interest;
use crate::sys::procfs::{Holder, Written};
use crate::sys::rusage::ResourceUsage;
use crate::util::duration::nanoseconds;

pub use info::{Info, State};
pub(super) use slot::{MOST_PIPES, Slot};
pub(super) use watchers::Call;

/// What a child needs of its service.
pub(super) trait Owner: Handler {
    /// Notes that a child is closed. `drained` is false while the output of a holder of its pipes is still to be read
    /// and discarded.
    fn closed(&self, id: u64, drained: bool);
    /// Notes that no descriptor of a closed child is watched.
    fn drained(&self, id: u64);
    /// Looks up the holders of pipes.
    fn scanner(&self) -> &Arc<Scanner>;
}

/// The parts that a launch gives a child.
pub(super) struct Seed {
    /// The time just before it was started.
    pub(super) started: Stamp,
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) stdin: Input,
    /// Its pipes above standard error.
    pub(super) extra: Option<Box<Extra>>,
    pub(super) outputs: [Option<Reader>; 2],
    pub(super) capture: Shape,
    pub(super) leads_group: bool,
    pub(super) rung: Rung,
    /// Whether its command asked for a containment.
    pub(super) is_contained: bool,
    pub(super) terms: Arc<Terms>,
    pub(super) drain: Drain,
    pub(super) timeout: Option<Duration>,
    pub(super) member: Option<Member>,
}

pub(crate) struct Child {
    /// Its number in its service: from 1, never reused.
    id: u64,
    pid: i32,
    leads_group: bool,
    rung: Rung,
    is_contained: bool,
    owner: Arc<dyn Owner>,
    started: Stamp,
    terms: Arc<Terms>,
    drain: Bound,
    inner: Mutex<Inner>,
    /// The threads that wait for a change of its state.
    gate: Gate,
}

/// The state that changes. Most of many children idle, so what is rare is boxed.
struct Inner {
    life: Life,
    outputs: Outputs,
    audience: Audience,
    /// A stop that goes on; until the child is closed.
    stopping: Option<Box<Stopping>>,
    /// The deadline that the loop knows, on CLOCK_MONOTONIC; or [`NEVER`].
    armed: u64,
}

impl Child {
    pub(super) fn new(id: u64, owner: Arc<dyn Owner>, seed: Seed) -> Arc<Child> {
        let started = seed.started;
        let timeout_at = seed.timeout.map(|timeout| started.monotonic_ns.saturating_add(nanoseconds(timeout)));
        Arc::new(Child {
            id,
            pid: seed.pid,
            leads_group: seed.leads_group,
            rung: seed.rung,
            is_contained: seed.is_contained,
            owner,
            started,
            terms: seed.terms,
            drain: Bound::from(seed.drain),
            gate: Gate::default(),
            inner: Mutex::new(Inner {
                life: Life::Running {
                    pidfd: Some(seed.pidfd),
                    intent: None,
                    stdin: seed.stdin,
                    timeout_at: timeout_at.unwrap_or(NEVER),
                },
                outputs: Outputs::new(seed.outputs, Capture::new(seed.capture), seed.extra),
                audience: Audience::new(seed.member),
                stopping: None,
                armed: NEVER,
            }),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn started(&self) -> Stamp {
        self.started
    }

    fn reactor(&self) -> &Reactor {
        self.owner.reactor()
    }

    /// Fails in a child of fork of the process that spawned it.
    pub(crate) fn check_fork(&self, operation: &'static str) -> Result<()> {
        self.reactor().check_fork(operation)
    }

    /// Fails if the descriptors are no longer ours. Called before one of them is used.
    pub(crate) fn check_descriptors(&self, operation: &'static str) -> Result<()> {
        self.reactor().check_descriptors(&*self.owner, operation)
    }

    /// Gives its events to a subscription: before [`Child::begin`].
    pub(super) fn attach(self: &Arc<Self>, subscription: Arc<Queue>) {
        let mut inner = lock(&self.inner);
        let sender = self.sender(&inner);
        inner.audience.attach(&sender, subscription, self.started);
    }

    /// Returns the child as subscriptions know it.
    fn sender<'a>(self: &'a Arc<Self>, inner: &Inner) -> Sender<'a> {
        Sender { id: self.id, origin: inner.audience.origin(self.pid), source: self }
    }

    /// Starts watching: once. On failure the child has been killed and reaped, and there is no process.
    pub(super) fn begin(self: &Arc<Self>) -> std::result::Result<(), i32> {
        let mut inner = lock(&self.inner);
        // A short-lived child has usually ended by now: then no thread needs to be woken for it.
        if let Some(mut buffer) = self.reactor().blocks().take() {
            self.read_early(&mut inner, &mut buffer);
            self.look_for_exit(&mut inner, false, &mut buffer);
            self.reactor().blocks().keep(buffer);
        }
        let watched = self.watch(&mut inner);
        if watched.is_err() {
            self.withdraw(&mut inner);
        }
        self.finish(inner);
        watched
    }

    /// Has the loop report its descriptors.
    fn watch(self: &Arc<Self>, inner: &mut Inner) -> std::result::Result<(), i32> {
        self.watch_outputs(inner)?;
        self.watch_inputs(inner)?;
        if let Life::Running { pidfd: Some(pidfd), .. } = &inner.life {
            self.reactor().poller.watch(pidfd, Slot::Pidfd.token(self.id), Interest::Readable)?;
        }
        self.watch_stops(inner)
    }

    /// Ends a child that cannot be watched, and takes everything back.
    fn withdraw(self: &Arc<Self>, inner: &mut Inner) {
        let known = inner.life.has_ended();
        inner.audience.withdraw(self.id, known);
        if let Life::Running { pidfd: Some(pidfd), .. } = &inner.life {
            let target = if self.leads_group { Target::Group } else { Target::Process };
            let _ = inner.outputs.cgroup().map(|cgroup| cgroup.kill());
            let killed = deliver::send(Recipient { pidfd, pid: self.pid, target, address: None }, libc::SIGKILL);
            let status = if killed.is_ok() {
                pidfd::reap_blocking(pidfd, self.pid);
                ExitStatus::Signal { signal: libc::SIGKILL, core_dumped: false }
            } else {
                // It has become another user's, and is not waited for: it may never end.
                ExitStatus::Unknown
            };
            self.exit(inner, Ending { status, cause: Cause::Killed }, None, false);
        }
        for index in inner.outputs.indices() {
            self.end_output(inner, index);
        }
        self.close(inner, None);
    }

    // Events of the child.

    /// Handles a descriptor that is ready.
    pub(super) fn on_ready(self: &Arc<Self>, slot: Slot, hang_up: bool, buffer: &mut ReadBuffer) {
        let mut inner = lock(&self.inner);
        match slot {
            Slot::Pidfd => self.look_for_exit(&mut inner, hang_up, buffer),
            Slot::Stdout => self.read(&mut inner, 0, hang_up, buffer),
            Slot::Stderr => self.read(&mut inner, 1, hang_up, buffer),
            Slot::Output(at) => self.read(&mut inner, 2 + usize::from(at), hang_up, buffer),
            Slot::Stdin => self.input_has_room(&mut inner, STDIN),
            Slot::Cgroup => self.cgroup_changed(&mut inner),
            Slot::Input(at) => {
                if let Some((number, _)) = inner.outputs.other_inputs().get(usize::from(at)) {
                    let number = *number;
                    self.input_has_room(&mut inner, number);
                }
            }
        }
        self.finish(inner);
    }

    /// Forgets the descriptors without closing them: the host has closed them, and the numbers may be its own now.
    pub(super) fn lose(&self) {
        let mut inner = lock(&self.inner);
        inner.life.lose();
        inner.outputs.lose();
    }

    /// Wakes every waiter: the service is broken.
    pub(super) fn wake_all(&self) {
        let mut inner = lock(&self.inner);
        self.wake_waiters();
        inner.outputs.watchers().into_iter().for_each(|watchers| watchers.broken());
    }

    /// Wakes every waiter. The caller holds the lock.
    fn wake_waiters(&self) {
        self.gate.notify_all(self.reactor());
    }

    // Consequences of an event.

    /// Decides what follows from the state as it is now.
    fn finish(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>) {
        if matches!(inner.life, Life::Exited { .. }) && self.stop_is_settled(&mut inner) && inner.outputs.are_ended() {
            self.close(&mut inner, None);
        }
        self.arm(&mut inner);
    }

    /// Reaps and marks an exit under the lock, under which signals are sent too: none can follow the reaping.
    fn look_for_exit(self: &Arc<Self>, inner: &mut Inner, hang_up: bool, buffer: &mut ReadBuffer) {
        let Life::Running { pidfd: Some(pidfd), intent, .. } = &inner.life else { return };
        let keep = self.leads_group && !deliver::groups_have_pidfds();
        let mut looked = if keep { pidfd::peek(pidfd) } else { pidfd::reap(pidfd, self.pid) };
        let unreaped = matches!(looked, Peek::Ended(..)) && keep;
        if keep && looked == Peek::Denied {
            looked = pidfd::reap(pidfd, self.pid);
        }
        let mut rusage = None;
        let status = match looked {
            Peek::Running => return,
            Peek::Ended(status, used) => {
                rusage = Some(Box::new(used));
                status
            }
            // It stays unreaped, because a filter forbids to ask for it.
            Peek::Denied => ExitStatus::Unknown,
            Peek::Stolen => match pidfd::ask_stolen(pidfd) {
                // The hang-up comes when the host's reaping is done.
                Told::NotYet if !hang_up => return,
                told => told.status(),
            },
        };
        let ending = Ending { status, cause: intent.unwrap_or(Cause::Natural) };
        self.exit(inner, ending, rusage, unreaped);
        self.wake_waiters();
        // Usually everything has been written, so that the child can be closed right here.
        for index in inner.outputs.indices() {
            self.read(inner, index, true, buffer);
        }
    }

    /// Goes from running to exited.
    fn exit(self: &Arc<Self>, inner: &mut Inner, ending: Ending, rusage: Option<Box<ResourceUsage>>, unreaped: bool) {
        let now = Stamp::now();
        self.take_foreground_back(inner, false);
        self.end_inputs(inner);
        inner.life.exit(ending, now, rusage, unreaped);
        inner.audience.tell_exited(&self.sender(inner), ending, now);
        self.tell_watchers(inner);
    }

    /// Goes from exited to closed; with holders if the drain bound was reached.
    fn close(self: &Arc<Self>, inner: &mut Inner, holders: Option<Vec<Holder>>) {
        let now = Stamp::now();
        let Life::Exited { ending, .. } = inner.life else { return };
        let text = holders.as_deref().map(holders_text);
        if let Some(pidfd) = inner.life.close(now, holders.unwrap_or_default()) {
            pidfd::reap(&pidfd, self.pid);
        }
        inner.stopping = None;
        inner.outputs.end_pause();
        inner.outputs.stop_sharing();
        let sender = self.sender(inner);
        inner.audience.tell_closed(&sender, ending, text.as_deref(), now);
        self.wake_waiters();
        self.tell_watchers(inner);
        self.release_cgroup(inner);
        self.owner.closed(self.id, inner.is_drained());
        // A holder's pipe is read on, and discarded: closing it would kill a background server by SIGPIPE.
        for index in inner.outputs.indices() {
            self.reread(inner, index);
        }
        inner.audience.release_member();
    }
}

impl Asker for Child {
    fn open_files(&self) -> Vec<Written> {
        lock(&self.inner).outputs.open_files()
    }

    fn on_holders(self: Arc<Self>, holders: Vec<Holder>) {
        let mut inner = lock(&self.inner);
        if matches!(inner.life, Life::Exited { drain: Draining::Naming { .. }, .. }) {
            if self.stop_is_settled(&mut inner) {
                self.close(&mut inner, Some(holders));
            } else {
                // A stop has begun meanwhile, and may end the holders.
                inner.life.end_naming();
            }
        }
        self.finish(inner);
    }
}

impl Source for Child {
    fn resume(&self) {
        let mut inner = lock(&self.inner);
        if inner.outputs.is_paused() && !inner.audience.is_full(self.id) {
            self.go_on_reading(&mut inner);
            self.arm(&mut inner);
        }
    }
}

/// The cost of an idle child, besides its place in the registry: what is rare is boxed.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Child>() <= 344);
