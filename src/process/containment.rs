//! Containment: by what means a process and all that it starts are held together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::cgroup::{Cgroup, Missing, TreeLimits, Usage};
use crate::sys::clock::Stamp;
use crate::sys::tree::{Known, Refused};

/// The means by which a process is held together with what it starts, the weakest first. [`Info::rung`](crate::Info)
/// says which one a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// None: the process is in the host's group.
    Process,
    /// A process group, which each process can leave (`setsid(2)`, `setpgid(2)`).
    Group,
    /// A cgroup of its own in the v2 hierarchy, which no process leaves without the right to write to another cgroup.
    Cgroup,
}

/// Which [`Rung`] a command asks for: [`Command::contain`](crate::Command::contain).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Containment {
    /// Its group if it leads one, and nothing more.
    #[default]
    Default,
    /// The best one that the system allows.
    Prefer,
    /// This one, or the spawn fails.
    Require(Rung),
}

/// A living process of a tree: [`Process::tree`](crate::Process::tree).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeMember {
    /// Its PID at the time of the look.
    pub pid: i32,
    /// Its command line as one line of text, or its name in brackets.
    pub command: String,
    /// Whether a signal to the tree reaches it. If not, it has left the tree (only its environment tells where it came
    /// from), or the kernel refused to signal it.
    pub reachable: bool,
}

/// What holds a contained child together, and what is known of those that got away.
pub(super) struct Contained {
    pub(super) cgroup: Option<Cgroup>,
    /// The text in its environment by which what it starts is recognized, without a cgroup.
    pub(super) mark: Option<String>,
    /// What was used in the cgroup, once that is removed.
    pub(super) usage: Option<Usage>,
    /// Whether the cgroup is frozen, because the tree is paused.
    pub(super) frozen: bool,
    /// The members that were found without a cgroup, by the signals to the tree so far.
    pub(super) known: Known,
    /// The members that a signal did not reach.
    pub(super) unreached: Vec<Refused>,
    /// When the removal of the cgroup is tried again, on CLOCK_MONOTONIC, and after how long; 0: it is not.
    pub(super) remove_at: u64,
    pub(super) interval: u64,
}

/// The variable with the marks of all trees that a process is part of, separated by colons.
pub(super) const MARKS: &str = "COREPROC_TREE";

impl Contained {
    /// Makes what a command asks for; None if it asks for nothing. TreeLimits need a cgroup.
    pub(super) fn new(wanted: Containment, limits: &TreeLimits) -> Result<Option<Contained>, Missing> {
        match wanted {
            Containment::Default if limits.is_empty() => Ok(None),
            Containment::Require(Rung::Process | Rung::Group) => Ok(Some(Contained::marked())),
            Containment::Default | Containment::Prefer | Containment::Require(Rung::Cgroup) => {
                match Cgroup::new(limits) {
                    Ok(cgroup) => Ok(Some(Contained { cgroup: Some(cgroup), mark: None, ..Contained::unmarked() })),
                    Err(_) if wanted == Containment::Prefer && limits.is_empty() => Ok(Some(Contained::marked())),
                    Err(missing) => Err(missing),
                }
            }
        }
    }

    /// Makes what is left without a cgroup.
    pub(super) fn marked() -> Contained {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // No other tree has this mark, in whatever process and boot.
        let mark = format!("{}.{number}.{:x}", std::process::id(), Stamp::now().realtime_ns);
        Contained { mark: Some(mark), ..Contained::unmarked() }
    }

    /// Makes what notes the members that a signal did not reach, and holds nothing.
    pub(super) fn unmarked() -> Contained {
        Contained {
            cgroup: None,
            mark: None,
            usage: None,
            frozen: false,
            known: Known::new(),
            unreached: Vec::new(),
            remove_at: 0,
            interval: 0,
        }
    }

    pub(super) fn rung(contained: Option<&Contained>, leads_group: bool) -> Rung {
        match contained {
            Some(Contained { cgroup: Some(_), .. }) => Rung::Cgroup,
            _ if leads_group => Rung::Group,
            _ => Rung::Process,
        }
    }
}

/// The stage of a spawn at which the containment is made.
pub(super) const STAGE: &str = "contain";
