//! Work on several threads at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Runs `side` over and over on some threads until `work` is done, or has panicked.
pub fn beside<T>(threads: usize, side: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    side();
                }
            });
        }
        let _stop = Stop(&over);
        work()
    })
}

/// Runs `work(worker, index)` for every index below `total` on `workers` threads; the first panic is passed on.
pub fn in_parallel(workers: u64, total: u64, work: impl Fn(u64, u64) + Sync) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..workers {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= total {
                        break;
                    }
                    work(worker, index);
                }
            });
        }
    });
}
