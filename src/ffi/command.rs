//! `coreproc_command`.

use std::ffi::{OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{free, shared};
use super::limit::{capture, drain, spool_max, timeout};
use super::process::coreproc_process;
use super::service::coreproc_service;
use super::stop::{coreproc_stop_options, stop_policy};
use super::subscription::coreproc_subscription;
use crate::error::Result;
use crate::{Command, Group};

/// A process group of its own, which it leads; the default. The kernel stops it when it reads from
/// the terminal.
pub const COREPROC_GROUP_OWN: u32 = 1;
/// The host's process group: it can use the terminal as the host can.
pub const COREPROC_GROUP_INHERIT: u32 = 2;
/// A session of its own, and in it a group as with OWN: it has no terminal (setsid(2)), and can take
/// one. Unlike a detached command it has pipes to the library.
pub const COREPROC_GROUP_SESSION: u32 = 3;

/// A command to spawn, once or often. A builder: one thread at a time. Everything passed in is
/// copied. A setter that fails changes nothing.
pub struct coreproc_command(pub(super) Command);

const _: () = shared::<coreproc_command>();

/// Applies a change. A refused one leaves no trace, and is reported here instead of by spawn.
pub(super) fn set(
    command: Option<&mut coreproc_command>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
    change: impl FnOnce(Operation, &mut Command) -> Result<&mut Command>,
) -> coreproc_result {
    call("set command", err, |op| {
        let command = op.builder("command", command)?;
        match change(op, &mut command.0)?.take_mistake() {
            Some(mistake) => Err(mistake.during(op.0)),
            None => Ok(()),
        }
    })
}

/// Makes a command that runs `program`: a path if it has a slash (looked up from the child's
/// directory), else a name that is looked up in the child's PATH. Free `*out` with
/// coreproc_command_free.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_new(
    program: *const c_char,
    program_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_command>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("set command", err, |op| {
        let out = op.out(out)?;
        // SAFETY: `program` has `program_len` bytes.
        let mut command = Command::new(unsafe { op.text("program", program, program_len) }?);
        if let Some(mistake) = command.take_mistake() {
            return Err(mistake.during(op.0));
        }
        out.write(Box::new(coreproc_command(command)));
        Ok(())
    })
}

/// Makes a command from JSON, UTF-8: `{"version": 1, "program": "make", "args": ["all"], …}`, as
/// docs/pipeline-json.md (installed below share/doc/coreproc) describes it. Free `*out` with
/// coreproc_command_free.
///
/// Errors: INVALID_ARGUMENT; MALFORMED, whose message says where the mistake is and what was meant:
/// `parse command: stdout: unknown value "pip", did you mean "pipe"?`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_from_json(
    json: *const c_char,
    json_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_command>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("parse command", err, |op| {
        // SAFETY: `json` has `json_len` bytes.
        let json = unsafe { op.json(json, json_len) }?;
        op.out(out)?.write(Box::new(coreproc_command(Command::from_json(json)?)));
        Ok(())
    })
}

/// Adds an argument.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_arg(
    command: Option<&mut coreproc_command>,
    arg: *const c_char,
    arg_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `arg` has `arg_len` bytes.
    set(command, err, |op, command| Ok(command.arg(unsafe { op.text("arg", arg, arg_len) }?)))
}

/// Sets what the program sees as `argv[0]`; the default is its name.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_arg0(
    command: Option<&mut coreproc_command>,
    arg: *const c_char,
    arg_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `arg` has `arg_len` bytes.
    set(command, err, |op, command| Ok(command.arg0(unsafe { op.text("arg", arg, arg_len) }?)))
}

/// Adds a variable to the environment, "KEY=VALUE", or replaces it.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_env(
    command: Option<&mut coreproc_command>,
    entry: *const c_char,
    entry_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `entry` has `entry_len` bytes.
    set(command, err, |op, command| Ok(command.env_entry(unsafe { op.text("entry", entry, entry_len) }?)))
}

/// Starts from an empty environment: inherits nothing, and forgets what was added so far.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_env_clear(
    command: Option<&mut coreproc_command>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.env_clear()))
}

/// Sets the whole environment: "KEY=VALUE" entries, each ended by a NUL, taken as they are, even
/// with an empty key. Nothing is inherited, and what was set before is replaced. Without this call
/// the library reads `environ` at each spawn, which races with a setenv of the host.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_env_whole(
    command: Option<&mut coreproc_command>,
    block: *const c_char,
    block_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `block` has `block_len` bytes.
    set(command, err, |op, command| env_whole(op, command, unsafe { op.text("block", block, block_len) }?))
}

pub(super) fn env_whole<'a>(op: Operation, command: &'a mut Command, block: &OsStr) -> Result<&'a mut Command> {
    match block.as_bytes() {
        [] => Ok(command.env_clear()),
        [entries @ .., 0] => Ok(command.env_block(entries)),
        _ => Err(op.invalid("block: does not end with a NUL")),
    }
}

/// Sets the child's working directory.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_cwd(
    command: Option<&mut coreproc_command>,
    path: *const c_char,
    path_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `path` has `path_len` bytes.
    set(command, err, |op, command| Ok(command.cwd(unsafe { op.text("path", path, path_len) }?)))
}

/// Looks the program up in these directories, in the form of PATH, instead of in the child's PATH.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_search_path(
    command: Option<&mut coreproc_command>,
    path: *const c_char,
    path_len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `path` has `path_len` bytes.
    set(command, err, |op, command| Ok(command.search_path(unsafe { op.text("path", path, path_len) }?)))
}

/// Sets how many bytes of its newest output are kept (0: as the service's options say;
/// COREPROC_CAPTURE_NONE: nothing; INT64_MAX: everything).
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_capture(
    command: Option<&mut coreproc_command>,
    bytes: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.capture(capture(bytes))))
}

/// Sets its process group: a COREPROC_GROUP value.
///
/// A child that may ask at the terminal (a password, an editor, stty) needs COREPROC_GROUP_INHERIT.
/// In a group of its own the kernel stops it as soon as it reads from the terminal or changes its
/// settings (SIGTTIN, SIGTTOU): it then counts as running, no event tells of it, and a wait without
/// a timeout does not return.
///
/// In the host's group it gets the terminal's Ctrl-C, Ctrl-Z and hang-up together with the host,
/// and SIGHUP, SIGINT and SIGQUIT stay ignored in it if the host ignores them, as with nohup and a
/// shell's "&". Every other signal, and every signal in a group of its own, starts at its default.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_group(
    command: Option<&mut coreproc_command>,
    mode: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| Ok(command.group(group_of(op, mode)?)))
}

pub(super) fn group_of(op: Operation, mode: u32) -> Result<Group> {
    match mode {
        COREPROC_GROUP_OWN => Ok(Group::Own),
        COREPROC_GROUP_INHERIT => Ok(Group::Inherit),
        COREPROC_GROUP_SESSION => Ok(Group::Session),
        other => Err(op.unknown("mode", other)),
    }
}

/// Lets it outlive the host: a session of its own, and no output pipe of ours, whose end would kill
/// or block it. Outputs that are not set otherwise become spools.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_detach(
    command: Option<&mut coreproc_command>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.detach()))
}

/// Sets how many bytes may wait unread in a spool before the oldest are lost, and counted (0: 64
/// MiB; UNLIMITED: as many as the file system takes).
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_spool_max(
    command: Option<&mut coreproc_command>,
    bytes: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.spool_max(spool_max(bytes))))
}

/// Sets the time after which it is stopped by its stop options (0, UNLIMITED: never).
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_timeout(
    command: Option<&mut coreproc_command>,
    timeout_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.timeout(timeout(timeout_ms))))
}

/// Sets how it is stopped: by its timeout and its other deadlines, by a close of its service, and by
/// a stop without options of its own. NULL is the default.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_stop_options(
    command: Option<&mut coreproc_command>,
    options: *const coreproc_stop_options,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    // SAFETY: `options` is NULL or begins with its size, and its steps are as many as it says.
    set(command, err, |op, command| Ok(command.stop_policy(unsafe { stop_policy(op, options) }?)))
}

/// Sets its drain bound, how long output is awaited after the exit while another process holds the
/// pipes: the longest silence (0: 500; UNLIMITED: any) and the longest time in all (0: 5000;
/// UNLIMITED: any).
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_drain(
    command: Option<&mut coreproc_command>,
    silence_ms: u64,
    total_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.drain(drain(silence_ms, total_ms))))
}

/// Names a subscription that gets its events; needed for subscriptions with the scope NAMED.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_subscribe(
    command: Option<&mut coreproc_command>,
    subscription: Option<&coreproc_subscription>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| Ok(command.subscribe(&op.handle("subscription", subscription)?.0)))
}

/// Starts a process. Returns once exec has succeeded; the calling thread waits for that. Any number
/// of threads may spawn at once, even the same command while no thread changes it (clone3(2) with
/// vfork semantics: the cost does not grow with the host's memory). Free `*out` with
/// coreproc_process_free. The command can be spawned again.
///
/// The call never waits for the other end of a file. For a file system that does not answer (NFS,
/// FUSE, autofs) it waits, as every program does; timeouts and deadlines do not run yet.
///
/// Errors name the stage, and nothing was started: INVALID_ARGUMENT; NOT_FOUND ("lookup", "exec",
/// "interpreter", "chdir"); PERMISSION_DENIED; SYSTEM with errno (ENOEXEC: there is no /bin/sh for
/// a script without a "#!" line); UNSUPPORTED; CLOSED; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_spawn(
    command: Option<&coreproc_command>,
    service: Option<&coreproc_service>,
    out: Option<&mut MaybeUninit<Box<coreproc_process>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("spawn", err, |op| {
        let command = op.handle("command", command)?;
        let service = op.handle("service", service)?;
        op.out(out)?.write(Box::new(coreproc_process(command.0.spawn(&service.0)?)));
        Ok(())
    })
}

/// Frees a command. NULL is fine. Processes that it started go on.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_free(command: Option<Box<coreproc_command>>) {
    free(command);
}
