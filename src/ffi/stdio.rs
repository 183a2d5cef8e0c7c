//! Where the standard streams of a command go.

use std::ffi::{OsStr, c_char};
use std::mem::MaybeUninit;
use std::sync::Arc;

use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::stream::{COREPROC_STREAM_STDERR, COREPROC_STREAM_STDIN, COREPROC_STREAM_STDOUT};
use crate::Command;
use crate::error::{Error, ErrorKind, Result};
use crate::process::{FileMode, Output, Stdin};
use crate::sys::copy::append;

/// /dev/null; the default of standard input. (For a command with a pseudo-terminal, that is the
/// default of every stream: see coreproc_command_pty.)
pub const COREPROC_STDIO_NULL: u32 = 1;
/// A pipe of ours; the default of outputs.
pub const COREPROC_STDIO_PIPE: u32 = 2;
/// The host's own. To read from the host's terminal a child has to be in its group: see
/// coreproc_command_group.
pub const COREPROC_STDIO_INHERIT: u32 = 3;
/// Standard error alone: wherever standard output goes, in the exact order of writing.
pub const COREPROC_STDIO_MERGE: u32 = 4;
/// Outputs alone: an unlinked file (in TMPDIR, else /tmp) that the child appends to and that we
/// follow; the default of outputs of a detached command. A child that opens it again by name, as
/// `echo > /dev/stdout` does, empties it and writes from its start: it is followed from there.
/// Bytes that were seen to wait unread then are counted in `discarded_bytes`; bytes that were
/// written and emptied before the library looked cannot be. A part of more than a mebibyte that was
/// never written counts as lost, too.
pub const COREPROC_STDIO_SPOOL: u32 = 5;

/// Standard input alone: a file to read.
pub const COREPROC_FILE_READ: u32 = 1;
/// Outputs alone: a file, created with 0666 less the umask, and emptied.
pub const COREPROC_FILE_TRUNCATE: u32 = 2;
/// Outputs alone: a file, created with 0666 less the umask, and appended to.
pub const COREPROC_FILE_APPEND: u32 = 3;

fn name(op: Operation, stream: u32) -> Result<&'static str> {
    match stream {
        COREPROC_STREAM_STDIN => Ok("stdin"),
        COREPROC_STREAM_STDOUT => Ok("stdout"),
        COREPROC_STREAM_STDERR => Ok("stderr"),
        other => Err(op.unknown("stream", other)),
    }
}

fn stdin_of(op: Operation, mode: u32) -> Result<Stdin> {
    match mode {
        COREPROC_STDIO_NULL => Ok(Stdin::Null),
        COREPROC_STDIO_PIPE => Ok(Stdin::Pipe),
        COREPROC_STDIO_INHERIT => Ok(Stdin::Inherit),
        COREPROC_STDIO_MERGE | COREPROC_STDIO_SPOOL => Err(op.invalid(format!("mode: {mode} is not for stdin"))),
        other => Err(op.unknown("mode", other)),
    }
}

fn output_of(op: Operation, stream: u32, mode: u32) -> Result<Output> {
    match mode {
        COREPROC_STDIO_NULL => Ok(Output::Null),
        COREPROC_STDIO_PIPE => Ok(Output::Pipe),
        COREPROC_STDIO_INHERIT => Ok(Output::Inherit),
        COREPROC_STDIO_MERGE if stream == COREPROC_STREAM_STDOUT => {
            Err(op.invalid(format!("mode: {mode} is not for stdout")))
        }
        COREPROC_STDIO_MERGE => Ok(Output::Merge),
        COREPROC_STDIO_SPOOL => Ok(Output::Spool),
        other => Err(op.unknown("mode", other)),
    }
}

fn set_output(command: &mut Command, stream: u32, output: Output) -> &mut Command {
    if stream == COREPROC_STREAM_STDOUT { command.stdout(output) } else { command.stderr(output) }
}

/// Sets where a standard stream goes: `stream` is a COREPROC_STREAM value, `mode` a COREPROC_STDIO
/// value. A child that inherits a terminal and reads from it is stopped by the kernel, unseen,
/// unless it is in the host's group: see coreproc_command_group.
///
/// Errors: INVALID_ARGUMENT, also for a mode that this stream cannot have.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_stdio(
    command: Option<&mut coreproc_command>,
    stream: u32,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_mode(op, command, stream, mode))
}

pub(super) fn set_mode(op: Operation, command: &mut Command, stream: u32, mode: u32) -> Result<&mut Command> {
    name(op, stream)?;
    match stream {
        COREPROC_STREAM_STDIN => Ok(command.stdin(stdin_of(op, mode)?)),
        _ => Ok(set_output(command, stream, output_of(op, stream, mode)?)),
    }
}

/// Gives a standard stream this descriptor, which is duplicated: the caller may close its own at
/// once.
///
/// Errors: INVALID_ARGUMENT; SYSTEM (fcntl(2): EBADF, EMFILE).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_stdio_fd(
    command: Option<&mut coreproc_command>,
    stream: u32,
    fd: i32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| set_fd(op, command, stream, fd))
}

pub(super) fn set_fd(op: Operation, command: &mut Command, stream: u32, fd: i32) -> Result<&mut Command> {
    let name = name(op, stream)?;
    let fd = crate::process::duplicate(fd).map_err(|errno| Error::system(op.0, name, errno))?;
    match stream {
        COREPROC_STREAM_STDIN => Ok(command.stdin(Stdin::Fd(fd))),
        _ => Ok(set_output(command, stream, Output::Fd(fd))),
    }
}

/// Gives standard input these bytes, of any number, and then its end. They are copied now, and shared by all spawns: the
/// library writes them into a pipe as the process reads them. A process that ends, or closes its standard input, before
/// it has read them all is no error: `unwritten_bytes` of coreproc_process_info counts what its pipe did not take.
/// coreproc_process_write is refused for such a process, and coreproc_process_close_stdin ends the input early.
///
/// Errors: INVALID_ARGUMENT; OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stdin_data(
    command: Option<&mut coreproc_command>,
    data: *const u8,
    len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `data` has `len` bytes.
    set(command, err, |op, command| set_data(op, command, unsafe { op.bytes("data", data, len) }?))
}

pub(super) fn set_data<'a>(op: Operation, command: &'a mut Command, data: &[u8]) -> Result<&'a mut Command> {
    Ok(command.stdin(Stdin::Data(shared_copy(op, data)?)))
}

/// Copies bytes, which may be more than there is memory for.
pub(super) fn shared_copy(op: Operation, data: &[u8]) -> Result<Arc<Vec<u8>>> {
    let mut copy = Vec::new();
    if copy.try_reserve_exact(data.len()).is_err() {
        return Err(Error::new(ErrorKind::OutOfMemory, op.0, "no memory for the data"));
    }
    append(&mut copy, data);
    Ok(Arc::new(copy))
}

/// Gives a standard stream this file, opened at each spawn from the host's directory; `mode` is a
/// COREPROC_FILE value. The open does not wait: a FIFO that has no other end (for which a shell
/// would wait) fails the spawn with ENXIO, a file whose lease another process keeps for longer than
/// a second with EAGAIN. To wait for the other end, open the FIFO and use
/// coreproc_command_stdio_fd.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stdio_file(
    command: Option<&mut coreproc_command>,
    stream: u32,
    path: *const c_char,
    path_len: usize,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| {
        // SAFETY: `path` has `path_len` bytes.
        set_file(op, command, stream, mode, unsafe { op.text("path", path, path_len) }?)
    })
}

pub(super) fn set_file<'a>(
    op: Operation,
    command: &'a mut Command,
    stream: u32,
    mode: u32,
    path: &OsStr,
) -> Result<&'a mut Command> {
    let name = name(op, stream)?;
    if path.is_empty() {
        return Err(op.invalid("path: is empty"));
    }
    match (stream, mode) {
        (COREPROC_STREAM_STDIN, COREPROC_FILE_READ) => Ok(command.stdin(Stdin::File(path.into()))),
        (COREPROC_STREAM_STDIN, COREPROC_FILE_TRUNCATE | COREPROC_FILE_APPEND) | (_, COREPROC_FILE_READ) => {
            Err(op.invalid(format!("mode: {mode} is not for {name}")))
        }
        (_, COREPROC_FILE_TRUNCATE) => Ok(set_output(command, stream, Output::File(path.into(), FileMode::Truncate))),
        (_, COREPROC_FILE_APPEND) => Ok(set_output(command, stream, Output::File(path.into(), FileMode::Append))),
        (_, other) => Err(op.unknown("mode", other)),
    }
}
