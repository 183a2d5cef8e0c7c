//! A command in one piece of memory, for languages in which a call costs more than what a setter does.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::call::call;
use super::command::{coreproc_command, env_whole, group_of};
use super::containment::{containment_of, share};
use super::convert::Operation;
use super::credentials::{set_directory, set_dropped, set_group, set_groups, set_user};
use super::descriptor::{set_given, set_host_fd, set_listener, set_opened, set_pipe};
use super::error::{coreproc_error, coreproc_result};
use super::info::coreproc_process_info;
use super::limit::{capture, drain, duration, most, spool_max, timeout};
use super::process::coreproc_process;
use super::pty::{set_foreground, set_pty};
use super::resources::{set_io_priority, set_limit, set_scheduling};
use super::service::coreproc_service;
use super::stdio::{set_data, set_fd, set_file, set_mode};
use super::stop::{policy_of, stop_of};
use super::subscription::coreproc_subscription;
use crate::error::{Error, ErrorKind, Result, quoted};
use crate::{Command, StopOptions};

/// The version of flat commands: the `uint32_t` that each begins with.
pub const COREPROC_FLAT_VERSION: u32 = 1;

/// The first option of every flat command, once: the program, as for coreproc_command_new.
pub const COREPROC_FLAT_PROGRAM: u32 = 1;
/// Bytes, as for coreproc_command_arg; once for each argument.
pub const COREPROC_FLAT_ARG: u32 = 2;
/// Bytes, as for coreproc_command_arg0.
pub const COREPROC_FLAT_ARG0: u32 = 3;
/// Bytes, as for coreproc_command_env.
pub const COREPROC_FLAT_ENV: u32 = 4;
/// Nothing; see coreproc_command_env_clear.
pub const COREPROC_FLAT_ENV_CLEAR: u32 = 5;
/// Bytes, as for coreproc_command_env_whole.
pub const COREPROC_FLAT_ENV_WHOLE: u32 = 6;
/// Bytes, as for coreproc_command_cwd.
pub const COREPROC_FLAT_CWD: u32 = 7;
/// Bytes, as for coreproc_command_search_path.
pub const COREPROC_FLAT_SEARCH_PATH: u32 = 8;
/// `uint32_t` stream, `uint32_t` mode, as for coreproc_command_stdio.
pub const COREPROC_FLAT_STDIO: u32 = 9;
/// `uint32_t` stream, `int32_t` descriptor, as for coreproc_command_stdio_fd.
pub const COREPROC_FLAT_STDIO_FD: u32 = 10;
/// `uint32_t` stream, `uint32_t` mode, and the bytes of the path, as for
/// coreproc_command_stdio_file.
pub const COREPROC_FLAT_STDIO_FILE: u32 = 11;
/// `uint64_t` bytes, as for coreproc_command_capture.
pub const COREPROC_FLAT_CAPTURE: u32 = 12;
/// `uint32_t` mode, as for coreproc_command_group.
pub const COREPROC_FLAT_GROUP: u32 = 13;
/// Nothing; see coreproc_command_detach.
pub const COREPROC_FLAT_DETACH: u32 = 14;
/// `uint64_t` bytes, as for coreproc_command_spool_max.
pub const COREPROC_FLAT_SPOOL_MAX: u32 = 15;
/// `uint64_t` milliseconds, as for coreproc_command_timeout.
pub const COREPROC_FLAT_TIMEOUT: u32 = 16;
/// `uint32_t` scope, `int32_t` signal, `uint64_t` grace in milliseconds, as in
/// coreproc_stop_options.
pub const COREPROC_FLAT_STOP: u32 = 17;
/// `uint64_t` silence, `uint64_t` total, in milliseconds, as for coreproc_command_drain.
pub const COREPROC_FLAT_DRAIN: u32 = 18;

/// Bytes, as for coreproc_command_user.
pub const COREPROC_FLAT_USER: u32 = 20;
/// Bytes, as for coreproc_command_primary_group.
pub const COREPROC_FLAT_PRIMARY_GROUP: u32 = 21;
/// Bytes, as for coreproc_command_supplementary_groups.
pub const COREPROC_FLAT_SUPPLEMENTARY_GROUPS: u32 = 22;
/// `uint32_t` mask, as for coreproc_command_umask.
pub const COREPROC_FLAT_UMASK: u32 = 23;
/// Nothing; see coreproc_command_no_new_privileges.
pub const COREPROC_FLAT_NO_NEW_PRIVILEGES: u32 = 24;
/// Bytes, as for coreproc_command_drop_capabilities.
pub const COREPROC_FLAT_DROP_CAPABILITIES: u32 = 25;
/// `int32_t` signal, as for coreproc_command_keep_ignored.
pub const COREPROC_FLAT_KEEP_IGNORED: u32 = 26;
/// `int32_t` descriptor, as for coreproc_command_cwd_fd.
pub const COREPROC_FLAT_CWD_FD: u32 = 27;
/// `uint32_t` resource, `uint64_t` soft, `uint64_t` hard, as for coreproc_command_resource_limit.
pub const COREPROC_FLAT_RESOURCE_LIMIT: u32 = 28;
/// `int32_t`, as for coreproc_command_nice.
pub const COREPROC_FLAT_NICE: u32 = 29;
/// `uint32_t` policy, `uint32_t` priority, as for coreproc_command_scheduling.
pub const COREPROC_FLAT_SCHEDULING: u32 = 30;
/// `uint32_t` class, `uint32_t` level, as for coreproc_command_io_priority.
pub const COREPROC_FLAT_IO_PRIORITY: u32 = 31;
/// A `uint32_t` for each processor, as for coreproc_command_cpu_affinity.
pub const COREPROC_FLAT_CPU_AFFINITY: u32 = 32;
/// `int32_t`, as for coreproc_command_oom_score.
pub const COREPROC_FLAT_OOM_SCORE: u32 = 33;
/// `int32_t` signal, as for coreproc_command_die_with_host.
pub const COREPROC_FLAT_DIE_WITH_HOST: u32 = 34;

/// Bytes, as for coreproc_command_stdin_data.
pub const COREPROC_FLAT_STDIN_DATA: u32 = 40;
/// `uint32_t` number, `uint32_t` mode, as for coreproc_command_descriptor.
pub const COREPROC_FLAT_DESCRIPTOR: u32 = 41;
/// `uint32_t` number, and the bytes, as for coreproc_command_descriptor_data.
pub const COREPROC_FLAT_DESCRIPTOR_DATA: u32 = 42;
/// `uint32_t` number, `int32_t` descriptor, as for coreproc_command_descriptor_fd.
pub const COREPROC_FLAT_DESCRIPTOR_FD: u32 = 43;
/// `uint32_t` number, `uint32_t` mode, and the bytes of the path, as for
/// coreproc_command_descriptor_file.
pub const COREPROC_FLAT_DESCRIPTOR_FILE: u32 = 44;
/// `int32_t` descriptor, and the bytes of the name, as for coreproc_command_listen_fd.
pub const COREPROC_FLAT_LISTEN_FD: u32 = 45;
/// `uint32_t` columns, `uint32_t` rows, `uint32_t` mode, as for coreproc_command_pty.
pub const COREPROC_FLAT_PTY: u32 = 55;
/// `int32_t` descriptor, as for coreproc_command_foreground.
pub const COREPROC_FLAT_FOREGROUND: u32 = 56;
/// `uint32_t` containment, as for coreproc_command_contain.
pub const COREPROC_FLAT_CONTAIN: u32 = 65;
/// `uint64_t` bytes, as for coreproc_command_memory_max.
pub const COREPROC_FLAT_MEMORY_MAX: u32 = 66;
/// `uint64_t` count, as for coreproc_command_processes_max.
pub const COREPROC_FLAT_PROCESSES_MAX: u32 = 67;
/// `uint32_t` thousandths, as for coreproc_command_cpu_max.
pub const COREPROC_FLAT_CPU_MAX: u32 = 68;
/// `uint32_t` scope, and for each step an `int32_t` signal and a `uint64_t` grace in milliseconds, as
/// in coreproc_stop_step.
pub const COREPROC_FLAT_STOP_STEPS: u32 = 80;
/// `uint64_t` milliseconds, as for coreproc_command_start_timeout.
pub const COREPROC_FLAT_START_TIMEOUT: u32 = 81;
/// `uint64_t` milliseconds, as for coreproc_command_silence_timeout.
pub const COREPROC_FLAT_SILENCE_TIMEOUT: u32 = 82;
/// `uint64_t` milliseconds, as for coreproc_command_cpu_time_limit.
pub const COREPROC_FLAT_CPU_TIME_LIMIT: u32 = 83;
/// `uint64_t` bytes, as for coreproc_command_output_limit.
pub const COREPROC_FLAT_OUTPUT_LIMIT: u32 = 84;
/// `uint64_t` milliseconds, as for coreproc_command_report_stops.
pub const COREPROC_FLAT_REPORT_STOPS: u32 = 85;
/// `uint64_t` bytes, as for coreproc_command_capture_head.
pub const COREPROC_FLAT_CAPTURE_HEAD: u32 = 95;
/// `uint64_t` lines, as for coreproc_command_capture_lines.
pub const COREPROC_FLAT_CAPTURE_LINES: u32 = 96;
/// Nothing; see coreproc_command_capture_apart.
pub const COREPROC_FLAT_CAPTURE_APART: u32 = 97;

/// The options, with their names in errors.
const OPTIONS: &[(u32, &str)] = &[
    (COREPROC_FLAT_PROGRAM, "program"),
    (COREPROC_FLAT_ARG, "arg"),
    (COREPROC_FLAT_ARG0, "arg0"),
    (COREPROC_FLAT_ENV, "env"),
    (COREPROC_FLAT_ENV_CLEAR, "env_clear"),
    (COREPROC_FLAT_ENV_WHOLE, "env_whole"),
    (COREPROC_FLAT_CWD, "cwd"),
    (COREPROC_FLAT_SEARCH_PATH, "search_path"),
    (COREPROC_FLAT_STDIO, "stdio"),
    (COREPROC_FLAT_STDIO_FD, "stdio_fd"),
    (COREPROC_FLAT_STDIO_FILE, "stdio_file"),
    (COREPROC_FLAT_CAPTURE, "capture"),
    (COREPROC_FLAT_GROUP, "group"),
    (COREPROC_FLAT_DETACH, "detach"),
    (COREPROC_FLAT_SPOOL_MAX, "spool_max"),
    (COREPROC_FLAT_TIMEOUT, "timeout"),
    (COREPROC_FLAT_STOP, "stop"),
    (COREPROC_FLAT_DRAIN, "drain"),
    (COREPROC_FLAT_CONTAIN, "contain"),
    (COREPROC_FLAT_MEMORY_MAX, "memory_max"),
    (COREPROC_FLAT_PROCESSES_MAX, "processes_max"),
    (COREPROC_FLAT_CPU_MAX, "cpu_max"),
    (COREPROC_FLAT_STOP_STEPS, "stop_steps"),
    (COREPROC_FLAT_USER, "user"),
    (COREPROC_FLAT_PRIMARY_GROUP, "primary_group"),
    (COREPROC_FLAT_SUPPLEMENTARY_GROUPS, "supplementary_groups"),
    (COREPROC_FLAT_UMASK, "umask"),
    (COREPROC_FLAT_NO_NEW_PRIVILEGES, "no_new_privileges"),
    (COREPROC_FLAT_DROP_CAPABILITIES, "drop_capabilities"),
    (COREPROC_FLAT_KEEP_IGNORED, "keep_ignored"),
    (COREPROC_FLAT_CWD_FD, "cwd_fd"),
    (COREPROC_FLAT_RESOURCE_LIMIT, "resource_limit"),
    (COREPROC_FLAT_NICE, "nice"),
    (COREPROC_FLAT_SCHEDULING, "scheduling"),
    (COREPROC_FLAT_IO_PRIORITY, "io_priority"),
    (COREPROC_FLAT_CPU_AFFINITY, "cpu_affinity"),
    (COREPROC_FLAT_OOM_SCORE, "oom_score"),
    (COREPROC_FLAT_DIE_WITH_HOST, "die_with_host"),
    (COREPROC_FLAT_START_TIMEOUT, "start_timeout"),
    (COREPROC_FLAT_SILENCE_TIMEOUT, "silence_timeout"),
    (COREPROC_FLAT_CPU_TIME_LIMIT, "cpu_time_limit"),
    (COREPROC_FLAT_OUTPUT_LIMIT, "output_limit"),
    (COREPROC_FLAT_REPORT_STOPS, "report_stops"),
    (COREPROC_FLAT_STDIN_DATA, "stdin_data"),
    (COREPROC_FLAT_DESCRIPTOR, "descriptor"),
    (COREPROC_FLAT_DESCRIPTOR_DATA, "descriptor_data"),
    (COREPROC_FLAT_DESCRIPTOR_FD, "descriptor_fd"),
    (COREPROC_FLAT_DESCRIPTOR_FILE, "descriptor_file"),
    (COREPROC_FLAT_LISTEN_FD, "listen_fd"),
    (COREPROC_FLAT_PTY, "pty"),
    (COREPROC_FLAT_FOREGROUND, "foreground"),
    (COREPROC_FLAT_CAPTURE_HEAD, "capture_head"),
    (COREPROC_FLAT_CAPTURE_LINES, "capture_lines"),
    (COREPROC_FLAT_CAPTURE_APART, "capture_apart"),
];

/// Reads values from the front of some bytes.
struct Reader<'a> {
    op: Operation,
    bytes: &'a [u8],
    /// Where the bytes are in the flat command.
    offset: usize,
    /// What is being read.
    name: &'static str,
}

impl<'a> Reader<'a> {
    fn fail(&self, what: impl std::fmt::Display) -> Error {
        self.op.invalid(format!("flat: byte {}: {}: {what}", self.offset, self.name))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            return Err(self.fail(format_args!("needs {len} bytes, and {} are left", self.bytes.len())));
        };
        self.bytes = rest;
        self.offset += len;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn i32(&mut self) -> Result<i32> {
        self.u32().map(u32::cast_signed)
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }

    /// Takes all that is left.
    fn rest(&mut self) -> &'a OsStr {
        self.offset += self.bytes.len();
        OsStr::from_bytes(std::mem::take(&mut self.bytes))
    }

    /// Takes the next option: its number, and its value.
    fn option(&mut self) -> Result<(u32, Reader<'a>)> {
        let at = self.offset;
        self.name = "option";
        let option = self.u32()?;
        let Some((_, name)) = OPTIONS.iter().find(|(known, _)| *known == option) else {
            self.offset = at;
            return Err(self.fail(format_args!("unknown value {option}")));
        };
        self.name = name;
        let len = self.u32()? as usize;
        let offset = self.offset;
        Ok((option, Reader { op: self.op, bytes: self.take(len)?, offset, name }))
    }
}

/// Makes a command of a flat one; nothing beyond the bytes is read.
fn parse(op: Operation, flat: &[u8]) -> Result<Command> {
    let mut reader = Reader { op, bytes: flat, offset: 0, name: "version" };
    let version = reader.u32()?;
    if version != COREPROC_FLAT_VERSION {
        reader.offset = 0;
        return Err(reader.fail(format_args!("unknown value {version}")));
    }
    let at = reader.offset;
    let (option, mut value) = reader.option()?;
    if option != COREPROC_FLAT_PROGRAM {
        reader.offset = at;
        return Err(reader.fail("the first option must be the program"));
    }
    let program = value.rest();
    let mut command = Command::new(program);
    let mut mistakes: Vec<Error> = command.take_mistake().into_iter().collect();
    while !reader.bytes.is_empty() {
        let (option, mut value) = reader.option()?;
        let start = value.offset;
        let applied = apply(&mut command, option, &mut value);
        if applied.is_ok() && !value.bytes.is_empty() {
            return Err(value.fail(format_args!("{} bytes too many", value.bytes.len())));
        }
        applied.map_err(|error| located(&value, start, error))?;
        mistakes.extend(command.take_mistake());
    }
    match mistakes.pop() {
        None => Ok(command),
        Some(only) if mistakes.is_empty() => Err(only.during(op.0)),
        Some(last) => {
            mistakes.push(last);
            let causes: Vec<&str> = mistakes.iter().map(Error::cause).collect();
            Err(op.invalid(causes.join("; ")).on(quoted(program.as_bytes())))
        }
    }
}

/// Says where the value is that was refused, unless a reader has said it.
fn located(value: &Reader<'_>, start: usize, error: Error) -> Error {
    if error.kind() == ErrorKind::InvalidArgument && !error.cause().starts_with("flat: ") {
        return Reader { offset: start, bytes: &[], ..*value }.fail(error.cause());
    }
    error
}

/// Does what the setter of an option does.
fn apply(command: &mut Command, option: u32, value: &mut Reader<'_>) -> Result<()> {
    let op = value.op;
    match option {
        COREPROC_FLAT_ARG => _ = command.arg(value.rest()),
        COREPROC_FLAT_ARG0 => _ = command.arg0(value.rest()),
        COREPROC_FLAT_ENV => _ = command.env_entry(value.rest()),
        COREPROC_FLAT_ENV_CLEAR => _ = command.env_clear(),
        COREPROC_FLAT_ENV_WHOLE => _ = env_whole(op, command, value.rest())?,
        COREPROC_FLAT_CWD => _ = command.cwd(value.rest()),
        COREPROC_FLAT_SEARCH_PATH => _ = command.search_path(value.rest()),
        COREPROC_FLAT_STDIO => _ = set_mode(op, command, value.u32()?, value.u32()?)?,
        COREPROC_FLAT_STDIO_FD => _ = set_fd(op, command, value.u32()?, value.i32()?)?,
        COREPROC_FLAT_STDIO_FILE => _ = set_file(op, command, value.u32()?, value.u32()?, value.rest())?,
        COREPROC_FLAT_CAPTURE => _ = command.capture(capture(value.u64()?)),
        COREPROC_FLAT_CAPTURE_HEAD => _ = command.capture_head(value.u64()?),
        COREPROC_FLAT_CAPTURE_LINES => _ = command.capture_lines(value.u64()?),
        COREPROC_FLAT_CAPTURE_APART => _ = command.capture_apart(),
        COREPROC_FLAT_GROUP => _ = command.group(group_of(op, value.u32()?)?),
        COREPROC_FLAT_DETACH => _ = command.detach(),
        COREPROC_FLAT_SPOOL_MAX => _ = command.spool_max(spool_max(value.u64()?)),
        COREPROC_FLAT_TIMEOUT => _ = command.timeout(timeout(value.u64()?)),
        COREPROC_FLAT_STOP => {
            let options: StopOptions = stop_of(op, value.u32()?, value.i32()?, value.u64()?)?;
            _ = command.stop_options(options);
        }
        COREPROC_FLAT_DRAIN => _ = command.drain(drain(value.u64()?, value.u64()?)),
        COREPROC_FLAT_CONTAIN => _ = command.contain(containment_of(op, value.u32()?)?),
        COREPROC_FLAT_MEMORY_MAX => _ = command.memory_max(most(value.u64()?)),
        COREPROC_FLAT_PROCESSES_MAX => _ = command.processes_max(most(value.u64()?)),
        COREPROC_FLAT_CPU_MAX => _ = command.cpu_max(share(value.u32()?)),
        COREPROC_FLAT_STOP_STEPS => {
            let (scope, mut steps) = (value.u32()?, Vec::new());
            while !value.bytes.is_empty() {
                steps.push((value.i32()?, value.u64()?));
            }
            _ = command.stop_policy(policy_of(op, scope, steps.into_iter())?);
        }
        COREPROC_FLAT_USER..=COREPROC_FLAT_DIE_WITH_HOST => apply_restriction(command, option, value)?,
        COREPROC_FLAT_START_TIMEOUT => _ = command.start_timeout(timeout(value.u64()?)),
        COREPROC_FLAT_SILENCE_TIMEOUT => _ = command.silence_timeout(timeout(value.u64()?)),
        COREPROC_FLAT_CPU_TIME_LIMIT => _ = command.cpu_time_limit(timeout(value.u64()?)),
        COREPROC_FLAT_OUTPUT_LIMIT => _ = command.output_limit(most(value.u64()?)),
        COREPROC_FLAT_REPORT_STOPS => _ = command.report_stops(duration(value.u64()?, Duration::ZERO)),
        COREPROC_FLAT_STDIN_DATA => _ = set_data(op, command, value.rest().as_bytes())?,
        COREPROC_FLAT_DESCRIPTOR => _ = set_pipe(op, command, value.u32()?, value.u32()?)?,
        COREPROC_FLAT_DESCRIPTOR_DATA => _ = set_given(op, command, value.u32()?, value.rest().as_bytes())?,
        COREPROC_FLAT_DESCRIPTOR_FD => _ = set_host_fd(op, command, value.u32()?, value.i32()?)?,
        COREPROC_FLAT_DESCRIPTOR_FILE => _ = set_opened(op, command, value.u32()?, value.u32()?, value.rest())?,
        COREPROC_FLAT_LISTEN_FD => _ = set_listener(op, command, value.i32()?, value.rest())?,
        COREPROC_FLAT_PTY => _ = set_pty(op, command, [value.u32()?, value.u32()?], value.u32()?)?,
        COREPROC_FLAT_FOREGROUND => _ = set_foreground(op, command, value.i32()?)?,
        _ => return Err(value.fail("may come only first")),
    }
    Ok(())
}

/// Does the same for who runs the process and what it may use.
fn apply_restriction(command: &mut Command, option: u32, value: &mut Reader<'_>) -> Result<()> {
    let op = value.op;
    match option {
        COREPROC_FLAT_USER => _ = set_user(op, command, value.rest())?,
        COREPROC_FLAT_PRIMARY_GROUP => _ = set_group(op, command, value.rest())?,
        COREPROC_FLAT_SUPPLEMENTARY_GROUPS => _ = set_groups(op, command, value.rest())?,
        COREPROC_FLAT_UMASK => _ = command.umask(value.u32()?),
        COREPROC_FLAT_NO_NEW_PRIVILEGES => _ = command.no_new_privileges(),
        COREPROC_FLAT_DROP_CAPABILITIES => _ = set_dropped(op, command, value.rest())?,
        COREPROC_FLAT_KEEP_IGNORED => _ = command.keep_ignored([value.i32()?]),
        COREPROC_FLAT_CWD_FD => _ = set_directory(op, command, value.i32()?)?,
        COREPROC_FLAT_RESOURCE_LIMIT => _ = set_limit(op, command, value.u32()?, [value.u64()?, value.u64()?])?,
        COREPROC_FLAT_NICE => _ = command.nice(value.i32()?),
        COREPROC_FLAT_SCHEDULING => _ = set_scheduling(op, command, value.u32()?, value.u32()?)?,
        COREPROC_FLAT_IO_PRIORITY => _ = set_io_priority(op, command, value.u32()?, value.u32()?)?,
        COREPROC_FLAT_CPU_AFFINITY => {
            let mut cpus = Vec::new();
            while !value.bytes.is_empty() {
                cpus.push(value.u32()?);
            }
            _ = command.cpu_affinity(cpus);
        }
        COREPROC_FLAT_OOM_SCORE => _ = command.oom_score(value.i32()?),
        _ => _ = command.die_with_host(value.i32()?),
    }
    Ok(())
}

/// Makes a command from a flat one, which is:
///
/// - a `uint32_t`, COREPROC_FLAT_VERSION;
/// - options, each of a `uint32_t`, a COREPROC_FLAT value, a `uint32_t` with the length of what
///   follows, and a value of that length: integers, bytes, or nothing, as the constant says.
///
/// Integers are little-endian and nothing is padded or aligned. The first option is
/// COREPROC_FLAT_PROGRAM; each of the others does what the setter of that name does, in the order in
/// which they come. `echo hi` are the 26 bytes
/// `"\1\0\0\0" "\1\0\0\0" "\4\0\0\0" "echo" "\2\0\0\0" "\2\0\0\0" "hi"`, without a NUL at the end.
/// Later libraries may know more options. Free `*out` with coreproc_command_free.
///
/// Errors: INVALID_ARGUMENT, also for an option that this library does not know, and bytes that are
/// missing or too many; the message names the option, and the byte at which it is: `set command:
/// flat: byte 16: timeout: needs 4 bytes, and 1 are left`. Texts that a setter would refuse, such as
/// arguments with a NUL, are named all at once. SYSTEM as for coreproc_command_stdio_fd.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_command_from_flat(
    flat: *const u8,
    flat_len: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_command>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("set command", err, |op| {
        // SAFETY: `flat` has `flat_len` bytes.
        let flat = unsafe { op.bytes("flat", flat, flat_len) }?;
        op.out(out)?.write(Box::new(coreproc_command(parse(op, flat)?)));
        Ok(())
    })
}

/// Starts a process from a flat command: coreproc_command_from_flat, coreproc_command_subscribe if
/// `named` is not NULL, coreproc_command_spawn and coreproc_process_info_get in one call. `named`
/// and `info` may be NULL; the caller sets `info->struct_size`. Free `*out` with
/// coreproc_process_free. Thread-safe.
///
/// Errors: those of the four.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_service_spawn_flat(
    service: Option<&coreproc_service>,
    flat: *const u8,
    flat_len: usize,
    named: Option<&coreproc_subscription>,
    out: Option<&mut MaybeUninit<Box<coreproc_process>>>,
    info: *mut coreproc_process_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("spawn", err, |op| {
        let service = op.handle("service", service)?;
        let out = op.out(out)?;
        // SAFETY: `info` is NULL or begins with its size.
        let info = (!info.is_null()).then(|| unsafe { op.room(info) }).transpose()?;
        // SAFETY: `flat` has `flat_len` bytes.
        let mut command = parse(op, unsafe { op.bytes("flat", flat, flat_len) }?)?;
        if let Some(named) = named {
            command.subscribe(&named.0);
        }
        let process = command.spawn(&service.0)?;
        if let Some(info) = info {
            let value = coreproc_process_info::new(info.size(), &process.info()?);
            info.write(value);
        }
        out.write(Box::new(coreproc_process(process)));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use proptest::prelude::*;

    use super::super::capture::{coreproc_command_capture_head, coreproc_command_capture_lines};
    use super::super::command::*;
    use super::super::containment::*;
    use super::super::credentials::*;
    use super::super::deadlines::*;
    use super::super::error::COREPROC_OK;
    use super::super::pty::coreproc_command_pty;
    use super::super::resources::*;
    use super::super::stdio::{coreproc_command_stdin_data, coreproc_command_stdio, coreproc_command_stdio_file};
    use super::super::stop::{coreproc_stop_options, coreproc_stop_step};
    use super::super::stops::coreproc_command_report_stops;
    use super::*;

    const OP: Operation = Operation("spawn");

    /// An option with its values.
    #[derive(Clone, Debug)]
    enum Set {
        Text(u32, Vec<u8>),
        Nothing(u32),
        Stream(u32, u32, Option<Vec<u8>>),
        Number(u32, u64),
        Group(u32),
        Word(u32, u32),
        Stop(u32, i32, u64),
        Drain(u64, u64),
        Steps(u32, Vec<(i32, u64)>),
        Pty([u32; 3]),
        Small(u32, i32),
        Two(u32, u32, u32),
        Limit(u32, u64, u64),
        Cpus(Vec<u32>),
    }

    impl Set {
        /// Appends the option to a flat command.
        fn encode(&self, flat: &mut Vec<u8>) {
            let (option, value) = match self {
                Set::Text(option, text) => (*option, text.clone()),
                Set::Nothing(option) => (*option, Vec::new()),
                Set::Stream(stream, mode, path) => {
                    let option = if path.is_some() { COREPROC_FLAT_STDIO_FILE } else { COREPROC_FLAT_STDIO };
                    let path = path.as_deref().unwrap_or_default();
                    (option, [&stream.to_le_bytes(), &mode.to_le_bytes(), path].concat())
                }
                Set::Number(option, number) => (*option, number.to_le_bytes().to_vec()),
                Set::Pty(values) => (COREPROC_FLAT_PTY, values.map(u32::to_le_bytes).concat()),
                Set::Group(mode) => (COREPROC_FLAT_GROUP, mode.to_le_bytes().to_vec()),
                Set::Word(option, word) => (*option, word.to_le_bytes().to_vec()),
                Set::Stop(scope, signal, grace) => (
                    COREPROC_FLAT_STOP,
                    [&scope.to_le_bytes()[..], &signal.to_le_bytes(), &grace.to_le_bytes()].concat(),
                ),
                Set::Steps(scope, steps) => {
                    let step =
                        |(signal, grace): &(i32, u64)| [&signal.to_le_bytes()[..], &grace.to_le_bytes()].concat();
                    let value = steps.iter().flat_map(step);
                    (COREPROC_FLAT_STOP_STEPS, scope.to_le_bytes().into_iter().chain(value).collect())
                }
                Set::Small(option, number) => (*option, number.to_le_bytes().to_vec()),
                Set::Two(option, one, two) => (*option, [one.to_le_bytes(), two.to_le_bytes()].concat()),
                Set::Limit(resource, soft, hard) => (
                    COREPROC_FLAT_RESOURCE_LIMIT,
                    [&resource.to_le_bytes()[..], &soft.to_le_bytes(), &hard.to_le_bytes()].concat(),
                ),
                Set::Cpus(cpus) => {
                    (COREPROC_FLAT_CPU_AFFINITY, cpus.iter().flat_map(|cpu| cpu.to_le_bytes()).collect())
                }
                Set::Drain(silence, total) => {
                    (COREPROC_FLAT_DRAIN, [silence.to_le_bytes(), total.to_le_bytes()].concat())
                }
            };
            put(flat, option, &value);
        }

        /// Calls the setter.
        fn call(&self, command: &mut coreproc_command) -> coreproc_result {
            let command = Some(command);
            // SAFETY: each pointer is valid for its length.
            unsafe {
                match self {
                    Set::Text(option, text) => {
                        let setter = match *option {
                            COREPROC_FLAT_ARG => coreproc_command_arg,
                            COREPROC_FLAT_ARG0 => coreproc_command_arg0,
                            COREPROC_FLAT_ENV => coreproc_command_env,
                            COREPROC_FLAT_ENV_WHOLE => coreproc_command_env_whole,
                            COREPROC_FLAT_CWD => coreproc_command_cwd,
                            COREPROC_FLAT_USER => coreproc_command_user,
                            COREPROC_FLAT_PRIMARY_GROUP => coreproc_command_primary_group,
                            COREPROC_FLAT_SUPPLEMENTARY_GROUPS => coreproc_command_supplementary_groups,
                            COREPROC_FLAT_DROP_CAPABILITIES => coreproc_command_drop_capabilities,
                            COREPROC_FLAT_STDIN_DATA => {
                                return coreproc_command_stdin_data(command, text.as_ptr(), text.len(), None);
                            }
                            _ => coreproc_command_search_path,
                        };
                        setter(command, text.as_ptr().cast(), text.len(), None)
                    }
                    Set::Nothing(COREPROC_FLAT_DETACH) => coreproc_command_detach(command, None),
                    Set::Nothing(COREPROC_FLAT_NO_NEW_PRIVILEGES) => coreproc_command_no_new_privileges(command, None),
                    Set::Nothing(_) => coreproc_command_env_clear(command, None),
                    Set::Pty([columns, rows, mode]) => coreproc_command_pty(command, *columns, *rows, *mode, None),
                    Set::Stream(stream, mode, None) => coreproc_command_stdio(command, *stream, *mode, None),
                    Set::Stream(stream, mode, Some(path)) => {
                        coreproc_command_stdio_file(command, *stream, path.as_ptr().cast(), path.len(), *mode, None)
                    }
                    Set::Number(COREPROC_FLAT_CAPTURE, number) => coreproc_command_capture(command, *number, None),
                    Set::Number(COREPROC_FLAT_SPOOL_MAX, number) => coreproc_command_spool_max(command, *number, None),
                    Set::Number(option, number) => {
                        let setter = match *option {
                            COREPROC_FLAT_START_TIMEOUT => coreproc_command_start_timeout,
                            COREPROC_FLAT_SILENCE_TIMEOUT => coreproc_command_silence_timeout,
                            COREPROC_FLAT_CPU_TIME_LIMIT => coreproc_command_cpu_time_limit,
                            COREPROC_FLAT_OUTPUT_LIMIT => coreproc_command_output_limit,
                            COREPROC_FLAT_REPORT_STOPS => coreproc_command_report_stops,
                            COREPROC_FLAT_MEMORY_MAX => coreproc_command_memory_max,
                            COREPROC_FLAT_PROCESSES_MAX => coreproc_command_processes_max,
                            COREPROC_FLAT_CAPTURE_HEAD => coreproc_command_capture_head,
                            COREPROC_FLAT_CAPTURE_LINES => coreproc_command_capture_lines,
                            _ => coreproc_command_timeout,
                        };
                        setter(command, *number, None)
                    }
                    Set::Group(mode) => coreproc_command_group(command, *mode, None),
                    Set::Word(COREPROC_FLAT_CONTAIN, word) => coreproc_command_contain(command, *word, None),
                    Set::Word(_, word) => coreproc_command_cpu_max(command, *word, None),
                    Set::Stop(scope, signal, grace_ms) => {
                        let (scope, signal, grace_ms) = (*scope, *signal, *grace_ms);
                        let (steps, steps_len) = (ptr::null(), 0);
                        let options = coreproc_stop_options {
                            struct_size: 24,
                            scope,
                            signal,
                            reserved: 0,
                            grace_ms,
                            steps,
                            steps_len,
                        };
                        coreproc_command_stop_options(command, &raw const options, None)
                    }
                    Set::Steps(scope, steps) => {
                        let steps: Vec<_> = steps
                            .iter()
                            .map(|(signal, grace_ms)| coreproc_stop_step {
                                signal: *signal,
                                reserved: 0,
                                grace_ms: *grace_ms,
                            })
                            .collect();
                        let options = coreproc_stop_options {
                            struct_size: 40,
                            scope: *scope,
                            signal: 0,
                            reserved: 0,
                            grace_ms: 0,
                            steps: steps.as_ptr(),
                            steps_len: steps.len(),
                        };
                        coreproc_command_stop_options(command, &raw const options, None)
                    }
                    Set::Small(option, number) => match *option {
                        COREPROC_FLAT_UMASK => coreproc_command_umask(command, number.cast_unsigned(), None),
                        COREPROC_FLAT_KEEP_IGNORED => coreproc_command_keep_ignored(command, *number, None),
                        COREPROC_FLAT_NICE => coreproc_command_nice(command, *number, None),
                        COREPROC_FLAT_OOM_SCORE => coreproc_command_oom_score(command, *number, None),
                        _ => coreproc_command_die_with_host(command, *number, None),
                    },
                    Set::Two(COREPROC_FLAT_SCHEDULING, policy, priority) => {
                        coreproc_command_scheduling(command, *policy, *priority, None)
                    }
                    Set::Two(_, class, level) => coreproc_command_io_priority(command, *class, *level, None),
                    Set::Limit(resource, soft, hard) => {
                        coreproc_command_resource_limit(command, *resource, *soft, *hard, None)
                    }
                    Set::Cpus(cpus) => coreproc_command_cpu_affinity(command, cpus.as_ptr(), cpus.len(), None),
                    Set::Drain(silence, total) => coreproc_command_drain(command, *silence, *total, None),
                }
            }
        }
    }

    fn put(flat: &mut Vec<u8>, option: u32, value: &[u8]) {
        flat.extend(option.to_le_bytes());
        flat.extend(u32::try_from(value.len()).expect("length").to_le_bytes());
        flat.extend(value);
    }

    fn begin(program: &[u8]) -> Vec<u8> {
        let mut flat = COREPROC_FLAT_VERSION.to_le_bytes().to_vec();
        put(&mut flat, COREPROC_FLAT_PROGRAM, program);
        flat
    }

    fn options() -> impl Strategy<Value = Set> {
        let text = prop::sample::select(vec![
            "",
            "a",
            "A=1",
            "A=2",
            "=x",
            "B=\0",
            "A=1\0B=2\0",
            "/dev/null",
            "\0",
            "root",
            "7,adm",
            "all",
            "cap_kill,net_raw",
        ])
        .prop_map(|text| text.as_bytes().to_vec());
        let texts = prop::sample::select(vec![
            COREPROC_FLAT_ARG,
            COREPROC_FLAT_ARG0,
            COREPROC_FLAT_ENV,
            COREPROC_FLAT_ENV_WHOLE,
            COREPROC_FLAT_CWD,
            COREPROC_FLAT_SEARCH_PATH,
            COREPROC_FLAT_STDIN_DATA,
            COREPROC_FLAT_USER,
            COREPROC_FLAT_PRIMARY_GROUP,
            COREPROC_FLAT_SUPPLEMENTARY_GROUPS,
            COREPROC_FLAT_DROP_CAPABILITIES,
        ]);
        let number = prop::sample::select(vec![0, 1, 1 << 20, i64::MAX as u64, 1 << 63, u64::MAX]);
        let small = prop::sample::select(vec![
            COREPROC_FLAT_UMASK,
            COREPROC_FLAT_KEEP_IGNORED,
            COREPROC_FLAT_NICE,
            COREPROC_FLAT_OOM_SCORE,
            COREPROC_FLAT_DIE_WITH_HOST,
        ]);
        let words = prop::sample::select(vec![COREPROC_FLAT_CONTAIN, COREPROC_FLAT_CPU_MAX]);
        let two = prop::sample::select(vec![COREPROC_FLAT_SCHEDULING, COREPROC_FLAT_IO_PRIORITY]);
        let numbers = prop::sample::select(vec![
            COREPROC_FLAT_CAPTURE,
            COREPROC_FLAT_CAPTURE_HEAD,
            COREPROC_FLAT_CAPTURE_LINES,
            COREPROC_FLAT_SPOOL_MAX,
            COREPROC_FLAT_TIMEOUT,
            COREPROC_FLAT_START_TIMEOUT,
            COREPROC_FLAT_SILENCE_TIMEOUT,
            COREPROC_FLAT_CPU_TIME_LIMIT,
            COREPROC_FLAT_OUTPUT_LIMIT,
            COREPROC_FLAT_REPORT_STOPS,
            COREPROC_FLAT_MEMORY_MAX,
            COREPROC_FLAT_PROCESSES_MAX,
        ]);
        prop_oneof![
            (small, prop::sample::select(vec![-1001, -20, -1, 0, 1, 9, 19, 64, 0o777, 1000, 4711]))
                .prop_map(|(option, number)| Set::Small(option, number)),
            (two, 0_u32..7, prop::sample::select(vec![0, 1, 7, 8, 99, 100, 256]))
                .prop_map(|(option, one, two)| Set::Two(option, one, two)),
            (0_u32..18, number.clone(), number.clone())
                .prop_map(|(resource, soft, hard)| Set::Limit(resource, soft, hard)),
            prop::collection::vec(prop::sample::select(vec![0, 1, 63, 64, 8191, 8192]), 0..4).prop_map(Set::Cpus),
            (texts, text.clone()).prop_map(|(option, text)| Set::Text(option, text)),
            prop::sample::select(vec![COREPROC_FLAT_ENV_CLEAR, COREPROC_FLAT_DETACH, COREPROC_FLAT_NO_NEW_PRIVILEGES])
                .prop_map(Set::Nothing),
            (0_u32..4, 0_u32..7, prop::option::of(text))
                .prop_map(|(stream, mode, path)| Set::Stream(stream, mode, path)),
            (words, prop::sample::select(vec![0, 1, 4, 5, 10, 1_000_000, 1_000_001, u32::MAX]))
                .prop_map(|(option, word)| Set::Word(option, word)),
            (numbers, number.clone()).prop_map(|(option, number)| Set::Number(option, number)),
            (0_u32..5).prop_map(Set::Group),
            (0_u32..4, -1_i32..70, number.clone()).prop_map(|(scope, signal, grace)| Set::Stop(scope, signal, grace)),
            (number.clone(), number.clone()).prop_map(|(silence, total)| Set::Drain(silence, total)),
            (0_u32..4, prop::collection::vec((prop::sample::select(vec![0, 2, 9, 15, 65]), number), 1..4))
                .prop_map(|(scope, steps)| Set::Steps(scope, steps)),
            prop::array::uniform3(prop::sample::select(vec![0, 1, 2, 3, 4, 65_535, 65_536])).prop_map(Set::Pty),
        ]
    }

    fn text_of(flat: &[u8]) -> String {
        let error = parse(OP, flat).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    }

    #[test]
    fn the_example_of_the_header_is_a_command() {
        let flat = b"\x01\0\0\0\x01\0\0\0\x04\0\0\0echo\x02\0\0\0\x02\0\0\0hi";
        assert_eq!(flat.len(), 26);
        let command = parse(OP, flat).expect("a command");
        assert_eq!(command.settings(), Command::new("echo").arg("hi").settings());
    }

    #[test]
    fn a_mistake_names_the_option_and_the_byte() {
        let with = |option, value: &[u8]| {
            let mut flat = begin(b"true");
            put(&mut flat, option, value);
            flat
        };
        for (flat, want) in [
            (vec![1, 0, 0], "spawn: flat: byte 0: version: needs 4 bytes, and 3 are left"),
            (vec![2, 0, 0, 0], "spawn: flat: byte 0: version: unknown value 2"),
            (vec![1, 0, 0, 0], "spawn: flat: byte 4: option: needs 4 bytes, and 0 are left"),
            (
                vec![1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
                "spawn: flat: byte 4: arg: the first option must be the program",
            ),
            (with(0, b""), "spawn: flat: byte 16: option: unknown value 0"),
            (with(19, b""), "spawn: flat: byte 16: option: unknown value 19"),
            (with(COREPROC_FLAT_PROGRAM, b"x"), "spawn: flat: byte 24: program: may come only first"),
            (with(COREPROC_FLAT_TIMEOUT, b"1"), "spawn: flat: byte 24: timeout: needs 4 bytes, and 1 are left"),
            (with(COREPROC_FLAT_DETACH, b"1"), "spawn: flat: byte 24: detach: 1 bytes too many"),
            (with(COREPROC_FLAT_GROUP, b"\x09\0\0\0"), "spawn: flat: byte 24: group: mode: unknown value 9"),
            (with(COREPROC_FLAT_ARG, b"\0"), "spawn \"true\": argument 1: has a NUL byte"),
            (begin(b""), "spawn \"\": program: is empty"),
            (
                [with(COREPROC_FLAT_ARG, b"\0"), with(COREPROC_FLAT_CWD, b"")[16..].to_vec()].concat(),
                "spawn \"true\": argument 1: has a NUL byte; cwd: is empty",
            ),
            ([begin(b"true"), vec![7]].concat(), "spawn: flat: byte 16: option: needs 4 bytes, and 1 are left"),
            (
                [begin(b"true"), vec![2, 0, 0, 0, 255, 255, 255, 255, 7]].concat(),
                "spawn: flat: byte 24: arg: needs 4294967295 bytes, and 1 are left",
            ),
        ] {
            assert_eq!(text_of(&flat), want);
        }
    }

    proptest! {
        #[test]
        fn a_flat_command_sets_what_the_setters_set(sets in prop::collection::vec(options(), 0..8)) {
            let mut flat = begin(b"true");
            let mut by_setters = Box::new(coreproc_command(Command::new("true")));
            let mut refused = false;
            for set in &sets {
                set.encode(&mut flat);
                refused |= set.call(&mut by_setters) != COREPROC_OK;
                // A flat command ends at its first mistake, so the setters after it have nothing to compare with.
                match parse(OP, &flat) {
                    Ok(command) if !refused => prop_assert_eq!(command.settings(), by_setters.0.settings()),
                    Err(error) if refused => prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument),
                    other => prop_assert!(false, "{set:?}: refused {refused}, {:?}", other.err()),
                }
            }
        }

        #[test]
        fn whatever_is_cut_off_is_missed(sets in prop::collection::vec(options(), 0..4), cut in any::<prop::sample::Index>()) {
            let mut flat = begin(b"true");
            let mut ends = vec![flat.len()];
            for set in &sets {
                set.encode(&mut flat);
                ends.push(flat.len());
            }
            let len = cut.index(flat.len());
            // The bytes beyond the end are not ours to read: under a sanitizer, this allocation has no more.
            let part = flat[..len].to_vec().into_boxed_slice();
            prop_assert!(ends.contains(&len) || parse(OP, &part).is_err());
        }

        #[test]
        fn any_bytes_are_a_command_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..64), known in any::<bool>()) {
            if known {
                bytes.splice(0..0, begin(b"true"));
            }
            if let Err(error) = parse(OP, &bytes) {
                let text = error.to_string();
                prop_assert!(!text.contains(char::is_control), "{}", text);
            }
            let mut out = MaybeUninit::uninit();
            // SAFETY: the pointer is valid for its length; the command is freed.
            let result = unsafe { coreproc_command_from_flat(bytes.as_ptr(), bytes.len(), Some(&mut out), None) };
            if result == COREPROC_OK {
                // SAFETY: written, as the result says.
                coreproc_command_free(Some(unsafe { out.assume_init() }));
            }
        }
    }

    #[test]
    fn null_is_an_error() {
        // SAFETY: NULL with a length is an error, and NULL without one is empty.
        let (with_length, empty) = unsafe {
            let mut out = MaybeUninit::uninit();
            let with_length = coreproc_command_from_flat(ptr::null(), 1, Some(&mut out), None);
            (with_length, coreproc_command_from_flat(ptr::null(), 0, None, None))
        };
        assert_ne!(with_length, COREPROC_OK);
        assert_ne!(empty, COREPROC_OK);
    }
}
