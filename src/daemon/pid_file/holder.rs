//! [`Holder`]: which process holds the lock of a PID file.

use std::fs::File;
use std::thread;
use std::time::Duration;

use super::content::{self, Content};
use crate::error::describe_errno;
use crate::sys::file::{self, Obstacle};
use crate::sys::identity::{self, Presence};

/// How often, a millisecond apart, the file is looked at: a holder writes its PID a moment after it has taken the lock.
const LOOKS: u32 = 50;
const ELSEWHERE: &str = "its daemon may run in another PID namespace, or a child that it forked may have its lock";

/// Which process holds the lock of a file.
pub(super) enum Holder {
    /// The process with this PID.
    Known(i32),
    /// A process whose PID is not certain, with the reason.
    Unknown(String),
    /// A process that has a read lock, so it is no daemon.
    Reader,
    /// No process; the holder has given the lock back.
    Gone,
}

/// Finds the process that holds the lock of a file by the PID in it, which a new holder may be about to write.
pub(super) fn holder(file: &File) -> Holder {
    let mut seen = None;
    for round in 0..LOOKS {
        if round > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        match file::obstacle(file) {
            Ok(Obstacle::Writer) => {}
            Ok(Obstacle::Nothing) => return Holder::Gone,
            // The reader may hold it for a moment only.
            Ok(Obstacle::Reader) => {
                seen = None;
                continue;
            }
            Err(errno) => return Holder::Unknown(format!("is locked by somebody ({})", describe_errno(errno))),
        }
        let content = content::read(file).unwrap_or(Content::Blank);
        let mut claim = None;
        if let Content::Pid(pid) = content
            && identity::presence(pid) != Presence::Gone
        {
            claim = file::facts(file).ok().map(|facts| identity::has_locked(pid, &facts));
            if claim == Some(Some(true)) {
                return Holder::Known(pid);
            }
        }
        seen = Some((content, claim));
        if claim == Some(None) {
            // A later look would show the same.
            break;
        }
    }
    let Some((content, claim)) = seen else { return Holder::Reader };
    Holder::Unknown(match (content, claim) {
        (Content::Pid(pid), Some(None)) => {
            format!(
                "is locked; whether by PID {pid}, which is in it, cannot be seen in /proc/{pid}/fdinfo, and the number may be \
                 one of another PID namespace"
            )
        }
        (Content::Pid(pid), Some(Some(_))) => {
            format!("is locked, though not by PID {pid}, which is in it: {ELSEWHERE}")
        }
        (Content::Pid(pid), None) => format!("is locked, though PID {pid} in it does not run: {ELSEWHERE}"),
        (Content::Blank, _) => "is locked by a daemon that has not written its PID".to_owned(),
        (Content::Other(what), _) => format!("is locked by somebody, and {what}"),
    })
}
