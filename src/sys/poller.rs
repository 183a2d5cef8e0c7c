//! An edge-triggered epoll in which any thread may wait, and a second one around it, in which the supervisor
//! waits for the first: that can be switched off and on again with one system call and without waking the
//! supervisor, while another thread waits in its place.
//!
//! Each event goes to exactly one thread. A descriptor is forgotten before it is closed, because a child
//! between clone and exec still holds a copy that would go on reporting; tokens are never reused.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Error, Result};

/// How many events one wait takes.
pub(crate) const BATCH: usize = 32;

/// What to watch a descriptor for.
#[derive(Clone, Copy)]
pub(crate) enum Interest {
    Readable,
    Writable,
}

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
}

pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: OwnedFd,
    /// Watches `epoll` and `supervisor_waker`.
    outer: OwnedFd,
    supervisor_waker: OwnedFd,
}

impl Poller {
    /// `waker_token` is the token of what [`Poller::wake`] reports.
    pub(crate) fn new(waker_token: u64) -> Result<Poller> {
        Poller::open(waker_token).map_err(|errno| Error::system("open service", "epoll", errno))
    }

    fn open(waker_token: u64) -> std::result::Result<Poller, i32> {
        // SAFETY: no pointers; new descriptors.
        let poller = unsafe {
            Poller {
                epoll: checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                waker: checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?,
                outer: checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                supervisor_waker: checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?,
            }
        };
        let readable = libc::EPOLLIN as u32;
        control(&poller.epoll, libc::EPOLL_CTL_ADD, &poller.waker, waker_token, readable | EDGE)?;
        control(&poller.outer, libc::EPOLL_CTL_ADD, &poller.epoll, 0, readable)?;
        control(&poller.outer, libc::EPOLL_CTL_ADD, &poller.supervisor_waker, 1, readable | EDGE)?;
        Ok(poller)
    }

    /// Reports `fd` under `token` from now on, at once if it is ready already.
    pub(crate) fn watch(&self, fd: &impl AsFd, token: u64, interest: Interest) -> std::result::Result<(), i32> {
        control(&self.epoll, libc::EPOLL_CTL_ADD, fd, token, interest.events())
    }

    /// Reports again what is ready now: for whoever stopped reading before the end.
    pub(crate) fn rearm(&self, fd: &impl AsFd, token: u64, interest: Interest) {
        // It is watched, so this cannot fail.
        let _ = control(&self.epoll, libc::EPOLL_CTL_MOD, fd, token, interest.events());
    }

    pub(crate) fn forget(&self, fd: &impl AsFd) {
        // SAFETY: no event is passed; a descriptor that is not watched is ENOENT.
        unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_fd().as_raw_fd(), std::ptr::null_mut())
        };
    }

    /// Wakes a thread that waits beside the supervisor, or the next one that does.
    pub(crate) fn wake(&self) {
        raise(&self.waker);
    }

    /// Empties the waker's counter, which would otherwise be full one day.
    pub(crate) fn clear_wake(&self) {
        lower(&self.waker);
    }

    /// Wakes the supervisor, whoever waits beside it.
    pub(crate) fn wake_supervisor(&self) {
        raise(&self.supervisor_waker);
    }

    /// While off, the supervisor sleeps through all events.
    pub(crate) fn switch_supervisor(&self, on: bool) {
        let events = if on { libc::EPOLLIN as u32 } else { 0 };
        // It is watched, so this cannot fail.
        let _ = control(&self.outer, libc::EPOLL_CTL_MOD, &self.epoll, 0, events);
    }

    /// The supervisor's wait: until there are events and it is switched on, or until it is woken.
    pub(crate) fn wait_as_supervisor(&self, events: &mut Events) {
        wait(&self.outer, events, -1);
        if events.iter().any(|(token, _)| token == 1) {
            lower(&self.supervisor_waker);
        }
        self.wait(events, 0);
    }

    /// Waits up to `timeout_ms` (-1: for ever).
    pub(crate) fn wait(&self, events: &mut Events, timeout_ms: i32) {
        wait(&self.epoll, events, timeout_ms);
    }
}

/// What a host's event loop watches in place of a [`Poller::wait`] that waits: readable while that would bring
/// something, and for ever after [`Window::end`]. An epoll of its own around the poller's: an end reported by the
/// poller itself could be taken by the supervisor before the host's loop has seen it.
pub(crate) struct Window {
    epoll: OwnedFd,
    end: OwnedFd,
}

impl Window {
    pub(crate) fn on(poller: &Poller) -> std::result::Result<Window, i32> {
        // SAFETY: no pointers; new descriptors.
        let window = unsafe {
            Window {
                epoll: checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                end: checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?,
            }
        };
        let readable = libc::EPOLLIN as u32;
        control(&window.epoll, libc::EPOLL_CTL_ADD, &poller.epoll, 0, readable)?;
        control(&window.epoll, libc::EPOLL_CTL_ADD, &window.end, 1, readable)?;
        Ok(window)
    }

    /// What comes to the poller from now on is not for the host.
    pub(crate) fn end(&self, poller: &Poller) {
        raise(&self.end);
        // It is watched, or was ended before.
        let _ = control(&self.epoll, libc::EPOLL_CTL_DEL, &poller.epoll, 0, 0);
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

const EDGE: u32 = libc::EPOLLET as u32;

impl Interest {
    fn events(self) -> u32 {
        EDGE | match self {
            Interest::Readable => libc::EPOLLIN | libc::EPOLLRDHUP,
            Interest::Writable => libc::EPOLLOUT,
        } as u32
    }
}

/// The raw call: libc's is a cancellation point, and this may be the host's thread.
fn wait(epoll: &OwnedFd, events: &mut Events, timeout_ms: i32) {
    // SAFETY: the array has room for BATCH events; no signal mask.
    let n = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait,
            epoll.as_raw_fd(),
            events.raw.as_mut_ptr(),
            BATCH,
            timeout_ms,
            std::ptr::null::<u8>(),
            8usize,
        )
    };
    // EINTR is a wait that brought nothing.
    events.count = usize::try_from(n).unwrap_or(0);
}

fn control(
    epoll: &OwnedFd,
    operation: libc::c_int,
    fd: &impl AsFd,
    token: u64,
    events: u32,
) -> std::result::Result<(), i32> {
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: a live event; the kernel checks the descriptors.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_fd().as_raw_fd(), &mut event) };
    if result == 0 { Ok(()) } else { Err(super::errno()) }
}

/// A full counter is a pending wake-up; every write raises the edge.
fn raise(eventfd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight bytes.
    unsafe { libc::syscall(libc::SYS_write, eventfd.as_raw_fd(), &raw const one, size_of::<u64>()) };
}

fn lower(eventfd: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: eight bytes.
    unsafe { libc::syscall(libc::SYS_read, eventfd.as_raw_fd(), &raw mut count, size_of::<u64>()) };
}

/// # Safety
/// `fd` is a new descriptor or negative.
unsafe fn checked(fd: i32) -> std::result::Result<OwnedFd, i32> {
    if fd < 0 {
        return Err(super::errno());
    }
    // SAFETY: the caller's promise.
    super::pipe::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })
}
