//! [`DaemonEntry`]: what the registry knows of a daemon.

use std::time::SystemTime;

use crate::sys::identity::{self, PidNamespace, Presence, ProcessStart};
use crate::util::epoch::to_ns;

/// A daemon in the registry: `daemon` of the program `code`.
///
/// ```
/// use coreproc::DaemonEntry;
///
/// let entry = DaemonEntry {
///     code: "shop".to_owned(),
///     daemon: "mailer".to_owned(),
///     pid: std::process::id() as i32,
///     ..DaemonEntry::default()
/// };
/// assert!(entry.is_alive());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonEntry {
    /// The program that it belongs to. Not empty.
    pub code: String,
    /// Its name among the daemons of that program. Not empty.
    pub daemon: String,
    /// The PID of its process.
    pub pid: i32,
    /// The address of its health server, or empty.
    pub health: String,
    /// The directory that it works for, or empty.
    pub project: String,
    /// The path of its program, or empty.
    pub binary: String,
    /// When it started; None means the moment of its registration.
    pub started: Option<SystemTime>,
    /// When its process started, as the kernel counts. The registration fills it in; entries of programs that do not
    /// write it have none.
    pub process: Option<ProcessStart>,
    /// The PID namespace in which its PID counts. The registration fills it in; entries of programs that do not write
    /// it have none.
    pub pid_namespace: Option<PidNamespace>,
}

/// A process that started more than this later than its entry says is another process.
const SLACK_NS: i128 = 2_000_000_000;

/// Whether the process of an entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    Dead,
    /// The process belongs to another PID namespace, so it cannot be looked for here.
    Foreign,
}

/// This boot and this PID namespace, which entries are compared with: read once for many of them.
pub(super) struct Here {
    boot_id: Option<String>,
    pid_namespace: Option<PidNamespace>,
}

impl Here {
    pub(super) fn now() -> Here {
        Here { boot_id: identity::boot_id(), pid_namespace: identity::pid_namespace() }
    }
}

impl DaemonEntry {
    /// Returns whether the process for which the entry was written lives. False if another process has that PID now, or
    /// if the entry was written in another PID namespace, whose PIDs mean nothing here.
    pub fn is_alive(&self) -> bool {
        matches!(self.life(&Here::now()), Life::Alive)
    }

    pub(super) fn life(&self, here: &Here) -> Life {
        let boot_id = self.process.as_ref().map(|process| &process.boot_id);
        let boot_id = boot_id.or(self.pid_namespace.as_ref().map(|namespace| &namespace.boot_id));
        if let (Some(then), Some(now)) = (boot_id, &here.boot_id)
            && then != now
        {
            return Life::Dead;
        }
        if self.pid_namespace.is_some() && self.pid_namespace != here.pid_namespace {
            return Life::Foreign;
        }
        let lives = match (identity::presence(self.pid), &self.process, self.started) {
            (Presence::Gone, ..) => false,
            (Presence::Here(Some(ticks)), Some(process), _) => process.ticks == ticks,
            (Presence::Here(Some(ticks)), None, Some(started)) => {
                identity::realtime_ns(ticks) <= to_ns(started) + SLACK_NS
            }
            (Presence::Here(_), ..) => true,
        };
        if lives { Life::Alive } else { Life::Dead }
    }

    /// Returns whether this is the entry of that daemon.
    pub(super) fn is_namesake(&self, code: &str, daemon: &str) -> bool {
        self.code == code && self.daemon == daemon
    }

    /// Returns whether both entries were written for the same process.
    pub(super) fn is_of_same_process(&self, other: &DaemonEntry) -> bool {
        self.pid == other.pid && self.process == other.process && self.pid_namespace == other.pid_namespace
    }
}
