//! [`Epoll`]: the calls of epoll(7), and ppoll(2) beside it.
//!
//! Waiting goes by raw calls: libc's are cancellation points, and the thread may be the host's.
//! System calls: epoll_create1(2), epoll_ctl(2), epoll_pwait(2), ppoll(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::descriptor::{Result, above_stdio};
use super::errno;

/// How many events one wait takes.
const BATCH: usize = 32;

pub(super) const READABLE: u32 = libc::EPOLLIN as u32;
pub(super) const EDGE: u32 = libc::EPOLLET as u32;

/// The events of one wait: token, and whether it was a hang-up.
pub(crate) struct Events {
    raw: [libc::epoll_event; BATCH],
    count: usize,
}

impl Events {
    pub(crate) fn new() -> Events {
        Events { raw: [libc::epoll_event { events: 0, u64: 0 }; BATCH], count: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, bool)> {
        self.raw[..self.count].iter().map(|e| (e.u64, e.events & libc::EPOLLHUP as u32 != 0))
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }
}

/// An epoll of ours.
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> Result<Epoll> {
        // SAFETY: no pointers; a new descriptor.
        let fd = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(errno());
            }
            OwnedFd::from_raw_fd(fd)
        };
        above_stdio(fd).map(Epoll)
    }

    /// Reports `fd` under `token` from now on.
    pub(super) fn add(&self, fd: &impl AsFd, token: u64, events: u32) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, events)
    }

    /// Changes what a watched descriptor is reported for, and reports again what is ready now.
    pub(super) fn modify(&self, fd: &impl AsFd, token: u64, events: u32) {
        // The descriptor is watched, so this cannot fail.
        let _ = self.control(libc::EPOLL_CTL_MOD, fd, token, events);
    }

    /// Stops reporting `fd`. One that is not watched is ENOENT, which is fine.
    pub(super) fn remove(&self, fd: &impl AsFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, operation: libc::c_int, fd: &impl AsFd, token: u64, events: u32) -> Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: a live event; the kernel checks the descriptors.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_fd().as_raw_fd(), &mut event) };
        if result == 0 { Ok(()) } else { Err(errno()) }
    }

    /// Takes what is ready now, without waiting.
    pub(super) fn take(&self, events: &mut Events) -> Result<()> {
        // SAFETY: the array has room for BATCH events; no signal mask.
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                self.0.as_raw_fd(),
                events.raw.as_mut_ptr(),
                BATCH,
                0i32,
                std::ptr::null::<u8>(),
                8usize,
            )
        };
        let errno = if n < 0 { errno() } else { 0 };
        events.count = usize::try_from(n).unwrap_or(0);
        // EINTR counts as a wait that brought nothing.
        if errno == 0 || errno == libc::EINTR { Ok(()) } else { Err(errno) }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// Waits up to `timeout_ms` (-1: for ever) and tells which of these are readable, or at their end; a negative number is
/// passed over. None of them after a signal. EBADF if one is not open.
pub(super) fn poll<const N: usize>(fds: [i32; N], timeout_ms: i32) -> Result<[bool; N]> {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let left = i64::from(timeout_ms.max(0));
    let mut time = libc::timespec { tv_sec: left / 1000, tv_nsec: left % 1000 * 1_000_000 };
    let timeout = if timeout_ms < 0 { std::ptr::null_mut() } else { &raw mut time };
    // SAFETY: live entries, and a live time, which the kernel changes, or none; no signal mask.
    let n = unsafe { libc::syscall(libc::SYS_ppoll, polled.as_mut_ptr(), N, timeout, std::ptr::null::<u8>(), 8usize) };
    if n <= 0 {
        return Ok([false; N]);
    }
    if polled.iter().any(|entry| entry.revents & libc::POLLNVAL != 0) {
        return Err(libc::EBADF);
    }
    Ok(polled.map(|entry| entry.revents != 0))
}
