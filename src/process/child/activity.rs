//! What the pass over /proc needs of a child, and what proves that it was its own.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Child;
use super::life::Life;
use crate::process::input::Input;
use crate::runtime::lock;
use crate::sys::pidfd;
use crate::sys::procfs::Root;

impl Child {
    /// Returns what is looked for in /proc; None once it has ended.
    pub(crate) fn looked_for(&self) -> Option<Root> {
        match &lock(&self.inner).life {
            Life::Running { stdin, .. } => {
                let pipe: Option<&OwnedFd> = match stdin {
                    Input::Open(pipe) => Some(&pipe.fd),
                    Input::Feeding(feed) => Some(&feed.fd),
                    _ => None,
                };
                Some(Root { pid: self.pid, input: pipe.and_then(crate::sys::descriptor::file_id) })
            }
            _ => None,
        }
    }

    /// Returns whether its number is still its own, and then the signal by which it is stopped.
    pub(crate) fn is_itself(self: &Arc<Self>) -> Option<Option<i32>> {
        let mut inner = lock(&self.inner);
        let stopped_by = match &inner.life {
            Life::Running { pidfd: Some(pidfd), .. } if pidfd::is_unreaped(pidfd) == Some(true) => {
                // If we have waited for the stop, we know its signal.
                pidfd::stop_signal(pidfd).or(inner.outputs.stopped_by().filter(|signal| *signal != 0))
            }
            _ => return None,
        };
        // Who sees the stop has the terminal.
        self.see_stop(&mut inner);
        Some(stopped_by)
    }
}
