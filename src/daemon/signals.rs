//! SIGTERM and SIGINT as requests to stop, for programs that are daemons and ask for it. The only place where this
//! library touches dispositions.
//!
//! The handler tells one thread, `coreproc-sig`, which asks every daemon that listens. It is the only thread of ours
//! that leaves signals open: those two, so that they arrive also where the program blocks them everywhere. No mask
//! of another thread is touched. The last daemon that stops listening puts the dispositions back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::life::StopHandle;
use crate::error::{Error, Result};
use crate::runtime::lock;
use crate::sys::{fork, handler, thread};

const OPERATION: &str = "stop on signals";

/// The thread, while somebody listens. Held while something is installed or restored.
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);
static LISTENERS: Mutex<Vec<(u64, StopHandle)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);
/// The thread is to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// While it lives, the signals ask for a stop.
pub(super) struct Listening(u64);

/// Has SIGTERM and SIGINT ask for this stop.
pub(super) fn listen(stop: StopHandle) -> Result<Listening> {
    let mut thread = lock(&THREAD);
    if thread.is_none() {
        let started = thread::start("coreproc-sig", {
            let seen = handler::news();
            move || pass_on(seen)
        })?;
        if let Err(errno) = handler::install() {
            end(started);
            return Err(Error::system(OPERATION, "sigaction", errno));
        }
        *thread = Some(started);
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&LISTENERS).push((id, stop));
    Ok(Listening(id))
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A child of fork has no such thread, and its copy of the lock may be held for ever.
        if fork::happened() {
            return;
        }
        let mut thread = lock(&THREAD);
        let is_last = {
            let mut listeners = lock(&LISTENERS);
            listeners.retain(|(id, _)| *id != self.0);
            listeners.is_empty()
        };
        if is_last && let Some(started) = thread.take() {
            handler::restore();
            end(started);
        }
    }
}

/// The thread's life.
fn pass_on(mut seen: u32) {
    handler::listen_here();
    loop {
        handler::wait(seen);
        seen = handler::news();
        if ENDING.load(Ordering::Acquire) {
            return;
        }
        for (_, stop) in lock(&LISTENERS).iter() {
            stop.request_stop();
        }
    }
}

fn end(thread: JoinHandle<()>) {
    ENDING.store(true, Ordering::Release);
    handler::wake();
    let _ = thread.join();
    ENDING.store(false, Ordering::Release);
}
