//! SIGTERM and SIGINT as requests to stop, for programs that are daemons and ask for it. Nothing else in this library
//! changes the disposition of a signal.
//!
//! The handler wakes one thread, `coreproc-sig`, which asks every daemon that listens to stop. It is the only thread of
//! ours that does not block these two signals, so that they arrive even if all threads of the program block them. The
//! mask of no other thread is changed. The last daemon that stops listening puts the dispositions back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::stop_handle::StopHandle;
use crate::error::{Error, Result};
use crate::runtime::lock;
use crate::sys::{fork, handler, thread};

const OPERATION: &str = "stop on signals";

/// The thread, while a daemon listens. The lock is held while handlers are installed or restored.
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);
static LISTENERS: Mutex<Vec<(u64, StopHandle)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Whether the thread has to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// A guard: while it lives, the two signals request a stop of one daemon.
pub(super) struct Listening(u64);

/// Makes SIGTERM and SIGINT request a stop by this handle.
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
        // A child of fork has no such thread, and its copy of the lock may never be given back.
        if fork::is_child() {
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

/// Passes signals on as requests to stop, until the thread is to end.
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
