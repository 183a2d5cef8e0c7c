//! [`LogOptions`]: how a log is written.

use std::path::PathBuf;
use std::time::Duration;

use super::rotation::Limits;
use crate::error::{Error, Result};
use crate::util::duration::nanoseconds;

/// How output is written to a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The bytes as the process wrote them. Lines of several processes, or streams, do not mix.
    #[default]
    Raw,
    /// A line for each line, in the format of container logs (CRI): the time in RFC 3339 with nanoseconds, the stream
    /// (`stdout`, `stderr`, or `fd` and a number), `F` for a whole line or `P` for a piece of one, and the text.
    Cri,
}

/// The options of a [`Log`](crate::Log).
///
/// ```
/// use coreproc::{LogFormat, LogOptions};
///
/// let options = LogOptions { max_bytes: 10 << 20, keep: 3, ..LogOptions::new("/var/log/app.log") };
/// assert_eq!((options.format, options.mode), (LogFormat::Raw, 0o640));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The file; made if it is missing, and continued if it exists. Its directory must exist. A link is not followed.
    pub path: PathBuf,
    /// The form of what is written.
    pub format: LogFormat,
    /// Bytes of one file (0: any number). Before it would become larger it is renamed to `PATH.1`, `PATH.1` to
    /// `PATH.2`, and so on. One line may go beyond it.
    pub max_bytes: u64,
    /// The age at which a file is renamed before the next line is written (zero: any), from when it was opened.
    pub max_age: Duration,
    /// How many files are kept besides the current one; 0 empties it instead.
    pub keep: u32,
    /// Whether renamed files are compressed by gzip, to `PATH.1.gz`; on a thread of its own.
    pub compress: bool,
    /// The permissions of a new file, of which the umask takes some.
    pub mode: u32,
}

impl LogOptions {
    /// Returns the options of a log without a limit.
    pub fn new(path: impl Into<PathBuf>) -> LogOptions {
        LogOptions {
            path: path.into(),
            format: LogFormat::Raw,
            max_bytes: 0,
            max_age: Duration::ZERO,
            keep: 0,
            compress: false,
            mode: 0o640,
        }
    }

    pub(super) fn limits(&self, operation: &'static str) -> Result<Limits> {
        if self.path.as_os_str().is_empty() {
            return Err(Error::invalid(operation, "path: is empty"));
        }
        if self.mode & !0o777 != 0 {
            return Err(Error::invalid(operation, format!("mode: {:o} has more than permissions", self.mode)));
        }
        if self.keep > 0 && self.max_bytes == 0 && self.max_age.is_zero() {
            return Err(Error::invalid(operation, "keep: without max_bytes and max_age nothing is ever renamed"));
        }
        if self.compress && self.keep == 0 {
            return Err(Error::invalid(operation, "compress: without keep there is nothing to compress"));
        }
        Ok(Limits {
            max_bytes: self.max_bytes,
            max_age_ns: nanoseconds(self.max_age),
            keep: self.keep,
            mode: self.mode,
        })
    }
}
