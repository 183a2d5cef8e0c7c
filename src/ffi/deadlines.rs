//! The deadlines of a command besides its timeout.

use std::mem::MaybeUninit;

use super::command::{coreproc_command, set};
use super::error::{coreproc_error, coreproc_result};
use super::limit::{most, timeout};

/// Sets the time in which it has to write its first byte, from its start, to any output that the
/// library reads (0, UNLIMITED: any). If it has not, it is stopped by its stop options, with the
/// cause START_TIMEOUT. What it wrote in time counts, even if the library reads it later.
///
/// Errors: INVALID_ARGUMENT, from the spawn if the library reads none of its outputs.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_start_timeout(
    command: Option<&mut coreproc_command>,
    timeout_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.start_timeout(timeout(timeout_ms))))
}

/// Sets how long it may write nothing to any of the outputs that the library reads, from its start
/// and after each output (0, UNLIMITED: for ever). Then it is stopped by its stop options, with the
/// cause SILENCE. Time in which a full queue keeps the library from reading does not count. If there
/// is a start timeout, the time until the first output is bounded by that alone.
///
/// Errors: INVALID_ARGUMENT, from the spawn if the library reads none of its outputs.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_silence_timeout(
    command: Option<&mut coreproc_command>,
    timeout_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.silence_timeout(timeout(timeout_ms))))
}

/// Sets how much CPU time it may use, in user and kernel mode, together with the children that it
/// has waited for (0, UNLIMITED: any). Then it is stopped by its stop options, with the cause
/// CPU_TIME. The library looks at /proc/PID/stat when the limit could be reached at the earliest, at
/// most 100 times a second, so that the end comes up to 10 ms late for each processor that it uses.
///
/// Errors: INVALID_ARGUMENT; from the spawn UNSUPPORTED if /proc does not show this process.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_cpu_time_limit(
    command: Option<&mut coreproc_command>,
    limit_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.cpu_time_limit(timeout(limit_ms))))
}

/// Sets how many bytes it may write to the outputs that the library reads, all together (0,
/// UNLIMITED: any number). When more have been read, it is stopped by its stop options, with the
/// cause OUTPUT_LIMIT. All that is read is still kept and delivered. A process that has ended by
/// itself by then keeps its cause; coreproc_process_info tells how much it wrote.
///
/// Errors: INVALID_ARGUMENT, from the spawn if the library reads none of its outputs.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_output_limit(
    command: Option<&mut coreproc_command>,
    bytes: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.output_limit(most(bytes))))
}
