//! [`EventFd`]: a counter that is readable while it is not zero; it wakes a thread that waits in a poller.
//!
//! System calls: eventfd(2), read(2), write(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::descriptor::{Result, above_stdio};
use super::errno;

pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn new() -> Result<EventFd> {
        // SAFETY: no pointers; a new descriptor.
        let fd = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(errno());
            }
            OwnedFd::from_raw_fd(fd)
        };
        above_stdio(fd).map(EventFd)
    }

    /// Adds to the counter. A full one is a pending wake-up; every write raises the edge.
    pub(super) fn raise(&self) {
        let one = 1u64;
        // SAFETY: eight bytes.
        unsafe { libc::syscall(libc::SYS_write, self.0.as_raw_fd(), &raw const one, size_of::<u64>()) };
    }

    /// Sets the counter back to zero.
    pub(super) fn lower(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes.
        unsafe { libc::syscall(libc::SYS_read, self.0.as_raw_fd(), &raw mut count, size_of::<u64>()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
