//! `coreproc_command`.

use std::ffi::c_char;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::process::coreproc_process;
use super::service::{COREPROC_UNLIMITED, coreproc_service, coreproc_stop_options, drain, size, stop_options};
use super::subscription::coreproc_subscription;
use crate::error::{Error, Result};
use crate::process::{FileMode, Output, Stdin};
use crate::{Command, Group};

/// Standard input.
pub const COREPROC_STREAM_STDIN: u32 = 0;
/// Standard output.
pub const COREPROC_STREAM_STDOUT: u32 = 1;
/// Standard error.
pub const COREPROC_STREAM_STDERR: u32 = 2;

/// /dev/null; the default of standard input.
pub const COREPROC_STDIO_NULL: u32 = 1;
/// A pipe of ours; the default of outputs.
pub const COREPROC_STDIO_PIPE: u32 = 2;
/// The host's own. To read from the host's terminal a child has to be in its group: see coreproc_command_group.
pub const COREPROC_STDIO_INHERIT: u32 = 3;
/// Standard error alone: wherever standard output goes, in the exact order of writing.
pub const COREPROC_STDIO_MERGE: u32 = 4;
/// Outputs alone: an unlinked file (in TMPDIR, else /tmp) that the child appends to and that we follow; the
/// default of outputs of a detached command. A child that opens it again by name, as `echo > /dev/stdout` does, empties
/// it and writes from its start: it is followed from there. What was seen to wait unread then is counted in
/// `discarded_bytes`; what was written and emptied before it was looked at cannot be. A part that was never written, of
/// more than a mebibyte, counts as lost, too.
pub const COREPROC_STDIO_SPOOL: u32 = 5;

/// Standard input alone: a file to read.
pub const COREPROC_FILE_READ: u32 = 1;
/// Outputs alone: a file, created with 0666 less the umask, and emptied.
pub const COREPROC_FILE_TRUNCATE: u32 = 2;
/// Outputs alone: a file, created with 0666 less the umask, and added to.
pub const COREPROC_FILE_APPEND: u32 = 3;

/// A process group of its own, which it leads; the default. The kernel stops it when it reads from the terminal.
pub const COREPROC_GROUP_OWN: u32 = 1;
/// The host's process group: it can use the terminal as the host can.
pub const COREPROC_GROUP_INHERIT: u32 = 2;

/// What to run, and how; to be spawned once or often. A builder: one thread at a time. Everything passed in is
/// copied. A setter that fails changes nothing.
pub struct coreproc_command(pub(super) Command);

const SET: &str = "set command";

/// Applies a change; a refused one leaves no trace, and is reported here instead of by spawn.
///
/// # Safety
/// `command` is NULL or a live builder that no other thread uses; `err` is NULL or valid.
unsafe fn set(
    command: *mut coreproc_command,
    err: *mut *mut coreproc_error,
    change: impl FnOnce(&mut Command) -> Result<()>,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(SET, err, || {
            let command = guard::builder(SET, "command", command)?;
            change(&mut command.0)?;
            match command.0.take_mistake() {
                Some(mistake) => Err(mistake.during(SET)),
                None => Ok(()),
            }
        })
    }
}

fn stream_name(stream: u32) -> Result<&'static str> {
    match stream {
        COREPROC_STREAM_STDIN => Ok("stdin"),
        COREPROC_STREAM_STDOUT => Ok("stdout"),
        COREPROC_STREAM_STDERR => Ok("stderr"),
        other => Err(guard::unknown(SET, "stream", other)),
    }
}

fn set_output(command: &mut Command, stream: u32, output: Output) {
    if stream == COREPROC_STREAM_STDOUT {
        command.stdout(output);
    } else {
        command.stderr(output);
    }
}

/// A command that runs `program`: a path if it has a slash (looked up from the child's folder), else a name
/// that is looked up in the child's PATH. `*out` is to be freed with coreproc_command_free. Errors:
/// INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_new(
    program: *const c_char,
    program_len: usize,
    out: *mut *mut coreproc_command,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(SET, err, || {
            let out = guard::out(SET, out)?;
            let mut command = Command::new(guard::text(SET, "program", program, program_len)?);
            if let Some(mistake) = command.take_mistake() {
                return Err(mistake.during(SET));
            }
            out.write(Box::into_raw(Box::new(coreproc_command(command))));
            Ok(())
        })
    }
}

/// A command from JSON, UTF-8: `{"version": 1, "program": "make", "args": ["all"], …}`, as docs/pipeline-json.md
/// (installed below share/doc/coreproc) describes it. `*out` is to be freed with coreproc_command_free. Errors:
/// INVALID_ARGUMENT, MALFORMED, whose message says where and what was meant: `parse command: stdout: unknown value
/// "pip", did you mean "pipe"?`.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_from_json(
    json: *const c_char,
    json_len: usize,
    out: *mut *mut coreproc_command,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "parse command";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let json = guard::json(OPERATION, json, json_len)?;
            let out = guard::out(OPERATION, out)?;
            out.write(Box::into_raw(Box::new(coreproc_command(Command::from_json(json)?))));
            Ok(())
        })
    }
}

/// Adds an argument. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_arg(
    command: *mut coreproc_command,
    arg: *const c_char,
    arg_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.arg(guard::text(SET, "arg", arg, arg_len)?);
            Ok(())
        })
    }
}

/// What the program sees as `argv[0]`; the program's name unless told. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_arg0(
    command: *mut coreproc_command,
    arg: *const c_char,
    arg_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.arg0(guard::text(SET, "arg", arg, arg_len)?);
            Ok(())
        })
    }
}

/// Adds a variable to the environment, "KEY=VALUE", or replaces one. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_env(
    command: *mut coreproc_command,
    entry: *const c_char,
    entry_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.env_entry(guard::text(SET, "entry", entry, entry_len)?);
            Ok(())
        })
    }
}

/// Starts from an empty environment: neither inherited, nor what was added so far. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_env_clear(
    command: *mut coreproc_command,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.env_clear();
            Ok(())
        })
    }
}

/// The whole environment: "KEY=VALUE" entries, each ended by a NUL, taken as they are, also with an empty key;
/// nothing is inherited, and what was said before is replaced. Without it the library reads `environ` at each spawn, which is a race
/// with a setenv of the host. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_env_whole(
    command: *mut coreproc_command,
    block: *const c_char,
    block_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            let block = guard::text(SET, "block", block, block_len)?.as_bytes();
            let Some((last, entries)) = block.split_last() else {
                command.env_clear();
                return Ok(());
            };
            if *last != 0 {
                return Err(Error::invalid(SET, "block: does not end with a NUL"));
            }
            command.env_block(entries);
            Ok(())
        })
    }
}

/// The child's working folder. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_cwd(
    command: *mut coreproc_command,
    path: *const c_char,
    path_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.cwd(guard::text(SET, "path", path, path_len)?);
            Ok(())
        })
    }
}

/// Looks the program up in this, in the form of PATH, instead of the child's PATH. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_search_path(
    command: *mut coreproc_command,
    path: *const c_char,
    path_len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.search_path(guard::text(SET, "path", path, path_len)?);
            Ok(())
        })
    }
}

/// Where a standard stream goes: `stream` is a COREPROC_STREAM value, `mode` a COREPROC_STDIO value. A child that
/// inherits a terminal and reads from it is stopped by the kernel, unseen, unless it is in the host's group: see
/// coreproc_command_group. Errors: INVALID_ARGUMENT, also for a mode that this stream cannot have.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stdio(
    command: *mut coreproc_command,
    stream: u32,
    mode: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            let name = stream_name(stream)?;
            let cannot = || Error::invalid(SET, format!("mode: {mode} is not for {name}"));
            if stream == COREPROC_STREAM_STDIN {
                command.stdin(match mode {
                    COREPROC_STDIO_NULL => Stdin::Null,
                    COREPROC_STDIO_PIPE => Stdin::Pipe,
                    COREPROC_STDIO_INHERIT => Stdin::Inherit,
                    COREPROC_STDIO_MERGE | COREPROC_STDIO_SPOOL => return Err(cannot()),
                    other => return Err(guard::unknown(SET, "mode", other)),
                });
                return Ok(());
            }
            let output = match mode {
                COREPROC_STDIO_NULL => Output::Null,
                COREPROC_STDIO_PIPE => Output::Pipe,
                COREPROC_STDIO_INHERIT => Output::Inherit,
                COREPROC_STDIO_MERGE if stream == COREPROC_STREAM_STDOUT => return Err(cannot()),
                COREPROC_STDIO_MERGE => Output::Merge,
                COREPROC_STDIO_SPOOL => Output::Spool,
                other => return Err(guard::unknown(SET, "mode", other)),
            };
            set_output(command, stream, output);
            Ok(())
        })
    }
}

/// Gives a standard stream this descriptor, which is duplicated: the caller's may be closed at once. Errors:
/// INVALID_ARGUMENT, SYSTEM (fcntl(2): EBADF, EMFILE).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stdio_fd(
    command: *mut coreproc_command,
    stream: u32,
    fd: i32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            let name = stream_name(stream)?;
            let fd = crate::process::duplicate(fd).map_err(|errno| Error::system(SET, name, errno))?;
            if stream == COREPROC_STREAM_STDIN {
                command.stdin(Stdin::Fd(fd));
            } else {
                set_output(command, stream, Output::Fd(fd));
            }
            Ok(())
        })
    }
}

/// Gives a standard stream this file, opened at each spawn from the host's folder; `mode` is a COREPROC_FILE
/// value. The open waits for nobody: of a FIFO that has no other end (where a shell would wait) the spawn fails with
/// ENXIO, of a file whose lease somebody keeps for longer than a second with EAGAIN. To wait for the other end, open
/// the FIFO and use coreproc_command_stdio_fd. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stdio_file(
    command: *mut coreproc_command,
    stream: u32,
    path: *const c_char,
    path_len: usize,
    mode: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            let name = stream_name(stream)?;
            let path = guard::text(SET, "path", path, path_len)?;
            if path.is_empty() {
                return Err(Error::invalid(SET, "path: is empty"));
            }
            match (stream, mode) {
                (COREPROC_STREAM_STDIN, COREPROC_FILE_READ) => {
                    command.stdin(Stdin::File(path.into()));
                }
                (COREPROC_STREAM_STDIN, COREPROC_FILE_TRUNCATE | COREPROC_FILE_APPEND) | (_, COREPROC_FILE_READ) => {
                    return Err(Error::invalid(SET, format!("mode: {mode} is not for {name}")));
                }
                (_, COREPROC_FILE_TRUNCATE) => {
                    set_output(command, stream, Output::File(path.into(), FileMode::Truncate))
                }
                (_, COREPROC_FILE_APPEND) => set_output(command, stream, Output::File(path.into(), FileMode::Append)),
                (_, other) => return Err(guard::unknown(SET, "mode", other)),
            }
            Ok(())
        })
    }
}

/// How much of its output is kept, the newest (0: what the service says; COREPROC_CAPTURE_NONE: nothing; INT64_MAX:
/// everything). Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_capture(
    command: *mut coreproc_command,
    bytes: u64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.capture(size(bytes));
            Ok(())
        })
    }
}

/// Its process group: a COREPROC_GROUP value.
///
/// A child that may ask at the terminal (a password, an editor, stty) needs COREPROC_GROUP_INHERIT. In a group of its own
/// the kernel stops it as soon as it reads from the terminal or changes its settings (SIGTTIN, SIGTTOU): it counts as
/// running then, no event tells, and a wait without a timeout does not come back.
///
/// In the host's group it gets the terminal's Ctrl-C, Ctrl-Z and hang-up together with the host, and SIGHUP, SIGINT and
/// SIGQUIT stay ignored in it if the host ignores them, as nohup and a shell's "&" have it. Every other signal, and in a
/// group of its own every one, starts at its default. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_group(
    command: *mut coreproc_command,
    mode: u32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.group(match mode {
                COREPROC_GROUP_OWN => Group::Own,
                COREPROC_GROUP_INHERIT => Group::Inherit,
                other => return Err(guard::unknown(SET, "mode", other)),
            });
            Ok(())
        })
    }
}

/// Lets it outlive the host: a session of its own, and no output pipe of ours, whose end would kill or block
/// it. Outputs that are not told otherwise become spools. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_detach(
    command: *mut coreproc_command,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.detach();
            Ok(())
        })
    }
}

/// How much may wait unread in a spool before the oldest is lost, and counted (0: 64 MiB; UNLIMITED: all
/// that the file system takes). Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_spool_max(
    command: *mut coreproc_command,
    bytes: u64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.spool_max(if bytes == 0 { crate::process::SPOOL_MAX } else { bytes });
            Ok(())
        })
    }
}

/// Stops it by its stop options when it has run so long (0, UNLIMITED: never). Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_timeout(
    command: *mut coreproc_command,
    timeout_ms: u64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.timeout(match timeout_ms {
                0 | COREPROC_UNLIMITED => Duration::MAX,
                ms => Duration::from_millis(ms),
            });
            Ok(())
        })
    }
}

/// How it is stopped: by its timeout, by a close of its service, and by a stop that does not say. NULL is the
/// default. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stop_options(
    command: *mut coreproc_command,
    options: *const coreproc_stop_options,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.stop_options(stop_options(SET, options)?);
            Ok(())
        })
    }
}

/// Its drain bound: how long output is awaited after the exit, while somebody else holds the pipes; the
/// longest silence (0: 500; UNLIMITED: any) and the longest time in all (0: 5000; UNLIMITED: any). Errors:
/// INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_drain(
    command: *mut coreproc_command,
    silence_ms: u64,
    total_ms: u64,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.drain(drain(silence_ms, total_ms));
            Ok(())
        })
    }
}

/// Names a subscription that gets its events; needed for those with the scope NAMED. Errors:
/// INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_subscribe(
    command: *mut coreproc_command,
    subscription: *mut coreproc_subscription,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    // SAFETY: the caller's promises.
    unsafe {
        set(command, err, |command| {
            command.subscribe(&guard::handle(SET, "subscription", subscription)?.0);
            Ok(())
        })
    }
}

/// Starts it. Returns once exec has succeeded; the calling thread waits for that, and any number of threads
/// may spawn at once, the same command too while nobody changes it (clone3(2) with vfork semantics: the cost
/// does not grow with the host's memory). `*out`
/// is to be freed with coreproc_process_free. The command can be spawned again.
///
/// It waits for nobody at the other end of a file, but for a file system that does not answer (NFS, FUSE, autofs) as
/// every program does; timeouts and deadlines do not count yet then.
///
/// Errors name the stage, and nothing was started: INVALID_ARGUMENT, NOT_FOUND ("lookup", "exec",
/// "interpreter", "chdir"), PERMISSION_DENIED, SYSTEM with errno (ENOEXEC: there is no /bin/sh for a script without a
/// "#!" line), UNSUPPORTED, CLOSED, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_spawn(
    command: *const coreproc_command,
    service: *mut coreproc_service,
    out: *mut *mut coreproc_process,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "spawn";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let command = guard::handle(OPERATION, "command", command)?;
            let service = guard::handle(OPERATION, "service", service)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_process::into_raw(command.0.spawn(&service.0)?));
            Ok(())
        })
    }
}

/// Frees a command; NULL is fine. Processes that it started go on.
///
/// # Safety
/// `command` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_free(command: *mut coreproc_command) {
    if !command.is_null() {
        // SAFETY: the caller's promise; made by `coreproc_command_new`.
        guard::free(|| drop(unsafe { Box::from_raw(command) }));
    }
}
