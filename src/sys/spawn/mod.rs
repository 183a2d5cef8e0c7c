//! Starting a child: clone with vfork semantics, so that the cost does not grow with the parent's memory.
//!
//! The child shares our memory while the parent's thread waits, runs on a stack of its own with all signals
//! blocked, makes raw system calls alone, and reports a failure as (stage, errno) through a shared page. [`spawn`]
//! returns once exec has succeeded or the child is gone again; a child that was started gets descriptors 0, 1 and 2 and
//! no others, default signals and an empty mask.
//!
//! System calls of the parent: clone3(2), clone(2), pidfd_open(2), mmap(2), waitid(2); of the child: setpgid(2) or
//! setsid(2), rt_sigaction(2), dup2(2), close_range(2), chdir(2), rt_sigprocmask(2), execve(2).

mod arena;
mod child;
mod descriptors;
mod gate;
mod ladder;
mod plan;
mod rungs;
mod signals;
mod stage;
mod step;

pub(crate) use ladder::spawn;
pub(crate) use plan::{Grouping, PID_ROOM, Plan};
pub(crate) use stage::{Failure, Stage};
pub(crate) use step::{Expect, Step, Steps};
