//! [`Descriptor`]: what a process finds at a descriptor above standard error.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::stdio::FileMode;

/// The number of standard input.
pub(super) const STDIN: u16 = 0;
/// The first descriptor that is no standard stream; `SD_LISTEN_FDS_START` of systemd.
pub(super) const FIRST: u16 = 3;
/// What a process finds at a descriptor above standard error: see [`Command::descriptor`](crate::Command::descriptor).
///
/// ```
/// use coreproc::{Command, Descriptor, Service, ServiceOptions, Stream};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let mut command = Command::new("bash");
/// command.args(["-c", "read -u 3 line; echo \"got $line\" >&4; cat <&5"]);
/// command.descriptor(3, Descriptor::Input).descriptor(4, Descriptor::Output);
/// command.descriptor(5, Descriptor::Data(b"on standard output\n".to_vec().into()));
/// let process = command.spawn(&service)?;
/// process.write_descriptor(3, b"a question\n", None)?;
/// process.close_descriptor(3)?;
/// process.wait(None)?;
/// assert_eq!(process.captured(Some(Stream::Descriptor(4)))?.tail, b"got a question\n");
/// assert_eq!(process.output()?, b"on standard output\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Descriptor {
    /// A pipe that the library reads. Its output comes in events whose stream is
    /// [`Stream::Descriptor`](crate::Stream::Descriptor), and is kept in a capture of its own, of the command's size,
    /// for [`Process::captured`](crate::Process::captured). Like the standard outputs, it is read to
    /// its end before the process counts as closed.
    Output,
    /// A pipe for [`Process::write_descriptor`](crate::Process::write_descriptor).
    Input,
    /// A pipe with these bytes and then the end, as for [`Stdin::Data`](crate::Stdin::Data).
    Data(Arc<Vec<u8>>),
    /// This descriptor, which may be shared with other commands and stays open in the host.
    Fd(Arc<OwnedFd>),
    /// This file, opened for reading as [`Stdin::File`](crate::Stdin::File) is.
    ReadFile(PathBuf),
    /// This file, opened for writing as [`Output::File`](crate::Output::File) is.
    WriteFile(PathBuf, FileMode),
}

/// A socket of [`Command::listen_fd`](crate::Command::listen_fd).
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) name: CString,
}
