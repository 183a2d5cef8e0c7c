//! [`Supervisor`]: the children, subscriptions and runs of one service, in one registry; and the thread that turns its
//! loop. It runs no user code.
//!
//! Locks: a child's may be held when the registry's is taken, and the registry's when that of a subscription is. A
//! child that is not yet shared is locked under the registry's.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

use once_cell::sync::OnceCell;

use super::child::{Child, Owner, Seed, Slot};
use super::options::{CloseMode, ServiceOptions};
use super::scan::Scanner;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Queue, SubscriptionOptions, SubscriptionScope};
use crate::runtime::{self, Deadline, Gate, Handler, Reactor, Turn, lock};
use crate::sys::address::Address;
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::Stamp;
use crate::sys::deliver;
use crate::sys::thread;
use crate::sys::worker::Worker;

/// A run of a pipeline, as far as its service knows it.
pub(crate) trait ServiceObserver: Send + Sync {
    /// Told that the service was closed, so that no further process can be started. Called before any process is ended
    /// for it.
    fn service_closed(&self);
    /// Wakes every waiter: the service is broken.
    fn wake_all(&self);
}

pub(crate) struct Supervisor {
    reactor: Reactor,
    /// The address through which signals reach its children; kept alive here.
    _address: Option<Arc<Address>>,
    options: ServiceOptions,
    scanner: Arc<Scanner>,
    /// The thread that starts what dies with the host: the kernel takes its end for the host's. So it lives as long as
    /// this, which is until the last child is closed.
    spawner: OnceCell<Worker>,
    registry: Mutex<Registry>,
    /// The waiters for idleness, a condition of the registry.
    idle: Gate,
}

#[derive(Default)]
struct Registry {
    /// The greatest number that was given to a child or a run.
    last_id: u64,
    /// The children of which some descriptor is still watched.
    children: HashMap<u64, Arc<Child>>,
    /// Children that are not yet closed.
    open: usize,
    /// Spawns under way.
    spawning: usize,
    /// How the service was closed, once it was.
    closing: Option<CloseMode>,
    /// Whether the last handle of the service is gone.
    abandoned: bool,
    /// Whether the subscriptions know that no process will be added.
    sources_ended: bool,
    subscriptions: Vec<Weak<Queue>>,
    /// The runs, which are told of a close and of a panic.
    runs: Vec<Weak<dyn ServiceObserver>>,
}

impl Registry {
    /// Returns whether every child is closed, and none is on its way.
    fn is_idle(&self) -> bool {
        self.open == 0 && self.spawning == 0
    }

    fn refuse_if_closed(&self, operation: &'static str) -> Result<()> {
        match self.closing {
            Some(_) => Err(Error::new(ErrorKind::Closed, operation, "the service is closed")),
            None => Ok(()),
        }
    }

    /// Returns the subscriptions that get the events of a command or a run which names these.
    fn subscriptions_of(&self, named: &[Arc<Queue>]) -> impl Iterator<Item = Arc<Queue>> {
        self.subscriptions.iter().filter_map(Weak::upgrade).filter(|subscription| {
            let is_named = || named.iter().any(|queue| Arc::ptr_eq(queue, subscription));
            subscription.scope == SubscriptionScope::All || is_named()
        })
    }
}

impl Supervisor {
    /// Opens the loop and starts the thread.
    pub(crate) fn start(options: ServiceOptions) -> Result<Arc<Supervisor>> {
        let supervisor = Arc::new(Supervisor {
            reactor: Reactor::new()?,
            _address: deliver::prepare().map_err(|errno| Error::system("open service", "pipe", errno))?,
            options,
            scanner: Arc::default(),
            spawner: OnceCell::new(),
            registry: Mutex::default(),
            idle: Gate::default(),
        });
        let turn = Turn::new()?;
        let running = Arc::clone(&supervisor);
        thread::start("coreproc-sup", move || running.run(turn))?;
        Ok(supervisor)
    }

    fn run(&self, turn: Turn) {
        let life = catch_unwind(AssertUnwindSafe(|| self.reactor.supervise(self, turn, || self.is_over())));
        if let Err(payload) = life {
            self.reactor.break_with(self, payload.as_ref());
        }
    }

    fn is_over(&self) -> bool {
        let registry = lock(&self.registry);
        registry.abandoned && registry.spawning == 0 && registry.children.is_empty()
    }

    pub(super) fn options(&self) -> &ServiceOptions {
        &self.options
    }

    /// Returns the thread that starts what dies with the host.
    pub(super) fn spawner(&self) -> Result<&Worker> {
        self.spawner.get_or_try_init(|| Worker::start("coreproc-spawn"))
    }

    /// Announces a spawn; refused after close. [`Supervisor::admit`] or [`Supervisor::retract`] follows.
    pub(crate) fn begin_spawn(&self) -> Result<()> {
        self.reactor.check("spawn")?;
        self.check_descriptors("spawn")?;
        let mut registry = lock(&self.registry);
        registry.refuse_if_closed("spawn")?;
        registry.spawning += 1;
        Ok(())
    }

    /// Fails if the descriptors are no longer ours. Called before one of them is used.
    pub(crate) fn check_descriptors(&self, operation: &'static str) -> Result<()> {
        self.reactor.check_descriptors(self, operation)
    }

    /// Takes back the announcement of a spawn: it has failed, and there is no process.
    pub(crate) fn retract(&self) {
        let mut registry = lock(&self.registry);
        registry.spawning -= 1;
        self.after_change(&mut registry);
    }

    /// Admits the child of a spawn that succeeded: gives it its id and its subscriptions. [`Child::begin`] follows.
    /// Also returns how the service was closed, if it was closed in between.
    pub(super) fn admit(self: &Arc<Self>, seed: Seed, named: &[Arc<Queue>]) -> (Arc<Child>, Option<CloseMode>) {
        let mut registry = lock(&self.registry);
        registry.spawning -= 1;
        registry.last_id += 1;
        registry.open += 1;
        let child = Child::new(registry.last_id, Arc::clone(self) as Arc<dyn Owner>, seed);
        registry.subscriptions.retain(|subscription| subscription.strong_count() > 0);
        registry.subscriptions_of(named).for_each(|subscription| child.attach(subscription));
        registry.children.insert(child.id(), Arc::clone(&child));
        self.after_change(&mut registry);
        (child, registry.closing)
    }

    /// Gives a run its number, and the subscriptions that get its events. `build` makes the run of them.
    pub(crate) fn admit_run<R: ServiceObserver + 'static>(
        &self,
        named: &[Arc<Queue>],
        build: impl FnOnce(u64, Vec<Arc<Queue>>, Stamp) -> Arc<R>,
    ) -> Result<Arc<R>> {
        self.reactor.check("start run")?;
        self.check_descriptors("start run")?;
        let mut registry = lock(&self.registry);
        registry.refuse_if_closed("start run")?;
        registry.last_id += 1;
        let (id, now) = (registry.last_id, Stamp::now());
        let feeds = registry.subscriptions_of(named).filter(|subscription| subscription.attach_run(id, now)).collect();
        let run = build(id, feeds, now);
        registry.runs.retain(|run| run.strong_count() > 0);
        registry.runs.push(Arc::downgrade(&run) as Weak<dyn ServiceObserver>);
        Ok(run)
    }

    /// Returns whether spawns are refused.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.registry).closing.is_some()
    }

    /// Wakes the threads and subscriptions that wait for what has changed.
    fn after_change(&self, registry: &mut Registry) {
        if registry.is_idle() {
            self.idle.notify_all(&self.reactor);
        }
        if registry.abandoned && registry.children.is_empty() {
            self.reactor.wake_supervisor();
        }
        // The spawns under way have to be attached first.
        if registry.closing.is_some() && registry.spawning == 0 && !registry.sources_ended {
            registry.sources_ended = true;
            registry.subscriptions.iter().filter_map(Weak::upgrade).for_each(|subscription| subscription.end_source());
        }
    }

    /// Returns the child with this id, as long as something of it is watched.
    pub(crate) fn child(&self, id: u64) -> Option<Arc<Child>> {
        lock(&self.registry).children.get(&id).cloned()
    }

    /// Returns how many children are not yet closed; those on their way count, too.
    pub(crate) fn open_count(&self) -> usize {
        let registry = lock(&self.registry);
        registry.open + registry.spawning
    }

    /// Refuses further spawns, tells the runs, and returns the children to be ended as `mode` says.
    pub(crate) fn close(&self, mode: CloseMode) -> Vec<Arc<Child>> {
        let _ = self.check_descriptors("close service");
        let (children, runs) = {
            let mut registry = lock(&self.registry);
            registry.closing = Some(mode);
            self.after_change(&mut registry);
            (registry.children.values().cloned().collect(), registry.runs.clone())
        };
        runs.iter().filter_map(Weak::upgrade).for_each(|run| run.service_closed());
        children
    }

    /// Notes that the last handle is gone: nothing can be spawned, and the thread ends with the last child.
    pub(crate) fn abandon(&self) {
        let _ = self.check_descriptors("free service");
        let already_closed = {
            let mut registry = lock(&self.registry);
            registry.abandoned = true;
            registry.closing.is_some()
        };
        if !already_closed {
            self.close(CloseMode::Leave);
        }
        self.reactor.wake_supervisor();
    }

    /// Adds a subscription.
    pub(crate) fn subscribe(self: &Arc<Self>, options: SubscriptionOptions) -> Result<Arc<Queue>> {
        const OPERATION: &str = "subscribe";
        options.check(OPERATION)?;
        self.reactor.check(OPERATION)?;
        self.check_descriptors(OPERATION)?;
        let mut registry = lock(&self.registry);
        registry.refuse_if_closed(OPERATION)?;
        let queue = Arc::new(Queue::new(Arc::clone(self) as Arc<dyn Handler>, options));
        registry.subscriptions.retain(|subscription| subscription.strong_count() > 0);
        registry.subscriptions.push(Arc::downgrade(&queue));
        Ok(queue)
    }

    /// Waits until every child is closed, and none is on its way.
    pub(crate) fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        const OPERATION: &str = "wait idle";
        runtime::wait(self, OPERATION, (&self.registry, &self.idle), deadline, |registry| {
            registry.is_idle().then_some(())
        })?
        .ok_or_else(|| Error::new(ErrorKind::TimedOut, OPERATION, "some processes are not closed"))
    }

    /// Makes the loop panic, for tests of what a panic does.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn panic_at_next_turn(&self) {
        self.reactor.panic_at_next_turn();
    }

    /// Returns all children of the registry, closed or not.
    pub(super) fn children(&self) -> Vec<Arc<Child>> {
        lock(&self.registry).children.values().cloned().collect()
    }
}

impl Owner for Supervisor {
    fn closed(&self, id: u64, drained: bool) {
        let mut registry = lock(&self.registry);
        registry.open -= 1;
        if drained {
            registry.children.remove(&id);
        }
        self.after_change(&mut registry);
    }

    fn drained(&self, id: u64) {
        let mut registry = lock(&self.registry);
        registry.children.remove(&id);
        self.after_change(&mut registry);
    }

    fn scanner(&self) -> &Arc<Scanner> {
        &self.scanner
    }
}

impl Handler for Supervisor {
    fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    fn handle(&self, token: u64, hang_up: bool, buffer: &mut ReadBuffer) {
        let (id, slot) = Slot::of(token);
        if let Some(child) = self.child(id) {
            child.on_ready(slot, hang_up, buffer);
        }
    }

    fn deadline(&self, id: u64, now: u64, buffer: &mut ReadBuffer) {
        if let Some(child) = self.child(id) {
            child.on_deadline(now, buffer);
        }
    }

    fn lost(&self) {
        self.children().iter().for_each(|child| child.lose());
        let subscriptions = lock(&self.registry).subscriptions.clone();
        subscriptions.iter().filter_map(Weak::upgrade).for_each(|subscription| subscription.lose());
    }

    fn broken(&self) {
        for child in self.children() {
            child.wake_all();
        }
        let registry = lock(&self.registry);
        self.idle.notify_all(&self.reactor);
        let subscriptions = registry.subscriptions.clone();
        let runs = registry.runs.clone();
        drop(registry);
        runs.iter().filter_map(Weak::upgrade).for_each(|run| run.wake_all());
        subscriptions.iter().filter_map(Weak::upgrade).for_each(|subscription| subscription.wake_all());
    }
}
