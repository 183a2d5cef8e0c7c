//! `coreproc_stop_options`, and what a signal reaches.

use super::convert::Operation;
use super::limit::at_most;
use super::versioned::versioned;
use crate::error::Result;
use crate::{Scope, StopOptions};

/// The group if the process leads its own, else the process; for coreproc_process_signal the
/// process.
pub const COREPROC_SCOPE_DEFAULT: u32 = 0;
/// The process alone.
pub const COREPROC_SCOPE_PROCESS: u32 = 1;
/// The process group that it leads.
pub const COREPROC_SCOPE_GROUP: u32 = 2;

/// How to stop a process: a signal, a grace period, SIGKILL. Zero is the default everywhere.
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
    /// Milliseconds until SIGKILL (0: 5000; UNLIMITED: it is never sent).
    pub grace_ms: u64,
}

versioned!(coreproc_stop_options, 24);
const _: () = assert!(size_of::<coreproc_stop_options>() == 24);

pub(super) fn scope(op: Operation, scope: u32) -> Result<Scope> {
    match scope {
        COREPROC_SCOPE_DEFAULT => Ok(Scope::Default),
        COREPROC_SCOPE_PROCESS => Ok(Scope::Process),
        COREPROC_SCOPE_GROUP => Ok(Scope::Group),
        other => Err(op.unknown("scope", other)),
    }
}

/// # Safety
/// As for [`Operation::options`].
pub(super) unsafe fn stop_options(op: Operation, options: *const coreproc_stop_options) -> Result<StopOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    op.reserved(options.reserved)?;
    stop_of(op, options.scope, options.signal, options.grace_ms)
}

/// Makes stop options of their fields, of which 0 is the default.
pub(super) fn stop_of(op: Operation, scope: u32, signal: i32, grace_ms: u64) -> Result<StopOptions> {
    let default = StopOptions::default();
    let stop = StopOptions {
        signal: if signal == 0 { default.signal } else { signal },
        grace: if grace_ms == 0 { default.grace } else { at_most(grace_ms) },
        scope: self::scope(op, scope)?,
    };
    stop.check(op.0)?;
    Ok(stop)
}
