//! The rungs of the ladder: each starts a child in its own way, and returns once exec has succeeded or the child is
//! gone, or the errno of the clone.
//!
//! System calls: clone3(2), clone(2), and pidfd_open(2) if clone makes no pidfd.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use super::arena::Arena;
use super::child::{Context, child};
use super::gate::{open_at_gate, read_byte};
use super::plan::Started;
use crate::sys::deliver::{self, Recipient, Target};
use crate::sys::signal::AllBlocked;
use crate::sys::{descriptor, pidfd, pipe, raw};

/// Turns the results of clone(2) and clone3(2): the PID and, by way of a pointer, the pidfd.
fn started(pid: isize, pidfd: i32) -> Result<Started, i32> {
    if pid < 0 {
        return Err(-pid as i32);
    }
    // SAFETY: the kernel made it for us alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let started = Started { pid: pid as i32, pidfd };
    if started.pidfd.as_raw_fd() > 2 {
        return Ok(started);
    }
    match descriptor::duplicate(started.pidfd.as_fd()) {
        Ok(pidfd) => Ok(Started { pidfd, ..started }),
        Err(errno) => {
            give_up(started);
            Err(errno)
        }
    }
}

/// Ends a child that cannot be watched.
fn give_up(started: Started) {
    let Started { pid, pidfd } = &started;
    let _ = deliver::send(Recipient { pidfd, pid: *pid, target: Target::Process, address: None }, libc::SIGKILL);
    pidfd::reap_blocking(pidfd, *pid);
}

/// `cgroup` is the directory of the cgroup that the child begins in; or -1.
pub(super) fn by_clone3(context: &Context, arena: &Arena, cgroup: i32) -> Result<Started, i32> {
    /// `struct clone_args`: 64 bytes in its first version, 88 in the one with a cgroup.
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const FIRST_VERSION: usize = 64;
    const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    let mut pidfd: i32 = -1;
    let (stack, size) = arena.stack();
    let (into, size_given) = if cgroup < 0 { (0, FIRST_VERSION) } else { (CLONE_INTO_CGROUP, size_of::<CloneArgs>()) };
    let arguments = CloneArgs {
        flags: (libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK) as u64 | CLONE_CLEAR_SIGHAND | into,
        cgroup: u64::try_from(cgroup).unwrap_or(0),
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack as u64,
        stack_size: size as u64,
        ..CloneArgs::default()
    };
    let pid = {
        let _blocked = AllBlocked::new();
        // SAFETY: vfork semantics, a stack of its own; `child` never returns.
        unsafe {
            raw::clone_onto_stack(
                libc::SYS_clone3,
                [&raw const arguments as usize, size_given, 0, 0],
                child,
                (&raw const *context).cast(),
            )
        }
    };
    started(pid, pidfd)
}

pub(super) fn by_clone(context: &Context, arena: &Arena) -> Result<Started, i32> {
    let mut pidfd: i32 = -1;
    let (stack, size) = arena.stack();
    let flags = libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let pid = {
        let _blocked = AllBlocked::new();
        // SAFETY: vfork semantics, a stack of its own; `child` never returns.
        unsafe {
            raw::clone_onto_stack(
                libc::SYS_clone,
                [flags as usize, stack + size, &raw mut pidfd as usize, 0],
                child,
                (&raw const *context).cast(),
            )
        }
    };
    started(pid, pidfd)
}

/// Starts a child without shared memory, at the cost of a copy of the parent's page tables. `pidfd_flag` is CLONE_PIDFD
/// or 0.
pub(super) fn by_fork(context: &Context, pidfd_flag: i32) -> Result<Started, i32> {
    if pidfd_flag == 0 {
        // This is tried first, because a child that cannot be watched must not be started.
        pidfd::open(std::process::id() as i32)?;
    }
    let (exec_done, mut held_by_child) = pipe::pipe()?;
    // The child keeps it until exec, so it must not lie where a descriptor is placed.
    let mut in_the_way = Vec::new();
    while context.places_at(held_by_child.as_raw_fd()) {
        let duplicate = descriptor::duplicate(held_by_child.as_fd())?;
        in_the_way.push(std::mem::replace(&mut held_by_child, duplicate));
    }
    let gate = if pidfd_flag == 0 { Some(pipe::pipe()?) } else { None };
    let context = &Context {
        gate: gate
            .as_ref()
            .map_or([-1; 3], |(wait, open)| [wait.as_raw_fd(), open.as_raw_fd(), held_by_child.as_raw_fd()]),
        ..*context
    };
    let mut pidfd: i32 = -1;
    let pid = {
        let _blocked = AllBlocked::new();
        // SAFETY: the child is a copy that runs `child` alone, on its copy of this stack.
        unsafe {
            let pid =
                raw::syscall5(libc::SYS_clone, (pidfd_flag | libc::SIGCHLD) as usize, 0, &raw mut pidfd as usize, 0, 0);
            if pid == 0 {
                child((&raw const *context).cast());
            }
            pid
        }
    };
    drop((held_by_child, in_the_way));
    if pid > 0
        && let Some((_, gate)) = gate
    {
        pidfd = open_at_gate(pid as i32, &gate, &exec_done)?.into_raw_fd();
    }
    let started = started(pid, pidfd)?;
    // The child writes nothing more: the pipe ends with exec, or with the child's death.
    read_byte(&exec_done);
    Ok(started)
}
