//! [`Scanner`]: names the holders of output pipes at the drain bound. A pass over /proc takes milliseconds, so it runs
//! on a thread of its own (`coreproc-scan`), which lives while any child waits; one pass serves all that do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::SegQueue;

use crate::sys::procfs::{self, Holder, Written};
use crate::sys::thread;

/// A child that asks for the holders of its pipes.
pub(super) trait Asker: Send + Sync {
    /// Returns the pipes, and the terminal, that are still open.
    fn open_files(&self) -> Vec<Written>;
    /// Takes the answer: at least one holder, which may be unknown. The scanner holds no lock.
    fn on_holders(self: Arc<Self>, holders: Vec<Holder>);
}

#[derive(Default)]
pub(super) struct Scanner {
    waiting: SegQueue<Arc<dyn Asker>>,
    running: AtomicBool,
}

impl Scanner {
    /// Looks up which processes hold the pipes of `asker`. [`Asker::on_holders`] gets the answer; it is called from
    /// here if no thread can be started. The caller holds no lock.
    pub(super) fn request(self: &Arc<Self>, asker: Arc<dyn Asker>) {
        self.waiting.push(asker);
        if self.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let scanner = Arc::clone(self);
        if thread::start("coreproc-scan", move || scanner.run()).is_err() {
            self.running.store(false, Ordering::SeqCst);
            while let Some(asker) = self.waiting.pop() {
                asker.on_holders(vec![Holder::unknown()]);
            }
        }
    }

    fn run(&self) {
        loop {
            let waiting: Vec<_> = std::iter::from_fn(|| self.waiting.pop()).collect();
            if !waiting.is_empty() {
                serve(waiting);
                continue;
            }
            self.running.store(false, Ordering::SeqCst);
            if self.waiting.is_empty() || self.running.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// Makes one pass over /proc for all of them.
fn serve(waiting: Vec<Arc<dyn Asker>>) {
    let wanted: Vec<(Arc<dyn Asker>, Vec<Written>)> = waiting
        .into_iter()
        .map(|asker| {
            let files = asker.open_files();
            (asker, files)
        })
        .collect();
    let all: Vec<Written> = wanted.iter().flat_map(|(_, files)| files).copied().collect();
    let found = procfs::writers_of(&all);
    for (asker, files) in wanted {
        let mut holders: Vec<Holder> = files.iter().filter_map(|file| found.get(file)).flatten().cloned().collect();
        holders.sort_by_key(|holder| holder.pid);
        holders.dedup();
        if holders.is_empty() {
            holders.push(Holder::unknown());
        }
        asker.on_holders(holders);
    }
}
