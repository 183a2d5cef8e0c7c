//! [`Running`]: a server's thread, seen from the handle. It sends orders to the thread, and learns of its end.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, lock};
use crate::util::condition::wait_up_to;

/// A thread that serves.
pub(super) struct Running {
    /// The bound address, as callers write it.
    address: String,
    orders: watch::Sender<Order>,
    life: Arc<Life>,
}

/// An order to the thread. A later variant goes further.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Serve,
    /// End once the requests that are under way are answered.
    Finish,
    /// End now.
    End,
}

/// The place where the thread tells the handle how it ended.
#[derive(Default)]
pub(super) struct Life {
    end: Mutex<Option<End>>,
    has_ended: Condvar,
}

/// How the thread ended.
pub(super) enum End {
    /// It was ordered to end, and this many requests were under way then.
    Stopped {
        cut: usize,
    },
    Panicked(String),
}

impl Life {
    pub(super) fn end(&self, end: End) {
        *lock(&self.end) = Some(end);
        self.has_ended.notify_all();
    }
}

impl Running {
    /// Makes what a thread that is to serve at this address needs: where its orders arrive, and where it reports its
    /// end.
    pub(super) fn new(address: String) -> (Running, watch::Receiver<Order>, Arc<Life>) {
        let (orders, received) = watch::channel(Order::Serve);
        let life = Arc::<Life>::default();
        (Running { address, orders, life: Arc::clone(&life) }, received, life)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the end of the thread; past the deadline, cuts the requests that are under way.
    pub(super) fn stop(&self, operation: &'static str, deadline: Deadline) -> Result<()> {
        self.order(Order::Finish);
        let mut end = lock(&self.life.end);
        while end.is_none() {
            let mut left = deadline.left();
            if left == Some(Duration::ZERO) {
                self.order(Order::End);
                // From now on the thread waits for nothing.
                left = None;
            }
            end = wait_up_to(&self.life.has_ended, end, left);
        }
        let failed = |kind, why: String| Err(Error::new(kind, operation, why).on(self.address.clone()));
        match &*end {
            None | Some(End::Stopped { cut: 0 }) => Ok(()),
            Some(End::Stopped { cut: 1 }) => failed(ErrorKind::TimedOut, "a request was still under way".to_owned()),
            Some(End::Stopped { cut }) => failed(ErrorKind::TimedOut, format!("{cut} requests were still under way")),
            Some(End::Panicked(why)) => failed(ErrorKind::Panic, why.clone()),
        }
    }

    /// Orders the thread to end now, without waiting.
    pub(super) fn abandon(&self) {
        self.order(Order::End);
    }

    fn order(&self, order: Order) {
        self.orders.send_if_modified(|given| {
            let is_stronger = order > *given;
            *given = order.max(*given);
            is_stronger
        });
    }
}
