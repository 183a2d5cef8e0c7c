//! The descriptors of a command and a process above standard error.

use std::ffi::{OsStr, c_char};
use std::mem::MaybeUninit;

use super::call::call;
use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::process::coreproc_process;
use super::stdio::{COREPROC_FILE_APPEND, COREPROC_FILE_READ, COREPROC_FILE_TRUNCATE, shared_copy};
use crate::Command;
use crate::error::{Error, Result};
use crate::process::{Descriptor, FileMode};

/// A pipe that we read. Its output comes in events of the kind OUTPUT, and is kept in a capture of
/// its own for coreproc_process_output_of; it is read to its end before the process counts
/// as closed.
pub const COREPROC_DESCRIPTOR_OUTPUT: u32 = 1;
/// A pipe for coreproc_process_descriptor_write.
pub const COREPROC_DESCRIPTOR_INPUT: u32 = 2;

/// Gives the process a pipe of ours at this descriptor, from 3 to 1023; `mode` is a
/// COREPROC_DESCRIPTOR value. The process finds the descriptor open from the start, and besides
/// what it is given no other one than its standard streams. A number can be given once. At most 64
/// inputs and as many outputs can be pipes of ours. A number that the process may not have
/// (RLIMIT_NOFILE) fails the spawn with EBADF, stage "descriptor".
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_descriptor(
    command: Option<&mut coreproc_command>,
    number: u32,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_pipe(op, command, number, mode))
}

pub(super) fn set_pipe(op: Operation, command: &mut Command, number: u32, mode: u32) -> Result<&mut Command> {
    match mode {
        COREPROC_DESCRIPTOR_OUTPUT => Ok(command.descriptor(number, Descriptor::Output)),
        COREPROC_DESCRIPTOR_INPUT => Ok(command.descriptor(number, Descriptor::Input)),
        other => Err(op.unknown("mode", other)),
    }
}

/// Gives the process a pipe with these bytes, and then the end, at this descriptor: as
/// coreproc_command_stdin_data for standard input.
///
/// Errors: INVALID_ARGUMENT; OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_descriptor_data(
    command: Option<&mut coreproc_command>,
    number: u32,
    data: *const u8,
    len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `data` has `len` bytes.
    set(command, err, |op, command| set_given(op, command, number, unsafe { op.bytes("data", data, len) }?))
}

pub(super) fn set_given<'a>(
    op: Operation,
    command: &'a mut Command,
    number: u32,
    data: &[u8],
) -> Result<&'a mut Command> {
    Ok(command.descriptor(number, Descriptor::Data(shared_copy(op, data)?)))
}

/// Gives the process `fd` of the host at this descriptor, which may be the same number. It is
/// duplicated: the caller may close its own at once.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_descriptor_fd(
    command: Option<&mut coreproc_command>,
    number: u32,
    fd: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_host_fd(op, command, number, fd))
}

pub(super) fn set_host_fd(op: Operation, command: &mut Command, number: u32, fd: i32) -> Result<&mut Command> {
    let fd = crate::process::duplicate(fd).map_err(|errno| Error::system(op.0, "descriptor", errno))?;
    Ok(command.descriptor(number, Descriptor::Fd(fd)))
}

/// Gives the process this file at this descriptor, opened at each spawn; `mode` is a COREPROC_FILE
/// value. As for coreproc_command_stdio_file, the open does not wait.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_descriptor_file(
    command: Option<&mut coreproc_command>,
    number: u32,
    path: *const c_char,
    path_len: usize,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| {
        // SAFETY: `path` has `path_len` bytes.
        set_opened(op, command, number, mode, unsafe { op.text("path", path, path_len) }?)
    })
}

pub(super) fn set_opened<'a>(
    op: Operation,
    command: &'a mut Command,
    number: u32,
    mode: u32,
    path: &OsStr,
) -> Result<&'a mut Command> {
    if path.is_empty() {
        return Err(op.invalid("path: is empty"));
    }
    let descriptor = match mode {
        COREPROC_FILE_READ => Descriptor::ReadFile(path.into()),
        COREPROC_FILE_TRUNCATE => Descriptor::WriteFile(path.into(), FileMode::Truncate),
        COREPROC_FILE_APPEND => Descriptor::WriteFile(path.into(), FileMode::Append),
        other => return Err(op.unknown("mode", other)),
    };
    Ok(command.descriptor(number, descriptor))
}

/// Passes a socket in the way of systemd's socket activation: sockets come at 3 and the following
/// numbers in the order of these calls, and the environment gets LISTEN_FDS, LISTEN_FDNAMES, and
/// LISTEN_PID with the process's own PID, so that sd_listen_fds(3) finds them; variables of these
/// names that were set otherwise are replaced. `name` is 1 to 255 printable ASCII characters other
/// than ":". `fd` is duplicated.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_listen_fd(
    command: Option<&mut coreproc_command>,
    fd: i32,
    name: *const c_char,
    name_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| {
        // SAFETY: `name` has `name_len` bytes.
        set_listener(op, command, fd, unsafe { op.text("name", name, name_len) }?)
    })
}

pub(super) fn set_listener<'a>(
    op: Operation,
    command: &'a mut Command,
    fd: i32,
    name: &OsStr,
) -> Result<&'a mut Command> {
    let fd = crate::process::duplicate(fd).map_err(|errno| Error::system(op.0, "listen fd", errno))?;
    // A name that is no UTF-8 is refused as one with other characters is.
    Ok(command.listen_fd(fd, name.to_str().unwrap_or_default()))
}

/// Writes to an input pipe at a descriptor above 2, as coreproc_process_write does to standard
/// input; or to a pseudo-terminal at 1 or 2 if standard input is set otherwise. Thread-safe.
///
/// Errors: those of coreproc_process_write; STDIN_CLOSED also for a number that is no input pipe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_descriptor_write(
    process: Option<&coreproc_process>,
    number: u32,
    data: *const u8,
    len: usize,
    timeout_ms: i64,
    written: Option<&mut MaybeUninit<usize>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("write descriptor", err, |op| {
        let process = op.handle("process", process)?;
        // SAFETY: `data` has `len` bytes.
        let data = unsafe { op.bytes("data", data, len) }?;
        let count = process.0.write_descriptor(number, data, op.timeout(timeout_ms)?)?;
        if let Some(written) = written {
            written.write(count);
        }
        Ok(())
    })
}

/// Closes our end of the pipe at a descriptor above 2: of an input as coreproc_process_close_stdin,
/// of an output as coreproc_process_close_output. Idempotent, and without effect if there is no
/// such pipe. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_descriptor_close(
    process: Option<&coreproc_process>,
    number: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("close descriptor", err, |op| op.handle("process", process)?.0.close_descriptor(number))
}
