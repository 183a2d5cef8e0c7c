//! The pseudo-terminal of a command and a process.

use std::mem::MaybeUninit;

use super::call::call;
use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::process::coreproc_process;
use crate::Command;
use crate::error::Result;
use crate::process::{PtyMode, PtyOptions};

/// As a user finds a terminal: what is written is echoed; the program reads whole lines, which
/// Backspace edits and of which each has up to 4,095 bytes; Ctrl-C, Ctrl-\ and Ctrl-Z are signals;
/// `\n` in its output becomes `\r\n`.
pub const COREPROC_PTY_COOKED: u32 = 1;
/// The same without echo.
pub const COREPROC_PTY_NO_ECHO: u32 = 2;
/// As cfmakeraw(3) has it: every byte passes as it is, in both directions, and nothing is echoed.
pub const COREPROC_PTY_RAW: u32 = 3;

/// Gives the process a pseudo-terminal of this size (columns 0: 80, rows 0: 24), as its controlling
/// terminal, in a session of its own; `mode` is a COREPROC_PTY value, which the program may change.
/// Each of its standard streams that is not set otherwise is on it.
///
/// What the process writes to the terminal arrives as its standard output: standard error is on the
/// same terminal, and cannot be told apart. If standard output is set otherwise, it arrives as
/// standard error, and if that is, too, in events of the kind OUTPUT with the descriptor 0, and in
/// coreproc_process_output_of 0. It includes what is written to /dev/tty, and the echo.
/// The terminal ends when the process has ended and no descendant has it open.
///
/// coreproc_process_write types at the terminal (coreproc_process_descriptor_write with 1 or 2 if
/// standard input is set otherwise): Ctrl-C is the byte 3. coreproc_process_close_stdin types the
/// terminal's character for the end of input, Ctrl-D, unless the mode is RAW, in which there is
/// none. The environment is not changed: programs look up the kind of terminal in TERM.
///
/// When the process ends, the kernel sends SIGHUP to the terminal's foreground group; when the host
/// ends, or coreproc_process_close_output closes the terminal, to the process.
///
/// Errors: INVALID_ARGUMENT. From the spawn: INVALID_ARGUMENT if it contradicts another option
/// (detach, COREPROC_GROUP_INHERIT, COREPROC_STDIO_MERGE if standard output is on the terminal);
/// stage "pty": UNSUPPORTED if the system has no /dev/ptmx, SYSTEM with ENOSPC if all terminals that
/// it allows (kernel.pty.max) are in use.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_pty(
    command: Option<&mut coreproc_command>,
    columns: u32,
    rows: u32,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_pty(op, command, [columns, rows], mode))
}

pub(super) fn set_pty(op: Operation, command: &mut Command, size: [u32; 2], mode: u32) -> Result<&mut Command> {
    let default = PtyOptions::default();
    let or_default = |given: u16, default| if given == 0 { default } else { given };
    let columns = or_default(cells(op, "columns", size[0])?, default.columns);
    let rows = or_default(cells(op, "rows", size[1])?, default.rows);
    let mode = match mode {
        COREPROC_PTY_COOKED => PtyMode::Cooked,
        COREPROC_PTY_NO_ECHO => PtyMode::NoEcho,
        COREPROC_PTY_RAW => PtyMode::Raw,
        other => return Err(op.unknown("mode", other)),
    };
    Ok(command.pty(PtyOptions { columns, rows, mode }))
}

fn cells(op: Operation, field: &str, number: u32) -> Result<u16> {
    u16::try_from(number).map_err(|_| op.invalid(format!("{field}: is above 65535")))
}

/// Changes the size of its pseudo-terminal. The kernel sends SIGWINCH to the terminal's foreground
/// group if the size differs. Thread-safe.
///
/// Errors: INVALID_ARGUMENT if it has no pseudo-terminal, or for a size of 0. NOT_RUNNING if it has
/// ended, unless a descendant still has the terminal open.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_resize(
    process: Option<&coreproc_process>,
    columns: u32,
    rows: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("resize", err, |op| {
        let process = op.handle("process", process)?;
        process.0.resize(cells(op, "columns", columns)?, cells(op, "rows", rows)?)
    })
}
