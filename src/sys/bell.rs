//! [`Bell`]: a pipe that only says "look", for event loops of hosts, some of which accept no eventfd.
//!
//! System calls: pipe2(2), read(2), write(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::descriptor::{Result, set_nonblocking};
use super::pipe::pipe;
use super::retried_raw;

/// A pipe that is readable while the bell rings.
pub(crate) struct Bell {
    read: OwnedFd,
    /// The write end; None after the end.
    write: Option<OwnedFd>,
}

impl Bell {
    pub(crate) fn new() -> Result<Bell> {
        let (read, write) = pipe()?;
        set_nonblocking(&read)?;
        set_nonblocking(&write)?;
        Ok(Bell { read, write: Some(write) })
    }

    /// Makes the read end readable. The reader is ours, so there is no SIGPIPE; a full pipe is readable.
    pub(crate) fn ring(&self) {
        if let Some(write) = &self.write {
            // SAFETY: one byte from a live buffer.
            let _ = retried_raw(|| unsafe { libc::syscall(libc::SYS_write, write.as_raw_fd(), b"!".as_ptr(), 1usize) });
        }
    }

    /// Empties the pipe.
    pub(crate) fn hush(&self) {
        let mut sink = [0u8; 64];
        let (fd, length) = (self.read.as_raw_fd(), sink.len());
        // SAFETY: the sink is as long as said.
        while retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd, sink.as_mut_ptr(), length) }) == Ok(length) {}
    }

    /// Closes the write end, so that the pipe is readable for ever.
    pub(crate) fn end(&mut self) {
        self.write = None;
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
