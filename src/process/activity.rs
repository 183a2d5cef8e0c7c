//! [`Activity`]: what a process does and uses, with its tree.

use std::sync::Arc;

use super::child::Child;
use super::process::Process;
use super::service::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::fork;
use crate::sys::procfs::{self, Figures, Found};

/// What a process does, as [`Process::activity`] and [`Service::activities`] tell it.
///
/// ```
/// use coreproc::{AwaitsInput, Command, Doing, Service, ServiceOptions, Stdin};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let cat = Command::new("cat").stdin(Stdin::Pipe).spawn(&service)?;
/// loop {
///     let activity = cat.activity()?;
///     if activity.awaits_input == AwaitsInput::Yes(cat.pid()) {
///         assert_eq!(activity.doing, Doing::Sleeping);
///         assert_eq!(activity.processes, 1);
///         break;
///     }
/// #   assert_ne!(activity.awaits_input, AwaitsInput::Unknown);
/// }
/// cat.close_stdin()?;
/// # cat.wait(None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The number of the process in its service.
    pub id: u64,
    /// Its PID.
    pub pid: i32,
    /// What the process itself does.
    pub doing: Doing,
    /// Whether it, or a process of its tree, waits for input.
    pub awaits_input: AwaitsInput,
    /// What it uses itself.
    pub own: Figures,
    /// What it and its tree use: its descendants, and the members of the group or session that it leads, even if they
    /// are not its descendants any more. A descendant that has left both, and whose parent has ended, is not found.
    pub tree: Figures,
    /// How many processes the tree has, the process itself among them, that have not ended.
    pub processes: u64,
}

/// What a process does.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// One of its threads runs, or could.
    Running,
    /// It waits for something: input, a child, a time.
    Sleeping,
    /// It waits in the kernel and cannot be interrupted, usually for a disk.
    Uninterruptible,
    /// It is stopped (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU).
    Stopped {
        /// The signal; None if someone has waited for the stop, which makes the kernel forget it.
        signal: Option<i32>,
    },
    /// A debugger has stopped it.
    Traced,
    /// It has ended, and is about to be reaped.
    Zombie,
}

/// Whether a tree waits for input: a process of it is blocked until the standard input of the root, or a terminal, can
/// be read. It may be in read(2), or in poll(2), select(2) or epoll_wait(2) of that file, beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwaitsInput {
    /// No process of it does.
    No,
    /// This one does; perhaps others, too.
    Yes(i32),
    /// It cannot be told of one of them: it may not be traced (another user's, not dumpable, forbidden by Yama), or is a
    /// 32-bit program, or waits in io_uring.
    Unknown,
}

const OPERATION: &str = "activity";

impl Process {
    /// Tells what it does, and what it and its tree use, by one pass over /proc. Nothing is told of a stranger, even if
    /// processes end meanwhile and their numbers are used again. For many processes, [`Service::activities`] is cheaper.
    ///
    /// # Errors
    ///
    /// `NotRunning` once it has ended. `Unsupported` if /proc does not show it.
    pub fn activity(&self) -> Result<Activity> {
        fork::check(OPERATION)?;
        let children = [Arc::clone(self.child())];
        let found = look_at(&children)?.pop();
        found.ok_or_else(|| match self.child().is_itself() {
            Some(_) => hidden("it is hidden in /proc").on(format!("process {}", self.id())),
            None => Error::new(ErrorKind::NotRunning, OPERATION, "it has ended").on(format!("process {}", self.id())),
        })
    }
}

impl Service {
    /// Tells what its processes do that run, and what they and their trees use, by one pass over /proc for all of them, in
    /// the order of their ids. A process that ends meanwhile, or that /proc hides, is left out. See
    /// [`Process::activity`].
    ///
    /// # Errors
    ///
    /// `Unsupported` without a /proc that shows the processes of this PID namespace.
    pub fn activities(&self) -> Result<Vec<Activity>> {
        fork::check(OPERATION)?;
        let mut children = self.supervisor().children();
        children.sort_by_key(|child| child.id());
        look_at(&children)
    }
}

fn hidden(cause: &str) -> Error {
    Error::new(ErrorKind::Unsupported, OPERATION, cause)
}

/// Looks at those that run.
fn look_at(children: &[Arc<Child>]) -> Result<Vec<Activity>> {
    let (roots, children): (Vec<_>, Vec<_>) =
        children.iter().filter_map(|child| Some((child.looked_for()?, child))).unzip();
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let Some(found) = procfs::look_at(&roots) else {
        return Err(hidden("there is no /proc that shows the processes of this PID namespace"));
    };
    // Their numbers were their own all the time if they still are.
    let told = children.into_iter().zip(found).filter_map(|(child, found)| {
        let (found, stopped_by) = (found?, child.is_itself()?);
        Some(activity(child, &found, stopped_by))
    });
    Ok(told.collect())
}

fn activity(child: &Child, found: &Found, stopped_by: Option<i32>) -> Activity {
    Activity {
        id: child.id(),
        pid: child.pid(),
        doing: match found.state {
            _ if found.runs => Doing::Running,
            'D' => Doing::Uninterruptible,
            'T' => Doing::Stopped { signal: stopped_by },
            't' => Doing::Traced,
            'Z' | 'X' => Doing::Zombie,
            'R' => Doing::Running,
            _ => Doing::Sleeping,
        },
        awaits_input: match found.awaits_input {
            Ok(None) => AwaitsInput::No,
            Ok(Some(pid)) => AwaitsInput::Yes(pid),
            Err(()) => AwaitsInput::Unknown,
        },
        own: found.own,
        tree: found.tree,
        processes: found.processes,
    }
}
