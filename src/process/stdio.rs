//! [`Stdin`] and [`Output`]: where a child's standard streams come from and go to.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crate::sys::pipe;

/// A child's standard input.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// /dev/null.
    #[default]
    Null,
    /// A pipe: [`Process::write_stdin`].
    Pipe,
    /// The host's. If that is a terminal, the child has to be in the host's group to read from it: see
    /// [`Command::group`].
    Inherit,
    /// This descriptor.
    Fd(Arc<OwnedFd>),
    /// This file, opened for reading at each spawn, from the host's directory, and never waited for: a FIFO that
    /// nobody has opened for writing (where a shell would wait) is an error with ENXIO, a file whose lease somebody
    /// keeps for longer than a second one with EAGAIN. To wait for a writer, open the FIFO and give the descriptor.
    File(PathBuf),
}

/// How an output file is opened; it is created with 0666 less the host's umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// Emptied first.
    Truncate,
    /// Added to.
    Append,
}

/// A child's standard output or standard error.
#[derive(Clone, Debug, Default)]
pub enum Output {
    /// A pipe that we read; for a detached command, a spool.
    #[default]
    Default,
    /// A pipe that we read.
    Pipe,
    /// /dev/null.
    Null,
    /// The host's.
    Inherit,
    /// This descriptor.
    Fd(Arc<OwnedFd>),
    /// This file, opened at each spawn, from the host's directory, and never waited for: a FIFO that nobody has opened
    /// for reading is an error with ENXIO, a file whose lease somebody keeps for longer than a second one with EAGAIN.
    File(PathBuf, FileMode),
    /// Standard error alone: wherever standard output goes, in the exact order of writing.
    Merge,
    /// An unlinked file (in `TMPDIR`, else /tmp) that the child appends to and that we follow.
    ///
    /// A child that opens it again by name, as `echo > /dev/stdout` does, empties it and writes from its start: it is
    /// followed from there. What was seen to wait unread then is counted in
    /// [`Info::discarded_bytes`](crate::Info::discarded_bytes); what was written and emptied before it was looked at cannot be. A part
    /// that was never written, of more than a mebibyte, counts as lost, too.
    Spool,
}

/// How many bytes a spool may hold unread unless told otherwise.
pub(crate) const SPOOL_MAX: u64 = 64 * 1024 * 1024;

/// A duplicate for a child's stdio that the caller may close at will.
pub(crate) fn duplicate(fd: i32) -> std::result::Result<Arc<OwnedFd>, i32> {
    pipe::duplicate_raw(fd).map(Arc::new)
}

/// The descriptor itself if its number is above 2, else a duplicate whose number is.
pub(super) fn above_stdio(fd: &Arc<OwnedFd>) -> std::result::Result<Arc<OwnedFd>, i32> {
    if fd.as_raw_fd() > 2 { Ok(Arc::clone(fd)) } else { pipe::duplicate(fd.as_fd()).map(Arc::new) }
}
