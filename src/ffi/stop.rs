//! `coreproc_stop_options`, and what a signal reaches.

use std::time::Duration;

use super::convert::Operation;
use super::limit::at_most;
use super::versioned::versioned;
use crate::error::Result;
use crate::{Scope, StopOptions, StopPolicy, StopStep};

/// The tree if the command asks for a containment, else the group if the process leads its own, else
/// the process; for coreproc_process_signal the process.
pub const COREPROC_SCOPE_DEFAULT: u32 = 0;
/// The process alone.
pub const COREPROC_SCOPE_PROCESS: u32 = 1;
/// The process group that it leads.
pub const COREPROC_SCOPE_GROUP: u32 = 2;
/// The process and all that it has started: each process in its cgroup if it has one, even after
/// the process itself is closed. Otherwise its group, if it leads one, and its descendants as far as
/// /proc shows them: a process whose parent has ended is not found unless it is in the group.
pub const COREPROC_SCOPE_TREE: u32 = 3;

/// One step of a stop: a signal, and the time until the next step. Plain data, whose layout never
/// changes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_stop_step {
    /// The signal, 1 to 64. Only the last step may have SIGKILL.
    pub signal: i32,
    /// Must be 0.
    pub reserved: u32,
    /// Milliseconds until the next step (0: 5000; UNLIMITED: only a further stop leads to it). The
    /// last step's has no meaning.
    pub grace_ms: u64,
}

const _: () = assert!(size_of::<coreproc_stop_step>() == 16);

/// How to stop a process: a signal, a grace period, SIGKILL; or any number of steps. Zero is the
/// default everywhere. SIGCONT follows each signal that a stopped process would not act on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_stop_options {
    /// sizeof(coreproc_stop_options).
    pub struct_size: u32,
    /// A COREPROC_SCOPE value.
    pub scope: u32,
    /// The first signal (0: SIGTERM).
    pub signal: i32,
    /// Must be 0.
    pub reserved: u32,
    /// Milliseconds until SIGKILL (0: 5000; UNLIMITED: only a further stop sends it).
    pub grace_ms: u64,
    /// Steps in place of `signal` and `grace_ms`, which must be 0 then; NULL: none. Copied.
    pub steps: *const coreproc_stop_step,
    /// The number of steps.
    pub steps_len: usize,
}

versioned!(coreproc_stop_options, 24);
const _: () = assert!(size_of::<coreproc_stop_options>() == 40);

pub(super) fn scope(op: Operation, scope: u32) -> Result<Scope> {
    match scope {
        COREPROC_SCOPE_DEFAULT => Ok(Scope::Default),
        COREPROC_SCOPE_PROCESS => Ok(Scope::Process),
        COREPROC_SCOPE_GROUP => Ok(Scope::Group),
        COREPROC_SCOPE_TREE => Ok(Scope::Tree),
        other => Err(op.unknown("scope", other)),
    }
}

/// # Safety
/// As for [`Operation::options`]; `steps` is NULL or valid for reads of `steps_len` steps.
pub(super) unsafe fn stop_policy(op: Operation, options: *const coreproc_stop_options) -> Result<StopPolicy> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    op.reserved(options.reserved)?;
    // SAFETY: the caller's promise.
    let steps = unsafe { op.array("steps", options.steps, options.steps_len) }?;
    if steps.is_empty() {
        return stop_of(op, options.scope, options.signal, options.grace_ms).map(StopPolicy::from);
    }
    if options.signal != 0 || options.grace_ms != 0 {
        return Err(op.invalid("steps: are in place of signal and grace_ms, which must be 0"));
    }
    for step in steps {
        op.reserved(step.reserved)?;
    }
    policy_of(op, options.scope, steps.iter().map(|step| (step.signal, step.grace_ms)))
}

/// Makes stop options of their fields, of which 0 is the default.
pub(super) fn stop_of(op: Operation, scope: u32, signal: i32, grace_ms: u64) -> Result<StopOptions> {
    let signal = if signal == 0 { StopOptions::default().signal } else { signal };
    let stop = StopOptions { signal, grace: grace(grace_ms), scope: self::scope(op, scope)? };
    stop.check(op.0)?;
    Ok(stop)
}

/// Makes a policy of its scope, and of the signal and the milliseconds of each step.
pub(super) fn policy_of(op: Operation, scope: u32, steps: impl Iterator<Item = (i32, u64)>) -> Result<StopPolicy> {
    let steps = steps.map(|(signal, grace_ms)| StopStep { signal, grace: grace(grace_ms) }).collect();
    let policy = StopPolicy { scope: self::scope(op, scope)?, steps };
    policy.check(op.0)?;
    Ok(policy)
}

fn grace(ms: u64) -> Option<Duration> {
    if ms == 0 { StopOptions::default().grace } else { at_most(ms) }
}
