//! The ladder: four ways to start a child, best first. The first one that the kernel and its filters allow is taken,
//! and remembered for this process.
//!
//! clone3 (Linux 5.3; its CLONE_CLEAR_SIGHAND is of 5.5) → clone with the same sharing → fork, with a close-on-exec
//! pipe that tells when exec has happened → fork with pidfd_open.

use std::ffi::CStr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU8, Ordering};

use super::arena::Arena;
use super::child::Context;
use super::plan::{Failure, Plan, Stage, Started};
use super::rungs::{by_clone, by_clone3, by_fork};
use crate::sys::pidfd;

/// Starts a child; returns once exec has succeeded or the child is gone again.
pub(crate) fn spawn(plan: &Plan<'_>) -> Result<Started, Failure> {
    let (candidates, argv, envp) = (plan.candidates.addresses(), plan.argv.addresses(), plan.envp.addresses());
    let arena = Arena::take().map_err(|errno| Failure::at(Stage::Memory, errno))?;
    let context = Context {
        candidates: candidates.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        cwd: plan.cwd.map_or(std::ptr::null(), CStr::as_ptr),
        stdio: plan.stdio.map(|fd| fd.map_or(-1, AsRawFd::as_raw_fd)),
        grouping: plan.grouping,
        gate: [-1; 3],
        report: arena.report(),
    };
    let outcome = run_ladder(&context, &arena);
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

const RUNGS: u8 = 4;

fn run_ladder(context: &Context, arena: &Arena) -> Result<Started, Failure> {
    static LOWEST: AtomicU8 = AtomicU8::new(0);
    let first = LOWEST.load(Ordering::Relaxed);
    let mut refused = Failure::at(Stage::Clone, libc::ENOSYS);
    for rung in first..RUNGS {
        let outcome = match rung {
            0 => by_clone3(context, arena),
            1 => by_clone(context, arena),
            2 => by_fork(context, libc::CLONE_PIDFD),
            _ => by_fork(context, 0),
        };
        match outcome {
            // A kernel without the call or the flag says so, and filters do.
            Err(errno @ (libc::ENOSYS | libc::EINVAL | libc::EPERM)) => {
                refused.errno = errno;
            }
            Err(errno) => return Err(Failure::at(Stage::Clone, errno)),
            Ok(started) => {
                if rung > first {
                    LOWEST.fetch_max(rung, Ordering::Relaxed);
                }
                return Ok(started);
            }
        }
    }
    Err(refused)
}
