//! What a command's process may use, and before which others it comes.

use std::mem::MaybeUninit;

use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use crate::error::Result;
use crate::{Command, IoPriority, Resource, Scheduling};

/// Before all others, at a level from 0, the best, to 7. Needs CAP_SYS_ADMIN or CAP_SYS_NICE.
pub const COREPROC_IO_REAL_TIME: u32 = 1;
/// The usual class, at a level from 0, the best, to 7.
pub const COREPROC_IO_BEST_EFFORT: u32 = 2;
/// Only when nobody else wants the disk; the level is 0.
pub const COREPROC_IO_IDLE: u32 = 3;

/// Sets a limit of the kernel's: `resource` is a RLIMIT_ value of <sys/resource.h>, `soft` and `hard`
/// are in the units of getrlimit(2), COREPROC_UNLIMITED for none. A later call for the same resource
/// replaces an earlier one. It is set before the user. A hard limit above that of the host needs
/// CAP_SYS_RESOURCE, and without it the spawn fails with EPERM, stage "limit".
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_resource_limit(
    command: Option<&mut coreproc_command>,
    resource: u32,
    soft: u64,
    hard: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_limit(op, command, resource, [soft, hard]))
}

pub(super) fn set_limit(
    op: Operation,
    command: &mut Command,
    resource: u32,
    [soft, hard]: [u64; 2],
) -> Result<&mut Command> {
    let known = Resource::ALL.into_iter().find(|known| *known as u32 == resource);
    Ok(command.resource_limit(known.ok_or_else(|| op.unknown("resource", resource))?, soft, hard))
}

/// Sets its nice value, from -20, the most favourable, to 19. One below that of the host needs
/// CAP_SYS_NICE or RLIMIT_NICE.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_nice(
    command: Option<&mut coreproc_command>,
    nice: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.nice(nice)))
}

/// Sets its scheduling policy: SCHED_OTHER, SCHED_BATCH or SCHED_IDLE of <sched.h> with the priority
/// 0, SCHED_FIFO or SCHED_RR with one from 1 to 99. The last two need CAP_SYS_NICE or RLIMIT_RTPRIO.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_scheduling(
    command: Option<&mut coreproc_command>,
    policy: u32,
    priority: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_scheduling(op, command, policy, priority))
}

pub(super) fn set_scheduling(op: Operation, command: &mut Command, policy: u32, priority: u32) -> Result<&mut Command> {
    let level = u8::try_from(priority).map_err(|_| op.unknown("priority", priority))?;
    let without_priority = |scheduling| match priority {
        0 => Ok(scheduling),
        _ => Err(op.invalid(format!("priority: {priority} is not 0, which it must be for this policy"))),
    };
    Ok(command.scheduling(match i32::try_from(policy).unwrap_or(-1) {
        libc::SCHED_OTHER => without_priority(Scheduling::Other)?,
        libc::SCHED_BATCH => without_priority(Scheduling::Batch)?,
        libc::SCHED_IDLE => without_priority(Scheduling::Idle)?,
        libc::SCHED_FIFO => Scheduling::Fifo(level),
        libc::SCHED_RR => Scheduling::RoundRobin(level),
        _ => return Err(op.unknown("policy", policy)),
    }))
}

/// Sets its priority of reads and writes of disks: a COREPROC_IO value, and a level. Not every
/// scheduler of the kernel's respects it (ioprio_set(2)).
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_io_priority(
    command: Option<&mut coreproc_command>,
    io_class: u32,
    level: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_io_priority(op, command, io_class, level))
}

pub(super) fn set_io_priority(op: Operation, command: &mut Command, class: u32, level: u32) -> Result<&mut Command> {
    let number = u8::try_from(level).map_err(|_| op.unknown("level", level))?;
    Ok(command.io_priority(match (class, level) {
        (COREPROC_IO_REAL_TIME, _) => IoPriority::RealTime(number),
        (COREPROC_IO_BEST_EFFORT, _) => IoPriority::BestEffort(number),
        (COREPROC_IO_IDLE, 0) => IoPriority::Idle,
        (COREPROC_IO_IDLE, _) => return Err(op.unknown("level", level)),
        _ => return Err(op.unknown("io_class", class)),
    }))
}

/// Sets on which processors it may run, by their numbers, which count from 0.
///
/// Errors: INVALID_ARGUMENT. A processor that the machine cannot have fails the spawn, stage "cpu
/// affinity".
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_cpu_affinity(
    command: Option<&mut coreproc_command>,
    cpus: *const u32,
    cpus_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| {
        // SAFETY: `cpus` has `cpus_len` elements.
        Ok(command.cpu_affinity(unsafe { op.array("cpus", cpus, cpus_len) }?.iter().copied()))
    })
}

/// Sets how likely the kernel chooses it when memory runs out: from -1000, never, to 1000, first
/// (/proc/PID/oom_score_adj). A value below that of the host needs CAP_SYS_RESOURCE.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_oom_score(
    command: Option<&mut coreproc_command>,
    score: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.oom_score(score)))
}
