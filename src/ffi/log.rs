//! `coreproc_log` and `coreproc_log_follower`.

use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::command::{coreproc_command, set};
use super::error::{coreproc_error, coreproc_result};
use super::handle::{another, free, shared};
use super::service::coreproc_service;
use super::versioned::versioned;
use crate::{EventFilter, Log, LogFollower, LogFormat, LogOptions};

/// The bytes as the process wrote them. The default.
pub const COREPROC_LOG_RAW: u32 = 1;
/// A line for each line, in the format of container logs (CRI): the time in RFC 3339 with
/// nanoseconds, the stream (stdout, stderr, or fd and a number), F for a whole line or P for a
/// piece of one, and the text.
pub const COREPROC_LOG_CRI: u32 = 2;

/// A file that output is written to without a reader of the host, and the files that it was renamed
/// to. All logs of a service are written by one thread, `coreproc-dsp`. What a process writes
/// faster waits, up to 1 MiB for each process, and is dropped then, and counted; so is what the
/// file does not take. No process is slowed. Shared: reference-counted, thread-safe. The file is
/// closed with the last reference, once the processes that write to it are closed.
#[derive(Clone)]
pub struct coreproc_log(pub(super) Log);

const _: () = shared::<coreproc_log>();

/// A reader of a log. Owned by its caller; thread-safe.
pub struct coreproc_log_follower(Mutex<LogFollower>);

/// The options of a log.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_log_options {
    /// sizeof(coreproc_log_options).
    pub struct_size: u32,
    /// A COREPROC_LOG value (0: RAW).
    pub format: u32,
    /// Bytes of one file (0: any number). Before it would become larger it is renamed to PATH.1,
    /// PATH.1 to PATH.2, and so on. One line may go beyond it.
    pub max_bytes: u64,
    /// The age in milliseconds at which a file is renamed before the next line is written (0: any).
    pub max_age_ms: u64,
    /// How many files are kept besides the current one; 0 empties it instead.
    pub keep: u32,
    /// Other than 0: renamed files are compressed by gzip, to PATH.1.gz, on a thread of its own.
    pub compress: u32,
    /// The permissions of a new file, of which the umask takes some (0: 0640).
    pub mode: u32,
    /// Must be 0.
    pub reserved: u32,
}

versioned!(coreproc_log_options, 40);
const _: () = assert!(size_of::<coreproc_log_options>() == 40);

/// What is known of a log.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_log_info {
    /// sizeof(coreproc_log_info), set by the caller.
    pub struct_size: u32,
    /// The errno of the last failure, until a line could be written again; 0: none.
    pub error: i32,
    /// Bytes that were written to its files.
    pub written: u64,
    /// Bytes of output that are in none of them.
    pub lost: u64,
    /// How often the file was renamed, or emptied.
    pub rotations: u64,
    /// The offset after the last byte.
    pub end: u64,
}

versioned!(coreproc_log_info, 40);
const _: () = assert!(size_of::<coreproc_log_info>() == 40);

/// Opens a log. The file is made if it is missing, and continued if it exists; a link is not
/// followed. `options` may be NULL. The thread that writes waits as a listener's does, so
/// coreproc_subscription_drive is BUSY beside it. Free `*out` with coreproc_log_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; SYSTEM, NOT_FOUND or PERMISSION_DENIED if the file cannot be opened;
/// CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_log_open(
    service: Option<&coreproc_service>,
    path: *const std::ffi::c_char,
    path_len: usize,
    options: *const coreproc_log_options,
    out: Option<&mut MaybeUninit<Box<coreproc_log>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open log", err, |op| {
        let service = op.handle("service", service)?;
        let out = op.out(out)?;
        // SAFETY: `path` has `path_len` bytes; `options` is NULL or begins with its size.
        let (path, options) = unsafe { (op.text("path", path, path_len)?, op.options(options)?) };
        if options.reserved != 0 {
            return Err(op.invalid("options: reserved: is not 0"));
        }
        let mut wanted = LogOptions::new(path);
        wanted.format = match options.format {
            0 | COREPROC_LOG_RAW => LogFormat::Raw,
            COREPROC_LOG_CRI => LogFormat::Cri,
            other => return Err(op.unknown("format", other)),
        };
        wanted.max_bytes = options.max_bytes;
        wanted.max_age = Duration::from_millis(options.max_age_ms);
        wanted.keep = options.keep;
        wanted.compress = options.compress != 0;
        if options.mode != 0 {
            wanted.mode = options.mode;
        }
        out.write(Box::new(coreproc_log(service.0.open_log(&wanted)?)));
        Ok(())
    })
}

/// Writes the output of its process to a log of its service. `streams` has bit N for the
/// COREPROC_EVENT with the number N: STDOUT, STDERR, OUTPUT (0: all of them). The output is
/// captured, and delivered to subscriptions, all the same. May be called for several logs. One
/// thread at a time.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_log(
    command: Option<&mut coreproc_command>,
    log: Option<&coreproc_log>,
    streams: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| {
        let log = op.handle("log", log)?;
        let streams = EventFilter::from_mask(streams).map_err(|bit| op.unknown("streams: bit", bit))?;
        Ok(command.log(&log.0, streams))
    })
}

/// Fills `*out`, whose struct_size the caller sets. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_log_info_get(
    log: Option<&coreproc_log>,
    out: *mut coreproc_log_info,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("log info", err, |op| {
        let log = op.handle("log", log)?;
        // SAFETY: `out` is NULL or a struct that begins with its size.
        let room = unsafe { op.room(out) }?;
        let info = log.0.info()?;
        let value = coreproc_log_info {
            struct_size: room.size(),
            error: info.error.and_then(|error| error.errno()).unwrap_or(0),
            written: info.written,
            lost: info.lost,
            rotations: info.rotations,
            end: info.end,
        };
        room.write(value);
        Ok(())
    })
}

/// Renames the file now, as if it were full. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; SYSTEM, PERMISSION_DENIED: the log goes on in the old file.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_rotate(
    log: Option<&coreproc_log>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("rotate log", err, |op| op.handle("log", log)?.0.rotate())
}

/// Opens the file of the log's name again, for a program that renames it from outside
/// (logrotate(8)). Thread-safe.
///
/// Errors: INVALID_ARGUMENT; SYSTEM, NOT_FOUND, PERMISSION_DENIED: the log goes on in the old file.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_reopen(
    log: Option<&coreproc_log>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("reopen log", err, |op| op.handle("log", log)?.0.reopen())
}

/// Waits up to `timeout_ms` (-1: for ever; 0: only looks) until all that the processes have written
/// is in the file, and those processes are closed. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; DEADLOCK inside a callback; CLOSED if the thread that
/// writes has ended before.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_wait_idle(
    log: Option<&coreproc_log>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("wait for log", err, |op| op.handle("log", log)?.0.wait_idle(op.timeout(timeout_ms)?))
}

/// Makes a reader of the log, through all its files, from an offset on. Offset 0 is the first byte
/// that the file had when the log was opened. Free `*out` with coreproc_log_follower_free.
/// Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_follow(
    log: Option<&coreproc_log>,
    offset: u64,
    out: Option<&mut MaybeUninit<Box<coreproc_log_follower>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("follow log", err, |op| {
        let follower = op.handle("log", log)?.0.follow(offset);
        op.out(out)?.write(Box::new(coreproc_log_follower(Mutex::new(follower))));
        Ok(())
    })
}

/// Reads the next bytes, at least one and up to `most`; waits for them up to `timeout_ms` (-1: for
/// ever; 0: only looks). `*offset` becomes that of the byte after them, and `*skipped` how many
/// bytes the follower could not read so far, because their files were gone; both may be NULL. Free
/// `*out` with coreproc_bytes_free. Thread-safe: calls wait for each other.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; CLOSED at the end of the log; DEADLOCK inside a callback;
/// SYSTEM; OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_follower_read(
    follower: Option<&coreproc_log_follower>,
    most: usize,
    timeout_ms: i64,
    offset: Option<&mut MaybeUninit<u64>>,
    skipped: Option<&mut MaybeUninit<u64>>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("follow log", err, |op| {
        let follower = op.handle("follower", follower)?;
        let out = op.out(out)?;
        let mut follower = follower.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = follower.read(most, op.timeout(timeout_ms)?)?;
        if let Some(offset) = offset {
            offset.write(follower.offset());
        }
        if let Some(skipped) = skipped {
            skipped.write(follower.skipped());
        }
        out.write(coreproc_bytes::new(bytes));
        Ok(())
    })
}

/// Frees a follower. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_follower_free(follower: Option<Box<coreproc_log_follower>>) {
    free(follower);
}

/// Returns another reference to the same log, to be freed on its own; NULL for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_ref(log: Option<&coreproc_log>) -> Option<Box<coreproc_log>> {
    another(log)
}

/// Gives a reference back. NULL is fine. Never blocks. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_log_free(log: Option<Box<coreproc_log>>) {
    free(log);
}
