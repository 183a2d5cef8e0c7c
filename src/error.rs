//! [`Error`]: what went wrong, in which operation, on what, and why.

use std::fmt;

/// The result of every call that can fail.
///
/// ```
/// fn start() -> coreproc::Result<coreproc::Process> {
///     let service = coreproc::Service::new(coreproc::ServiceOptions::default())?;
///     coreproc::Command::new("true").spawn(&service)
/// }
/// assert!(start().is_ok());
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// The kinds of failure that an [`Error`] can be; the C ABI has one result code for each.
///
/// ```
/// use std::time::Duration;
/// use coreproc::{Command, ErrorKind, Scope, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").spawn(&service)?;
/// match process.wait(Some(Duration::from_millis(10))) {
///     Err(error) if error.kind() == ErrorKind::TimedOut => process.kill(Scope::Default)?,
///     other => panic!("{other:?}"),
/// }
/// process.wait(None)?;
/// assert_eq!(process.kill(Scope::Default).map_err(|e| e.kind()), Err(ErrorKind::NotRunning));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument is not usable; the message names it.
    InvalidArgument,
    /// There is no such program, file or directory, or no such process.
    NotFound,
    /// The kernel refused for lack of permission (EACCES, EPERM), or other users could tamper with the file.
    PermissionDenied,
    /// Another system call failed; see [`Error::errno`].
    System,
    /// Memory could not be allocated.
    OutOfMemory,
    /// The process has ended.
    NotRunning,
    /// Standard input of a process that runs is not a pipe of ours, was closed, or has no reader left.
    StdinClosed,
    /// The time ran out first.
    TimedOut,
    /// The service or the subscription is closed, or the stream has ended.
    Closed,
    /// A call from inside a callback would have to wait.
    Deadlock,
    /// The call was made in a child of `fork`, which has none of our threads.
    Forked,
    /// A bug in this library; the message says what panicked.
    Panic,
    /// The kernel, its filters, or this build of the library, lack something that the call needs.
    Unsupported,
    /// Another process, or another user of the service, holds it, such as the PID file of a daemon that lives or an
    /// address in use.
    Busy,
    /// A file, a JSON text or an answer that was read is not as it should be; the message says where.
    Malformed,
    /// The object is not in the state that the call is for: started twice, run before start.
    InvalidState,
}

/// A failure: kind, errno, operation, stage, subject and cause.
///
/// Its text can be shown as it is: names in it are quoted, and control characters escaped. One pointer in size, so that
/// results stay small; it can be sent to and shared by threads.
///
/// ```
/// use coreproc::{Command, ErrorKind, Service, ServiceOptions};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let error = Command::new("gti").spawn(&service).err().expect("no such program");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!((error.operation(), error.stage()), ("spawn", "lookup"));
/// assert_eq!(error.to_string(), r#"spawn "gti": lookup: no such program in PATH"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    errno: Option<i32>,
    operation: &'static str,
    subject: Option<String>,
    stage: &'static str,
    cause: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str, cause: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, errno: None, operation, subject: None, stage: "", cause: cause.into() }))
    }

    /// Makes the error of a failed system call; its kind follows from `errno`.
    pub(crate) fn system(operation: &'static str, stage: &'static str, errno: i32) -> Error {
        let kind = match errno {
            libc::EACCES | libc::EPERM => ErrorKind::PermissionDenied,
            libc::ENOENT => ErrorKind::NotFound,
            libc::ENOMEM => ErrorKind::OutOfMemory,
            _ => ErrorKind::System,
        };
        Error::new(kind, operation, describe_errno(errno)).at(stage).errno_is(errno)
    }

    /// Makes the error of an argument that is not usable; the cause begins with its name.
    pub(crate) fn invalid(operation: &'static str, cause: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidArgument, operation, cause)
    }

    /// Names the step of the operation that failed.
    pub(crate) fn at(mut self, stage: &'static str) -> Error {
        self.0.stage = stage;
        self
    }

    /// Names what the operation was on, quoted by the caller.
    pub(crate) fn on(mut self, subject: impl Into<String>) -> Error {
        self.0.subject = Some(subject.into());
        self
    }

    /// Names another operation.
    pub(crate) fn during(mut self, operation: &'static str) -> Error {
        self.0.operation = operation;
        self
    }

    pub(crate) fn errno_is(mut self, errno: i32) -> Error {
        self.0.errno = Some(errno);
        self
    }

    pub(crate) fn kind_is(mut self, kind: ErrorKind) -> Error {
        self.0.kind = kind;
        self
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Error {
        self.0.cause = cause.into();
        self
    }

    /// Returns the last part of the text, without operation and subject.
    pub(crate) fn cause(&self) -> &str {
        &self.0.cause
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the kernel's error number, if a system call is behind the failure.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// Returns the operation that failed: `"spawn"`, `"wait"`, ….
    pub fn operation(&self) -> &str {
        self.0.operation
    }

    /// Returns the step of the operation that failed (`"lookup"`, `"chdir"`, `"exec"`, …), or `""`.
    pub fn stage(&self) -> &str {
        self.0.stage
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.operation)?;
        if let Some(subject) = &self.0.subject {
            write!(f, " {subject}")?;
        }
        if !self.0.stage.is_empty() {
            write!(f, ": {}", self.0.stage)?;
        }
        write!(f, ": {}", self.0.cause)
    }
}

impl std::error::Error for Error {}

/// Returns the usual short text for an errno, without the number that `io::Error` appends.
pub(crate) fn describe_errno(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    let mut characters = text.chars();
    match characters.next() {
        // A message follows a colon, so it starts with a small letter, unless it starts with an abbreviation.
        Some(first) if !characters.as_str().starts_with(|c: char| c.is_uppercase()) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Quotes a name for an error message, and escapes what cannot be printed.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_cannot_forge_lines_or_steer_a_terminal() {
        let name = "a\"\n\x1b[8m\u{202e}\u{2067}\u{200f}\u{61c}\u{2028}\u{feff}b\u{85}";
        let shown = quoted(name.as_bytes());
        assert_eq!(shown, r#""a\"\n\u{1b}[8m\u{202e}\u{2067}\u{200f}\u{61c}\u{2028}\u{feff}b\u{85}""#);
        assert_eq!(quoted(b"\xff"), "\"\u{fffd}\"");
    }
}
