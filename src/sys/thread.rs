//! Our own threads. They are named, block every signal, so that no handler of the host runs on them, and are never
//! cancelled, which a callback could ask for.
//!
//! Calls: pthread_create(3) by way of std, rt_sigprocmask(2), pthread_setcancelstate(3).

use std::thread::{Builder, JoinHandle};

use super::signal::Deaf;
use super::{cancel, reserve};
use crate::error::{Error, Result};

/// Starts a thread called `name` (15 bytes at most, the kernel's limit).
pub(crate) fn start(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    debug_assert!(name.len() <= 15);
    reserve::check_room("start thread")?;
    // A new thread inherits the mask of its creator.
    let _deaf = Deaf::new();
    Builder::new()
        .name(name.to_owned())
        .spawn(|| {
            cancel::disable();
            run();
        })
        .map_err(|e| Error::system("start thread", name, e.raw_os_error().unwrap_or(libc::EAGAIN)))
}
