//! Names the holders of output pipes at the drain bound: a scan of /proc takes milliseconds, so it runs on a
//! thread of its own (`coreproc-scan`), which lives while anybody waits; one scan serves all who do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::SegQueue;

use super::child::Child;
use crate::sys::procfs::{self, Holder};
use crate::sys::thread;

#[derive(Default)]
pub(crate) struct Scanner {
    waiting: SegQueue<Arc<Child>>,
    running: AtomicBool,
}

impl Scanner {
    /// Has `child`'s holders looked up; [`Child::on_holders`] gets the answer, from here when no thread can be
    /// had. The caller holds no lock.
    pub(crate) fn request(child: &Arc<Child>) {
        let scanner = &child.supervisor.scanner;
        scanner.waiting.push(Arc::clone(child));
        if scanner.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let supervisor = Arc::clone(&child.supervisor);
        let started = thread::start("coreproc-scan", move || supervisor.scanner.run());
        if started.is_err() {
            scanner.running.store(false, Ordering::SeqCst);
            while let Some(child) = scanner.waiting.pop() {
                child.on_holders(vec![Holder::unknown()]);
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

fn serve(waiting: Vec<Arc<Child>>) {
    let wanted: Vec<(Arc<Child>, Vec<u64>)> = waiting
        .into_iter()
        .map(|child| {
            let inodes = child.pipe_inodes();
            (child, inodes)
        })
        .collect();
    let all: Vec<u64> = wanted.iter().flat_map(|(_, inodes)| inodes).copied().collect();
    let found = procfs::writers_of(&all);
    for (child, inodes) in wanted {
        let mut holders: Vec<Holder> = inodes.iter().filter_map(|inode| found.get(inode)).flatten().cloned().collect();
        holders.sort_by_key(|holder| holder.pid);
        holders.dedup();
        if holders.is_empty() {
            holders.push(Holder::unknown());
        }
        child.on_holders(holders);
    }
}
