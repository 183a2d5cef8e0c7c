//! [`LogFollower`]: reads a log while it is written, through all its files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use super::rotation::Segment;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Deadline;
use crate::sys::fork::Generation;

const FOLLOW: &str = "follow log";

/// A reader of a [`Log`](crate::Log), from any offset on. One thread at a time; several followers do not disturb each
/// other, nor the log.
///
/// ```
/// use coreproc::{Command, ErrorKind, EventFilter, LogOptions, Service, ServiceOptions};
/// use std::time::Duration;
///
/// # fn main() -> coreproc::Result<()> {
/// # let scratch = tempfile::tempdir().expect("a directory");
/// # let path = scratch.path().join("app.log");
/// let service = Service::new(ServiceOptions::default())?;
/// let log = service.open_log(&LogOptions::new(&path))?;
/// Command::new("echo").arg("hello").log(&log, EventFilter::default()).spawn(&service)?;
/// let mut follower = log.follow(0);
/// assert_eq!(follower.read(5, None)?, b"hello");
/// assert_eq!(follower.read(100, None)?, b"\n");
/// assert_eq!((follower.offset(), follower.skipped()), (6, 0));
/// let error = follower.read(100, Some(Duration::ZERO)).expect_err("nothing more was written");
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// # Ok(())
/// # }
/// ```
pub struct LogFollower {
    /// The process in which its log was opened.
    made: Generation,
    log: Arc<Shared>,
    offset: u64,
    skipped: u64,
    /// The compressed file that is being read.
    packed: Option<Packed>,
}

struct Packed {
    segment: u64,
    decoder: MultiGzDecoder<File>,
    /// The offset in the file, as it was, of the next byte.
    at: u64,
}

impl LogFollower {
    pub(super) fn new(log: Arc<Shared>, offset: u64, made: Generation) -> LogFollower {
        LogFollower { made, log, offset, skipped: 0, packed: None }
    }

    pub(crate) fn made(&self) -> Generation {
        self.made
    }

    /// Returns the offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how many bytes it could not read, because their files were gone.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the next bytes, at least one and up to `most`; waits for them up to `timeout`. None waits for ever, zero
    /// only looks.
    ///
    /// # Errors
    ///
    /// `TimedOut` if nothing was written in time. `Closed` at the end: the service is closed, and its processes too.
    /// `Deadlock` inside a callback, if it would wait. `System` if a file cannot be read. `InvalidArgument` for 0 bytes.
    pub fn read(&mut self, most: usize, timeout: Option<Duration>) -> Result<Vec<u8>> {
        self.made.check(FOLLOW)?;
        if most == 0 {
            return Err(Error::invalid(FOLLOW, "most: is zero"));
        }
        let deadline = Deadline::after(timeout);
        loop {
            if !self.log.wait_for(self.offset, deadline)? {
                return Err(Error::new(ErrorKind::Closed, FOLLOW, "the log has ended"));
            }
            let found = self.log.rotation().find(self.offset);
            let Some((segment, file)) = found.map_err(|(stage, errno)| Error::system(FOLLOW, stage, errno))? else {
                self.skip_to(self.log.info().end);
                continue;
            };
            if self.offset < segment.start {
                self.skip_to(segment.start);
            }
            let end = segment.start + segment.len;
            let len = usize::try_from(end - self.offset).unwrap_or(usize::MAX).min(most);
            let mut bytes = Vec::new();
            let no_memory = |_| Error::new(ErrorKind::OutOfMemory, FOLLOW, "no memory for the bytes");
            bytes.try_reserve_exact(len).map_err(no_memory)?;
            bytes.resize(len, 0);
            let failed = |error: io::Error| Error::system(FOLLOW, "read", error.raw_os_error().unwrap_or(libc::EIO));
            let count = self.read_at(&segment, file, &mut bytes).map_err(failed)?;
            if !segment.is_compressed && !self.log.rotation().has(segment.id) {
                // Its file may have been emptied, and written again, before it was read.
                continue;
            }
            if count == 0 {
                // Another program has emptied the file.
                self.skip_to(end);
                continue;
            }
            bytes.truncate(count);
            self.offset += count as u64;
            return Ok(bytes);
        }
    }

    fn skip_to(&mut self, offset: u64) {
        self.skipped += offset.saturating_sub(self.offset);
        self.offset = offset;
    }

    fn read_at(&mut self, segment: &Segment, file: File, bytes: &mut [u8]) -> io::Result<usize> {
        let at = segment.base + (self.offset - segment.start);
        if !segment.is_compressed {
            return file.read_at(bytes, at);
        }
        let is_there = |packed: &&mut Packed| packed.segment == segment.id && packed.at <= at;
        if self.packed.as_mut().filter(is_there).is_none() {
            self.packed = Some(Packed { segment: segment.id, decoder: MultiGzDecoder::new(file), at: 0 });
        }
        let Some(packed) = &mut self.packed else { return Ok(0) };
        packed.at += io::copy(&mut packed.decoder.by_ref().take(at - packed.at), &mut io::sink())?;
        let mut count = 0;
        while count < bytes.len() {
            match packed.decoder.read(&mut bytes[count..])? {
                0 => break,
                read => count += read,
            }
        }
        packed.at += count as u64;
        Ok(count)
    }
}
