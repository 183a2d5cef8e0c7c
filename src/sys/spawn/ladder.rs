//! The ladder: four ways to start a child, best first. The first one that the kernel and its filters allow is taken,
//! and remembered for this process.
//!
//! clone3 (Linux 5.3; its CLONE_CLEAR_SIGHAND is of 5.5) → clone with the same sharing → fork, with a close-on-exec
//! pipe that tells when exec has happened → fork with pidfd_open.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::arena::Arena;
use super::child::Context;
use super::descriptors::Placed;
use super::plan::{Plan, Started};
use super::rungs::{by_clone, by_clone3, by_fork};
use super::stage::{Failure, Stage};
use crate::sys::{descriptor, pidfd};

/// Starts a child; returns once exec has succeeded or the child is gone again.
pub(crate) fn spawn(plan: &Plan<'_>) -> Result<Started, Failure> {
    let (candidates, argv, envp) = (plan.candidates.addresses(), plan.argv.addresses(), plan.envp.addresses());
    let (placed, _moved) = out_of_the_way(plan.descriptors)?;
    let arena = Arena::take().map_err(|errno| Failure::at(Stage::Memory, errno))?;
    let context = Context {
        candidates: candidates.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        cwd: plan.cwd.map_or(std::ptr::null(), CStr::as_ptr),
        cwd_fd: plan.cwd_fd.map_or(-1, AsRawFd::as_raw_fd),
        stdio: plan.stdio.map(|fd| fd.map_or(-1, AsRawFd::as_raw_fd)),
        placed: placed.as_ptr(),
        placed_count: placed.len(),
        pid_place: if plan.has_pid_room { room_of_last(&envp) } else { std::ptr::null_mut() },
        grouping: plan.grouping,
        cgroup: plan.cgroup.map_or(-1, AsRawFd::as_raw_fd),
        steps: plan.steps.as_ptr(),
        step_count: plan.steps.len(),
        gate: [-1; 3],
        report: arena.report(),
    };
    let outcome = run_ladder(&context, &arena, plan.own_memory);
    let report = arena.report();
    let failure = report.failure();
    report.clear();
    arena.put_back();
    let started = outcome?;
    match failure {
        None => Ok(started),
        Some(failure) => {
            pidfd::reap_blocking(&started.pidfd, started.pid);
            Err(failure)
        }
    }
}

/// Returns what is placed where, from sources that lie at no target, so that no placement replaces what another one
/// needs; and the duplicates that were made for that.
fn out_of_the_way(descriptors: &[(u16, Arc<OwnedFd>)]) -> Result<(Vec<Placed>, Vec<OwnedFd>), Failure> {
    let (mut placed, mut moved) = (Vec::new(), Vec::new());
    let is_target = |fd: i32| descriptors.iter().any(|(target, _)| i32::from(*target) == fd);
    for (target, fd) in descriptors {
        let target = i32::from(*target);
        let mut source = fd.as_raw_fd();
        // A duplicate that lands on a target is kept for as long as it takes to get one that does not.
        while is_target(source) {
            let failed = |errno| Failure { candidate: target as u32, ..Failure::at(Stage::Descriptor, errno) };
            let duplicate = descriptor::duplicate(fd.as_fd()).map_err(failed)?;
            source = duplicate.as_raw_fd();
            moved.push(duplicate);
        }
        placed.push(Placed { source, target });
    }
    Ok((placed, moved))
}

/// Returns the place of the [`PID_ROOM`] at the end of the last of these strings, which is `KEY=` and the room.
fn room_of_last(addresses: &[usize]) -> *mut u8 {
    let [.., last, _null] = addresses else { return std::ptr::null_mut() };
    // SAFETY: the address is of a string with a NUL, of which the first one stands where the room begins.
    let key = unsafe { CStr::from_ptr(*last as *const libc::c_char) };
    (*last + key.to_bytes().len()) as *mut u8
}

/// Starts the child in its cgroup (CLONE_INTO_CGROUP, Linux 5.7), or has it enter before exec if the kernel or a filter
/// refuses that.
fn by_clone3_into(context: &Context, arena: &Arena) -> Result<Started, i32> {
    if context.cgroup >= 0 {
        match by_clone3(&Context { cgroup: -1, ..*context }, arena, context.cgroup) {
            Err(libc::EINVAL | libc::E2BIG | libc::EPERM) => {}
            other => return other,
        }
    }
    by_clone3(context, arena, -1)
}

const RUNGS: u8 = 4;
/// The first rung on which the child has memory of its own.
const FORK: u8 = 2;

fn run_ladder(context: &Context, arena: &Arena, own_memory: bool) -> Result<Started, Failure> {
    static LOWEST: AtomicU8 = AtomicU8::new(0);
    let lowest = LOWEST.load(Ordering::Relaxed);
    let first = if own_memory { lowest.max(FORK) } else { lowest };
    let mut refused = Failure::at(Stage::Clone, libc::ENOSYS);
    for rung in first..RUNGS {
        let outcome = match rung {
            0 => by_clone3_into(context, arena),
            1 => by_clone(context, arena),
            2 => by_fork(context, libc::CLONE_PIDFD),
            _ => by_fork(context, 0),
        };
        match outcome {
            // A kernel without the call or the flag says so, and filters do.
            Err(errno @ (libc::ENOSYS | libc::EINVAL | libc::EPERM)) => {
                refused.errno = errno;
            }
            Err(
                errno @ (libc::EBUSY | libc::EOPNOTSUPP | libc::EACCES | libc::ENODEV | libc::EBADF | libc::ENOENT),
            ) if context.cgroup >= 0 => {
                return Err(Failure::at(Stage::Cgroup, errno));
            }
            Err(errno) => return Err(Failure::at(Stage::Clone, errno)),
            Ok(started) => {
                if rung > first && !own_memory {
                    LOWEST.fetch_max(rung, Ordering::Relaxed);
                }
                return Ok(started);
            }
        }
    }
    Err(refused)
}
