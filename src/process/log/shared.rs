//! [`Shared`]: the state of one log, which its handles, its followers and the thread that writes share.

use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use memchr::memchr_iter;

use super::options::{LogFormat, LogOptions};
use super::pack;
use super::rotation::{Failure, Rotation};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Stream};
use crate::runtime::{Deadline, is_in_callback, lock};
use crate::sys::thread;
use crate::util::condition::wait_up_to;
use crate::util::path::quoted;
use crate::util::rfc3339;

const WRITE: &str = "write log";

/// What is known of a log.
#[derive(Clone, Debug)]
pub struct LogInfo {
    /// Bytes that were written to its files.
    pub written: u64,
    /// Bytes of output that are in none of them: dropped because the thread that writes was too slow, which counts for
    /// each log of the process, whatever its streams; or because the file could not be written.
    pub lost: u64,
    /// How often the file was renamed, or emptied.
    pub rotations: u64,
    /// The offset after the last byte, for [`Log::follow`](crate::Log::follow).
    pub end: u64,
    /// The last failure, until a line could be written again.
    pub error: Option<Error>,
}

#[derive(Debug)]
pub(super) struct Shared {
    format: LogFormat,
    compresses: bool,
    state: Mutex<State>,
    /// Notified when something was written, and when a process that writes is closed.
    changed: Condvar,
}

struct State {
    rotation: Rotation,
    written: u64,
    lost: u64,
    error: Option<Error>,
    /// The processes that write to it.
    writers: usize,
    /// Whether the thread that writes has ended.
    is_over: bool,
    is_packing: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("State").field(&self.rotation.path()).finish()
    }
}

impl Shared {
    pub(super) fn open(options: &LogOptions) -> Result<Arc<Shared>> {
        const OPERATION: &str = "open log";
        let limits = options.limits(OPERATION)?;
        if std::fs::symlink_metadata(&options.path).is_ok_and(|facts| !facts.is_file()) {
            return Err(Error::invalid(OPERATION, "path: is no regular file").on(quoted(&options.path)));
        }
        // The host may change its directory.
        let path = std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone());
        let rotation = Rotation::open(path, limits)
            .map_err(|(stage, errno)| Error::system(OPERATION, stage, errno).on(quoted(&options.path)))?;
        let state = State { rotation, written: 0, lost: 0, error: None, writers: 0, is_over: false, is_packing: false };
        Ok(Arc::new(Shared {
            format: options.format,
            compresses: options.compress,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }))
    }

    pub(super) fn info(&self) -> LogInfo {
        let state = lock(&self.state);
        LogInfo {
            written: state.written,
            lost: state.lost,
            rotations: state.rotation.rotations(),
            end: state.rotation.end(),
            error: state.error.clone(),
        }
    }

    pub(super) fn rotate(&self) -> Result<()> {
        let mut state = lock(&self.state);
        state.rotation.rotate().map_err(|failure| state.error("rotate log", failure))
    }

    pub(super) fn reopen(&self) -> Result<()> {
        let mut state = lock(&self.state);
        state.rotation.reopen().map_err(|failure| state.error("reopen log", failure))
    }

    pub(super) fn add_writer(&self) {
        lock(&self.state).writers += 1;
    }

    pub(super) fn remove_writer(&self) {
        lock(&self.state).writers -= 1;
        self.changed.notify_all();
    }

    /// Counts output that never came here.
    pub(super) fn lose(&self, bytes: u64) {
        lock(&self.state).lost += bytes;
    }

    /// Notes that nothing more will be written.
    pub(super) fn end(&self) {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
    }

    /// Writes an event of output.
    pub(super) fn write(self: &Arc<Self>, event: &Event<'_>, stream: Stream, is_partial: bool) {
        match self.format {
            LogFormat::Raw => self.append(event.data, |rest| rest.len()),
            LogFormat::Cri => {
                let mut prefix = rfc3339::format_with_nanoseconds(event.time.realtime_ns);
                let _ = match stream {
                    Stream::Stdout => prefix.write_str(" stdout "),
                    Stream::Stderr => prefix.write_str(" stderr "),
                    Stream::Descriptor(number) => write!(prefix, " fd{number} "),
                };
                prefix.push_str(if is_partial { "P " } else { "F " });
                let mut text = Vec::with_capacity(event.data.len() + prefix.len() * 2);
                for line in event.data.split_inclusive(|byte| *byte == b'\n') {
                    text.extend_from_slice(prefix.as_bytes());
                    text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                    text.push(b'\n');
                }
                // Each line has a prefix, and a newline even if it had none.
                let added = usize::from(!event.data.ends_with(b"\n"));
                self.append(&text, |rest| rest.len() - memchr_iter(b'\n', rest).count() * prefix.len() - added);
            }
        }
    }

    /// Appends a text; `output_of` tells for how many bytes of output its end stands.
    fn append(self: &Arc<Self>, text: &[u8], output_of: impl FnOnce(&[u8]) -> usize) {
        let mut state = lock(&self.state);
        let (written, failure) = state.rotation.append(text);
        state.written += written as u64;
        if written < text.len() {
            state.lost += output_of(&text[written..]) as u64;
        }
        state.error = failure.map(|failure| state.error(WRITE, failure));
        if self.compresses && !state.is_packing && state.rotation.has_uncompressed() {
            let log = Arc::clone(self);
            // Without a thread the files stay as they are, and the next line tries again.
            state.is_packing = thread::start("coreproc-gzip", move || log.pack()).is_ok();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Compresses rotated files until none is left.
    fn pack(&self) {
        let mut state = lock(&self.state);
        let path = state.rotation.path().to_owned();
        while let Some((id, file)) = state.rotation.uncompressed() {
            drop(state);
            let packed = file.and_then(|file| pack::compress(file, &path));
            state = lock(&self.state);
            let done = packed.and_then(|copy| state.rotation.put_compressed(id, &copy));
            if let Err(failure) = done {
                state.rotation.leave_plain(id);
                state.error = Some(state.error("compress log", failure));
            }
        }
        state.is_packing = false;
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn wait_idle(&self, deadline: Deadline) -> Result<()> {
        self.wait("wait for log", deadline, |state| {
            let is_idle = state.writers == 0 && !state.is_packing;
            (is_idle || state.is_over).then_some(is_idle)
        })
        .and_then(|is_idle| {
            let ended = || Error::new(ErrorKind::Closed, "wait for log", "the thread that writes has ended");
            if is_idle { Ok(()) } else { Err(ended()) }
        })
    }

    /// Waits until `ready` gives something.
    fn wait<T>(
        &self,
        operation: &'static str,
        deadline: Deadline,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T> {
        let mut state = lock(&self.state);
        loop {
            if let Some(found) = ready(&mut state) {
                return Ok(found);
            }
            if deadline.is_over() {
                return Err(Error::new(ErrorKind::TimedOut, operation, "nothing was written in time"));
            }
            if is_in_callback() {
                return Err(Error::new(ErrorKind::Deadlock, operation, "would wait inside a callback"));
            }
            state = wait_up_to(&self.changed, state, deadline.left());
        }
    }

    /// Waits until there is something from `offset` on, and lets `look` read it; None at the end of the log.
    pub(super) fn wait_for(&self, offset: u64, deadline: Deadline) -> Result<bool> {
        self.wait("follow log", deadline, |state| match offset < state.rotation.end() {
            true => Some(true),
            false => state.is_over.then_some(false),
        })
    }

    pub(super) fn rotation(&self) -> RotationGuard<'_> {
        RotationGuard(lock(&self.state))
    }
}

/// The files of a log, while nothing is written to them.
pub(super) struct RotationGuard<'a>(MutexGuard<'a, State>);

impl std::ops::Deref for RotationGuard<'_> {
    type Target = Rotation;

    fn deref(&self) -> &Rotation {
        &self.0.rotation
    }
}

impl State {
    fn error(&self, operation: &'static str, (stage, errno): Failure) -> Error {
        Error::system(operation, stage, errno).on(quoted(self.rotation.path()))
    }
}
