//! [`Router`]: the subscription of all logs of a service, and which process writes to which log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use super::shared::Shared;
use crate::error::Result;
use crate::event::{
    Batch, Delivery, EventFilter, EventKind, Overflow, Queue, Stream, Subscription, SubscriptionOptions,
    SubscriptionScope, listen,
};
use crate::process::supervisor::Supervisor;
use crate::runtime::{Handler, lock};

/// A log, and the kinds of output that go there.
#[derive(Clone, Debug)]
pub(in crate::process) struct Route {
    pub(super) log: Arc<Shared>,
    pub(super) filter: EventFilter,
}

impl Route {
    /// Adds it to a list, in which each log stands once.
    pub(in crate::process) fn join(self, list: &mut Vec<Route>) {
        let all = EventFilter::default();
        match list.iter_mut().find(|known| Arc::ptr_eq(&known.log, &self.log)) {
            Some(known) if known.filter == all || self.filter == all => known.filter = all,
            Some(known) => known.filter = known.filter | self.filter,
            None => list.push(self),
        }
    }

    fn takes(&self, stream: Stream) -> bool {
        self.filter == EventFilter::default() || self.filter.contains(EventFilter::of(stream))
    }
}

#[derive(Default)]
struct Routes {
    by_process: HashMap<u64, Vec<Route>>,
    /// All logs, which learn of the end of the thread.
    logs: Vec<Weak<Shared>>,
    has_ended: bool,
}

pub(in crate::process) struct Router {
    queue: Arc<Queue>,
    routes: Mutex<Routes>,
    /// Open until the thread ends, so that logs are written until the last process is closed.
    subscription: Mutex<Option<Subscription>>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Router")
    }
}

/// The thread's hold on its router.
struct Life(Arc<Router>);

impl Drop for Life {
    fn drop(&mut self) {
        let mut routes = lock(&self.0.routes);
        routes.has_ended = true;
        routes.by_process.clear();
        let logs = std::mem::take(&mut routes.logs);
        drop(routes);
        logs.iter().filter_map(Weak::upgrade).for_each(|log| log.end());
        let subscription = lock(&self.0.subscription).take();
        drop(subscription);
    }
}

impl Router {
    /// Opens the subscription and starts the thread.
    pub(in crate::process) fn start(supervisor: &Arc<Supervisor>) -> Result<Arc<Router>> {
        let queue = supervisor.subscribe(SubscriptionOptions {
            scope: SubscriptionScope::Named,
            delivery: Delivery::WholeLines,
            filter: EventFilter::STDOUT | EventFilter::STDERR | EventFilter::DESCRIPTORS | EventFilter::CLOSED,
            overflow: Overflow::DropNewest,
            ..SubscriptionOptions::default()
        })?;
        let router = Arc::new(Router { queue, routes: Mutex::default(), subscription: Mutex::default() });
        let life = Life(Arc::clone(&router));
        let handler = Arc::clone(supervisor) as Arc<dyn Handler>;
        let subscription = listen(Arc::clone(&router.queue), handler, move |batch| life.0.write(batch))?;
        *lock(&router.subscription) = Some(subscription);
        Ok(router)
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Returns whether its thread still writes.
    pub(in crate::process) fn is_alive(&self) -> bool {
        !lock(&self.routes).has_ended
    }

    pub(super) fn add_log(&self, log: &Arc<Shared>) {
        let mut routes = lock(&self.routes);
        routes.logs.retain(|known| known.strong_count() > 0);
        routes.logs.push(Arc::downgrade(log));
    }

    /// Has the output of a process written from now on. Called before any of it is read.
    pub(in crate::process) fn add(&self, process_id: u64, to: &[Route]) {
        to.iter().for_each(|route| route.log.add_writer());
        lock(&self.routes).by_process.insert(process_id, to.to_vec());
    }

    /// Forgets a process, which is closed, or never came to be.
    pub(in crate::process) fn remove(&self, process_id: u64) {
        let known = lock(&self.routes).by_process.remove(&process_id);
        known.into_iter().flatten().for_each(|route| route.log.remove_writer());
    }

    fn write(&self, batch: &Batch) {
        let id = batch.process_id();
        let to = lock(&self.routes).by_process.get(&id).cloned().unwrap_or_default();
        for event in batch.events() {
            match event.kind {
                EventKind::Output { stream, partial, .. } => {
                    to.iter()
                        .filter(|route| route.takes(stream))
                        .for_each(|route| route.log.write(&event, stream, partial));
                }
                EventKind::Overflow { bytes, .. } => to.iter().for_each(|route| route.log.lose(bytes)),
                EventKind::Closed { .. } => self.remove(id),
                _ => {}
            }
        }
    }
}
