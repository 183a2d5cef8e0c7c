//! [`Spools`]: one inotify descriptor that tells which of the followed files were written.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use super::lock::lock;
use crate::sys::poller::{Interest, Poller};
use crate::sys::spool::Watcher;

/// The spools that a loop follows. The descriptor is made for the first of them.
#[derive(Default)]
pub(super) struct Spools(Mutex<Option<Followed>>);

struct Followed {
    watcher: Watcher,
    /// The token of each watch number.
    tokens: HashMap<i32, u64>,
}

impl Spools {
    /// Reports writes to `file` under `token` from now on, and returns the watch number. The poller gets the inotify
    /// descriptor under `own_token`.
    pub(super) fn follow(
        &self,
        poller: &Poller,
        own_token: u64,
        file: &OwnedFd,
        token: u64,
    ) -> std::result::Result<i32, i32> {
        let mut guard = lock(&self.0);
        let followed = match &mut *guard {
            Some(followed) => followed,
            none => {
                let watcher = Watcher::new()?;
                poller.watch(&watcher, own_token, Interest::Readable)?;
                none.insert(Followed { watcher, tokens: HashMap::new() })
            }
        };
        let watch = followed.watcher.add(file)?;
        followed.tokens.insert(watch, token);
        Ok(watch)
    }

    /// Ends what [`Spools::follow`] began.
    pub(super) fn unfollow(&self, watch: i32) {
        if let Some(followed) = &mut *lock(&self.0) {
            followed.watcher.remove(watch);
            followed.tokens.remove(&watch);
        }
    }

    /// Returns the tokens of the spools that were written since the last call; all of them if the kernel has lost
    /// count.
    pub(super) fn changed(&self) -> Vec<u64> {
        let mut changed = Vec::new();
        if let Some(Followed { watcher, tokens }) = &mut *lock(&self.0) {
            watcher.drain(|watch| match watch {
                Some(watch) => changed.extend(tokens.get(&watch)),
                None => changed.extend(tokens.values()),
            });
        }
        changed
    }

    /// Forgets the descriptor without closing it: the host has closed it, and its number may be the host's.
    pub(super) fn lose(&self) {
        std::mem::forget(lock(&self.0).take());
    }
}
