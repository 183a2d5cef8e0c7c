//! What of the output of a process is kept.

use std::mem::MaybeUninit;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::command::{coreproc_command, set};
use super::error::{coreproc_error, coreproc_result};
use super::process::coreproc_process;
use crate::{Captured, Stream};

/// Sets how many of the first bytes of its output are kept besides the last ones
/// (coreproc_command_capture), for coreproc_process_output_of (default 0). One thread at a time.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_capture_head(
    command: Option<&mut coreproc_command>,
    bytes: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.capture_head(bytes)))
}

/// Sets how many of the last lines of its output are kept, as far as their bytes are (default 0:
/// any number). The first of them may have lost its start. One thread at a time.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_capture_lines(
    command: Option<&mut coreproc_command>,
    lines: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.capture_lines(lines)))
}

/// Keeps standard output and standard error apart, each in a capture of the size, the head and the
/// lines that the command sets, instead of both in order of arrival. coreproc_process_output then
/// has standard output first. One thread at a time.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_capture_apart(
    command: Option<&mut coreproc_command>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.capture_apart()))
}

/// Both standard outputs together, for coreproc_process_output_of.
pub const COREPROC_OUTPUT_TOGETHER: u32 = 0xFFFF_FFFF;

/// Copies what a capture holds: its first and its last bytes. `number` is
/// COREPROC_OUTPUT_TOGETHER, 1 for standard output and 2 for standard error if they are captured
/// apart (coreproc_command_capture_apart), else the number of an output pipe
/// (COREPROC_DESCRIPTOR_OUTPUT). `*head_len` becomes how many of the bytes are the first ones, and
/// `*gap` how many bytes between the first and the last are not held; both may be NULL. Free `*out`
/// with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT, also if there is no such capture; OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_output_of(
    process: Option<&coreproc_process>,
    number: u32,
    head_len: Option<&mut MaybeUninit<usize>>,
    gap: Option<&mut MaybeUninit<u64>>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("output", err, |op| {
        let process = op.handle("process", process)?;
        let out = op.out(out)?;
        let stream = match number {
            COREPROC_OUTPUT_TOGETHER => None,
            1 => Some(Stream::Stdout),
            2 => Some(Stream::Stderr),
            number => match u16::try_from(number) {
                Ok(number) => Some(Stream::Descriptor(number)),
                Err(_) => return Err(op.unknown("number", number)),
            },
        };
        let Captured { head, gap: between, tail } = process.0.captured(stream)?;
        if let Some(head_len) = head_len {
            head_len.write(head.len());
        }
        if let Some(gap) = gap {
            gap.write(between);
        }
        let bytes = if head.is_empty() { tail } else { [head, tail].concat() };
        out.write(coreproc_bytes::new(bytes));
        Ok(())
    })
}
