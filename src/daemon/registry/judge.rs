//! [`Judge`]: what an entry of the registry is worth, by which user may have written it and whether its process lives.

use super::entry::{DaemonEntry, Here, Life};
use crate::sys::file::{self, Facts};
use crate::sys::identity;

/// The view of this process on one directory: which entries it believes, and which files it may change.
pub(super) struct Judge {
    here: Here,
    user: u32,
    directory: Facts,
}

/// What an entry is worth.
pub(super) enum Worth {
    Alive,
    Dead,
    /// It cannot be told whether the daemon lives, with the reason.
    Unknown(String),
    /// The owner of the file may not speak for that process, with the reason.
    Disbelieved(String),
}

impl Judge {
    pub(super) fn new(directory: &Facts) -> Judge {
        Judge { here: Here::now(), user: file::effective_user(), directory: *directory }
    }

    /// Returns whether the directory belongs to this user.
    pub(super) fn is_at_home(&self) -> bool {
        self.directory.owner == self.user
    }

    /// Returns whether the file may be removed or set aside: not if both it and its directory belong to other users.
    pub(super) fn may_change(&self, file: &Facts) -> bool {
        self.is_at_home() || file.owner == self.user
    }

    /// Judges what an entry from a file with these facts is worth.
    pub(super) fn worth(&self, facts: &Facts, entry: &DaemonEntry) -> Worth {
        if facts.is_everybodys() {
            return Worth::Disbelieved("may be written by everybody".to_owned());
        }
        let (owner, user) = (facts.owner, self.user);
        let is_believed = owner == 0 || owner == user;
        if !is_believed && self.directory.is_everybodys() {
            let reason = format!("belongs to user {owner}, not to {user}, in a directory that everybody may write");
            return Worth::Disbelieved(reason);
        }
        match entry.life(&self.here) {
            Life::Dead => Worth::Dead,
            Life::Foreign => Worth::Unknown("is of another PID namespace, and was not checked".to_owned()),
            // A user that may write the directory speaks for that user's own processes.
            Life::Alive if !is_believed && identity::runs_as(entry.pid, owner) != Some(true) => {
                Worth::Disbelieved(format!("belongs to user {owner}, and PID {} does not", entry.pid))
            }
            Life::Alive => Worth::Alive,
        }
    }
}
