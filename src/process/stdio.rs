//! [`Stdin`] and [`Output`]: where a child's standard streams come from and go to.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crate::sys::descriptor;

/// A child's standard input.
///
/// ```
/// use coreproc::{Command, Service, ServiceOptions, Stdin};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("tr").args(["a-z", "A-Z"]).stdin(Stdin::Pipe).spawn(&service)?;
/// process.write_stdin(b"hello\n", None)?;
/// process.close_stdin()?;
/// process.wait(None)?;
/// assert_eq!(process.output()?, b"HELLO\n");
///
/// let process = Command::new("wc").arg("-c").stdin(Stdin::Data(vec![b'x'; 100_000].into())).spawn(&service)?;
/// assert_eq!(process.wait(None)?.unwritten_bytes, 0);
/// assert_eq!(process.output()?, b"100000\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// [`Stdin::Null`]; for a command with a pseudo-terminal, that: see [`Command::pty`](crate::Command::pty).
    #[default]
    Default,
    /// /dev/null.
    Null,
    /// A pipe, for [`Process::write_stdin`](crate::Process::write_stdin).
    Pipe,
    /// The host's. If that is a terminal, the child has to be in the host's group to read from it: see
    /// [`Command::group`](crate::Command::group).
    Inherit,
    /// These bytes, of any number, and then the end. The library writes them into a pipe as the process reads them. All
    /// spawns share them. If the process ends, or closes its standard input, before it has read them all, that is no
    /// error; [`Info::unwritten_bytes`](crate::Info::unwritten_bytes) then counts what its pipe did not take.
    Data(Arc<Vec<u8>>),
    /// This descriptor, which may be shared with other commands and stays open in the host.
    Fd(Arc<OwnedFd>),
    /// This file, opened for reading at each spawn; a relative path counts from the host's directory. The open never
    /// waits: a FIFO that no process has opened for writing (a shell would wait) is an error with ENXIO, and a file
    /// whose lease another process keeps for longer than a second is one with EAGAIN. To wait for a writer, open the
    /// FIFO and give the descriptor.
    File(PathBuf),
}

/// How an output file is opened. If it does not exist, it is created with mode 0666 less the host's umask.
///
/// ```
/// use coreproc::{Command, FileMode, Output, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let path = std::env::temp_dir().join(format!("coreproc-doc-{}.log", std::process::id()));
/// for mode in [FileMode::Truncate, FileMode::Append] {
///     Command::new("echo").arg("hello").stdout(Output::File(path.clone(), mode)).spawn(&service)?.wait(None)?;
/// }
/// assert_eq!(std::fs::read(&path).unwrap(), b"hello\nhello\n");
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// Empties the file first.
    Truncate,
    /// Adds to the file.
    Append,
}

/// A child's standard output or standard error.
///
/// ```
/// use coreproc::{Command, Output, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let mut command = Command::new("sh");
/// command.args(["-c", "echo one; echo two >&2; echo three"]).stderr(Output::Merge);
/// let process = command.spawn(&service)?;
/// process.wait(None)?;
/// assert_eq!(process.output()?, b"one\ntwo\nthree\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub enum Output {
    /// [`Output::Pipe`]; for a detached command, [`Output::Spool`]; for a command with a pseudo-terminal, that.
    #[default]
    Default,
    /// A pipe that the library reads, for the capture and for subscriptions.
    Pipe,
    /// /dev/null.
    Null,
    /// The host's.
    Inherit,
    /// This descriptor, which may be shared with other commands and stays open in the host.
    Fd(Arc<OwnedFd>),
    /// This file, opened at each spawn; a relative path counts from the host's directory. The open never waits: a FIFO
    /// that no process has opened for reading is an error with ENXIO, and a file whose lease another process keeps for
    /// longer than a second is one with EAGAIN.
    File(PathBuf, FileMode),
    /// For standard error alone: goes where standard output goes, in the exact order of writing.
    Merge,
    /// A spool: an unlinked file (in `TMPDIR`, else /tmp) that the child appends to and that the library follows.
    ///
    /// A child that opens it again by name, as `echo > /dev/stdout` does, empties it and writes from its start: the
    /// library follows it from there. Bytes that were seen to wait unread then are counted in
    /// [`Info::discarded_bytes`](crate::Info::discarded_bytes); bytes that were written and emptied before the library
    /// looked cannot be. A part that was never written, of more than a mebibyte, counts as lost, too.
    Spool,
}

/// How many bytes a spool may hold unread by default.
pub(crate) const SPOOL_MAX: u64 = 64 * 1024 * 1024;

/// Duplicates a descriptor for a child's stdio; the caller may close the original at will.
pub(crate) fn duplicate(fd: i32) -> std::result::Result<Arc<OwnedFd>, i32> {
    descriptor::duplicate_raw(fd).map(Arc::new)
}

/// Returns the descriptor itself if its number is above 2, else a duplicate above 2.
pub(super) fn above_stdio(fd: &Arc<OwnedFd>) -> std::result::Result<Arc<OwnedFd>, i32> {
    if fd.as_raw_fd() > 2 { Ok(Arc::clone(fd)) } else { descriptor::duplicate(fd.as_fd()).map(Arc::new) }
}
