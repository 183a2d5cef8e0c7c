//! The supervisor of a service: its registry of children, its loop, its timers. Runs no user code.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

use super::child::{Child, Seed, Slot};
use super::member::Observer;
use super::scan::Scanner;
use super::service::{CloseMode, ServiceOptions};
use super::timers::Timers;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Queue, SubscriptionOptions, SubscriptionScope};
use crate::runtime::{self, Deadline, Gate, Handler, Reactor, Turn, lock};
use crate::sys::address::Address;
use crate::sys::buffer::ReadBuffer;
use crate::sys::clock::{Stamp, monotonic_ns};
use crate::sys::deliver;
use crate::sys::poller::Interest;
use crate::sys::procfs;
use crate::sys::spool::Watcher;
use crate::sys::thread;

/// Tokens below the first child's; see [`Slot::token`].
const TIMER: u64 = 1;
const SPOOLS: u64 = 2;

pub(crate) struct Supervisor {
    reactor: Reactor,
    /// Kept for the signals to its children.
    _address: Option<Arc<Address>>,
    pub(crate) options: ServiceOptions,
    pub(crate) timers: Timers,
    pub(crate) scanner: Scanner,
    registry: Mutex<Registry>,
    /// On the registry: waiters for idleness.
    idle: Gate,
    spools: Mutex<Option<Spools>>,
    /// As the last pass over /proc found them.
    groups: Mutex<Groups>,
    #[cfg(feature = "fault-injection")]
    panic_next: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Registry {
    last_id: u64,
    /// Every child that some descriptor of is still watched.
    children: HashMap<u64, Arc<Child>>,
    /// Of these, how many are not closed.
    open: usize,
    /// Spawns under way.
    spawning: usize,
    closing: Option<CloseMode>,
    /// The last handle of the service is gone.
    abandoned: bool,
    /// The subscriptions know that no process will be added.
    sources_ended: bool,
    subscriptions: Vec<Weak<Queue>>,
    /// Runs, to be told of a close and of a panic.
    runs: Vec<Weak<dyn Observer>>,
}

struct Spools {
    watcher: Watcher,
    readers: HashMap<i32, (u64, Slot)>,
}

/// The process groups that had a living member at some moment.
#[derive(Default)]
struct Groups {
    taken: u64,
    alive: Option<HashSet<i32>>,
}

impl Supervisor {
    pub(crate) fn start(options: ServiceOptions) -> Result<Arc<Supervisor>> {
        let supervisor = Arc::new(Supervisor {
            reactor: Reactor::new()?,
            _address: deliver::prepare().map_err(|errno| Error::system("open service", "pipe", errno))?,
            options,
            timers: Timers::new()?,
            scanner: Scanner::default(),
            registry: Mutex::default(),
            idle: Gate::default(),
            spools: Mutex::default(),
            groups: Mutex::default(),
            #[cfg(feature = "fault-injection")]
            panic_next: Default::default(),
        });
        supervisor
            .reactor
            .poller
            .watch(supervisor.timers.timer(), TIMER, Interest::Readable)
            .map_err(|errno| Error::system("open service", "epoll", errno))?;
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

    /// Announces a spawn; refused after close. [`Supervisor::admit`] or [`Supervisor::retract`] follows.
    pub(crate) fn begin_spawn(&self) -> Result<()> {
        self.reactor.check("spawn")?;
        self.check_descriptors("spawn")?;
        let mut registry = lock(&self.registry);
        if registry.closing.is_some() {
            return Err(Error::new(ErrorKind::Closed, "spawn", "the service is closed"));
        }
        registry.spawning += 1;
        Ok(())
    }

    /// Are the descriptors still ours? To be asked before something is done with one that the loop does not see.
    pub(crate) fn check_descriptors(&self, operation: &'static str) -> Result<()> {
        self.reactor.check_descriptors(self, operation)
    }

    /// The spawn failed: there is no process.
    pub(crate) fn retract(&self) {
        let mut registry = lock(&self.registry);
        registry.spawning -= 1;
        self.after_change(&mut registry);
    }

    /// The spawn succeeded: gives the child its id and its subscriptions. [`Child::begin`] follows. Also tells
    /// how a close that came in between wants it to end.
    pub(crate) fn admit(self: &Arc<Self>, seed: Seed, named: &[Arc<Queue>]) -> (Arc<Child>, Option<CloseMode>) {
        let mut registry = lock(&self.registry);
        registry.spawning -= 1;
        registry.last_id += 1;
        registry.open += 1;
        let child = Child::new(registry.last_id, Arc::clone(self), seed);
        registry.subscriptions.retain(|subscription| subscription.strong_count() > 0);
        for subscription in registry.subscriptions.iter().filter_map(Weak::upgrade) {
            let is_named = || named.iter().any(|core| Arc::ptr_eq(core, &subscription));
            if subscription.scope == SubscriptionScope::All || is_named() {
                child.attach(subscription);
            }
        }
        registry.children.insert(child.id, Arc::clone(&child));
        self.after_change(&mut registry);
        (child, registry.closing)
    }

    /// Gives a run its number and its subscriptions, those of its events. `build` makes it of them.
    pub(crate) fn admit_run<R: Observer + 'static>(
        &self,
        named: &[Arc<Queue>],
        build: impl FnOnce(u64, Vec<Arc<Queue>>, Stamp) -> Arc<R>,
    ) -> Result<Arc<R>> {
        self.reactor.check("start run")?;
        self.check_descriptors("start run")?;
        let mut registry = lock(&self.registry);
        if registry.closing.is_some() {
            return Err(Error::new(ErrorKind::Closed, "start run", "the service is closed"));
        }
        registry.last_id += 1;
        let (id, now) = (registry.last_id, Stamp::now());
        let mut feeds: Vec<Arc<Queue>> = Vec::new();
        for subscription in registry.subscriptions.iter().filter_map(Weak::upgrade) {
            let is_named = || named.iter().any(|core| Arc::ptr_eq(core, &subscription));
            if (subscription.scope == SubscriptionScope::All || is_named()) && subscription.attach_run(id, now) {
                feeds.push(subscription);
            }
        }
        let run = build(id, feeds, now);
        registry.runs.retain(|run| run.strong_count() > 0);
        registry.runs.push(Arc::downgrade(&run) as Weak<dyn Observer>);
        Ok(run)
    }

    /// Are spawns refused?
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.registry).closing.is_some()
    }

    /// A child is closed. `drained` is false while a holder's output is still to be read and discarded.
    pub(crate) fn child_closed(&self, id: u64, drained: bool) {
        let mut registry = lock(&self.registry);
        registry.open -= 1;
        if drained {
            registry.children.remove(&id);
        }
        self.after_change(&mut registry);
    }

    /// Nothing of a closed child is watched any more.
    pub(crate) fn child_drained(&self, id: u64) {
        let mut registry = lock(&self.registry);
        registry.children.remove(&id);
        self.after_change(&mut registry);
    }

    fn after_change(&self, registry: &mut Registry) {
        if registry.open == 0 && registry.spawning == 0 {
            self.idle.notify_all(&self.reactor);
        }
        if registry.abandoned && registry.children.is_empty() {
            self.reactor.wake_supervisor();
        }
        // Not before the spawns under way have been attached.
        if registry.closing.is_some() && registry.spawning == 0 && !registry.sources_ended {
            registry.sources_ended = true;
            registry.subscriptions.iter().filter_map(Weak::upgrade).for_each(|subscription| subscription.end_source());
        }
    }

    pub(crate) fn child(&self, id: u64) -> Option<Arc<Child>> {
        lock(&self.registry).children.get(&id).cloned()
    }

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

    /// The last handle is gone: nobody can spawn, and the thread ends with the last child.
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

    pub(crate) fn subscribe(self: &Arc<Self>, options: SubscriptionOptions) -> Result<Arc<Queue>> {
        const OPERATION: &str = "subscribe";
        options.check(OPERATION)?;
        self.reactor.check(OPERATION)?;
        self.check_descriptors(OPERATION)?;
        let mut registry = lock(&self.registry);
        if registry.closing.is_some() {
            return Err(Error::new(ErrorKind::Closed, OPERATION, "the service is closed"));
        }
        let core = Arc::new(Queue::new(Arc::clone(self) as Arc<dyn Handler>, options));
        registry.subscriptions.retain(|subscription| subscription.strong_count() > 0);
        registry.subscriptions.push(Arc::downgrade(&core));
        Ok(core)
    }

    pub(crate) fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        const OPERATION: &str = "wait idle";
        runtime::wait(self, OPERATION, (&self.registry, &self.idle), deadline, |registry| {
            (registry.open == 0 && registry.spawning == 0).then_some(())
        })?
        .ok_or_else(|| Error::new(ErrorKind::TimedOut, OPERATION, "some processes are not closed"))
    }

    /// Follows a spool; returns its watch number.
    pub(crate) fn follow(&self, file: &std::os::fd::OwnedFd, id: u64, slot: Slot) -> std::result::Result<i32, i32> {
        let mut guard = lock(&self.spools);
        let spools = match &mut *guard {
            Some(spools) => spools,
            none => {
                let watcher = Watcher::new()?;
                self.reactor.poller.watch(&watcher, SPOOLS, Interest::Readable)?;
                none.insert(Spools { watcher, readers: HashMap::new() })
            }
        };
        let watch = spools.watcher.add(file)?;
        spools.readers.insert(watch, (id, slot));
        Ok(watch)
    }

    pub(crate) fn unfollow(&self, watch: i32) {
        if let Some(spools) = &mut *lock(&self.spools) {
            spools.watcher.remove(watch);
            spools.readers.remove(&watch);
        }
    }

    fn spools_changed(&self, buffer: &mut ReadBuffer) {
        let mut changed = Vec::new();
        if let Some(spools) = &mut *lock(&self.spools) {
            let Spools { watcher, readers } = spools;
            watcher.drain(|watch| match watch {
                Some(watch) => changed.extend(readers.get(&watch)),
                None => changed.extend(readers.values()),
            });
        }
        for (id, slot) in changed {
            if let Some(child) = self.child(id) {
                child.on_ready(slot, false, buffer);
            }
        }
    }

    /// The number of a recent pass over /proc that found nobody in this group who has not ended; None when there is
    /// somebody. All stops that wait share a pass for a while: it looks at every process.
    pub(crate) fn pass_without(&self, group: i32) -> Option<u64> {
        const FRESH: u64 = 100_000_000;
        let mut groups = lock(&self.groups);
        if groups.alive.is_none() || groups.taken.saturating_add(FRESH) < monotonic_ns() {
            *groups = Groups { taken: monotonic_ns(), alive: procfs::living_groups() };
        }
        let Groups { taken, alive } = &*groups;
        alive.as_ref().is_some_and(|alive| !alive.contains(&group)).then_some(*taken)
    }

    /// For tests of what a panic does.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn panic_at_next_turn(&self) {
        self.panic_next.store(true, std::sync::atomic::Ordering::SeqCst);
        self.timers.timer().set(Some(1));
    }

    /// Every child, closed or not; for a service that broke.
    fn children(&self) -> Vec<Arc<Child>> {
        lock(&self.registry).children.values().cloned().collect()
    }
}

impl Handler for Supervisor {
    fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    fn handle(&self, token: u64, hang_up: bool, buffer: &mut ReadBuffer) {
        match token {
            TIMER => {
                self.handle_deadlines(buffer);
            }
            SPOOLS => self.spools_changed(buffer),
            _ => {
                let (id, slot) = Slot::of(token);
                if let Some(child) = self.child(id) {
                    child.on_ready(slot, hang_up, buffer);
                }
            }
        }
    }

    fn timer(&self) -> Option<BorrowedFd<'_>> {
        Some(self.timers.timer().as_fd())
    }

    fn handle_deadlines(&self, buffer: &mut ReadBuffer) -> bool {
        #[cfg(feature = "fault-injection")]
        if self.panic_next.swap(false, std::sync::atomic::Ordering::SeqCst) {
            panic!("injected into the supervisor");
        }
        let now = monotonic_ns();
        let due = self.timers.due(now);
        let any = !due.is_empty();
        for child in due.into_iter().filter_map(|id| self.child(id)) {
            child.on_deadline(now, buffer);
        }
        any
    }

    fn lost(&self) {
        self.timers.timer().lose();
        std::mem::forget(lock(&self.spools).take());
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
