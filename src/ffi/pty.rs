//! The terminals of a command and a process: a pseudo-terminal, and the foreground of the host's own.

use std::mem::MaybeUninit;

use super::call::call;
use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::process::coreproc_process;
use crate::Command;
use crate::error::{Error, Result};
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

/// Gives the process's group the foreground of the host's own terminal while it runs, as a shell does
/// it with a job: it can read there, and has its Ctrl-C and Ctrl-Z to itself. `fd`, which is
/// duplicated, is the controlling terminal of the host, in whose foreground the host has to be,
/// usually /dev/tty; the streams are to be set to it as well (COREPROC_STDIO_INHERIT).
///
/// The process takes it before its program runs. The host has it back, with the settings that the
/// terminal had, before the end of the process is told, and when the process is stopped (Ctrl-Z); then
/// coreproc_process_foreground lets it go on. For this a thread waits for each such process. No signal
/// handler is installed, and SIGTTOU is blocked around the calls (tcsetpgrp(3)).
///
/// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE). From the spawn: INVALID_ARGUMENT if it
/// contradicts another option (detach, pty, a group other than COREPROC_GROUP_OWN); stage
/// "foreground": INVALID_STATE if the host is in the background, or another of its processes has the
/// foreground; SYSTEM with ENOTTY if it is not the host's controlling terminal.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_foreground(
    command: Option<&mut coreproc_command>,
    fd: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_foreground(op, command, fd))
}

pub(super) fn set_foreground(op: Operation, command: &mut Command, fd: i32) -> Result<&mut Command> {
    let fd = crate::process::duplicate(fd).map_err(|errno| Error::system(op.0, "foreground", errno))?;
    Ok(command.foreground(fd))
}

/// Gives a process that was stopped the foreground of the host's terminal again, with the settings that
/// it had made, and continues its group (SIGCONT). Does no more than continue it if it has the
/// foreground. Thread-safe.
///
/// Errors: INVALID_ARGUMENT if its command did not ask for the foreground. INVALID_STATE if the host
/// does not have the foreground to give. NOT_RUNNING if it has ended. SYSTEM.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_foreground(
    process: Option<&coreproc_process>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("foreground", err, |op| op.handle("process", process)?.0.foreground())
}
