//! [`Poller`]: an edge-triggered epoll in which any thread may wait, and a second one around it, in which the
//! supervisor waits for the first. That wait can be switched off and on again with one system call, without waking the
//! supervisor, while another thread waits in its place.
//!
//! The host may close our descriptors (`closefrom(3)`). A thread that waits in an epoll is not told of that, and the
//! numbers may be the host's own at once. So there is a tripwire: a pipe that nothing is written to. When its write end
//! is closed, its read end reports it, in the poller too, for as long as the supervisor waits for it, because poll(2)
//! holds the files that it waits for. From then on nothing here touches a descriptor.
//!
//! Each event goes to exactly one thread. A descriptor of which more could be reported is forgotten before it is closed,
//! because a child between clone and exec still holds a copy; tokens are never reused.
//!
//! System calls: those of epoll(7), ppoll(2), eventfd(2), pipe2(2), fstat(2).

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::descriptor::{FileIdentity, set_nonblocking};
pub(crate) use super::epoll::Events;
use super::epoll::{EDGE, Epoll, READABLE, poll};
use super::eventfd::EventFd;
use super::pipe::pipe;
use crate::error::{Error, Result};

/// The events for which a descriptor is watched.
#[derive(Clone, Copy)]
pub(crate) enum Interest {
    Readable,
    Writable,
    /// A change of a file of /proc or of a cgroup (EPOLLPRI).
    Changed,
}

impl Interest {
    fn events(self) -> u32 {
        EDGE | match self {
            Interest::Readable => libc::EPOLLIN | libc::EPOLLRDHUP,
            Interest::Writable => libc::EPOLLOUT,
            Interest::Changed => libc::EPOLLPRI,
        } as u32
    }
}

/// The token of an event that says that the host closed our descriptors.
pub(crate) const LOST: u64 = u64::MAX;

pub(crate) struct Poller {
    /// The descriptors, which are not closed once they are lost: the numbers may be the host's.
    fds: ManuallyDrop<Fds>,
    lost: AtomicBool,
}

struct Fds {
    epoll: Epoll,
    waker: EventFd,
    /// The epoll around `epoll`, in which the supervisor waits.
    outer: Epoll,
    supervisor_waker: EventFd,
    /// The read end of the tripwire.
    trip: OwnedFd,
    trip_end: OwnedFd,
    trip_identity: FileIdentity,
}

impl Drop for Poller {
    fn drop(&mut self) {
        if !self.is_lost() {
            // SAFETY: once, and nothing uses them afterwards.
            unsafe { ManuallyDrop::drop(&mut self.fds) };
        }
    }
}

impl Poller {
    /// Opens a poller. `waker_token` is the token under which [`Poller::wake`] is reported.
    pub(crate) fn new(waker_token: u64) -> Result<Poller> {
        Poller::open(waker_token).map_err(|errno| Error::system("open service", "epoll", errno))
    }

    fn open(waker_token: u64) -> std::result::Result<Poller, i32> {
        let (trip, trip_end) = pipe()?;
        set_nonblocking(&trip_end)?;
        let trip_identity = FileIdentity::of(&trip_end).ok_or(libc::EBADF)?;
        let fds = Fds {
            epoll: Epoll::new()?,
            waker: EventFd::new()?,
            outer: Epoll::new()?,
            supervisor_waker: EventFd::new()?,
            trip,
            trip_end,
            trip_identity,
        };
        fds.epoll.add(&fds.waker, waker_token, READABLE | EDGE)?;
        fds.epoll.add(&fds.trip, LOST, READABLE)?;
        fds.outer.add(&fds.epoll, 0, READABLE)?;
        Ok(Poller { fds: ManuallyDrop::new(fds), lost: AtomicBool::new(false) })
    }

    pub(super) fn epoll(&self) -> &Epoll {
        &self.fds.epoll
    }

    /// Returns whether the host is known to have closed our descriptors.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Looks whether the number of a descriptor is still ours.
    pub(crate) fn is_intact(&self) -> bool {
        !self.is_lost() && self.fds.trip_identity.is_behind(&self.fds.trip_end)
    }

    /// Stops using the descriptors, and wakes every thread that waits.
    pub(crate) fn lose(&self) {
        if self.is_intact() {
            // Some of the others are gone, and this one is level-triggered.
            let one = 1u8;
            // SAFETY: one byte, to a pipe that is ours and does not block.
            unsafe { libc::syscall(libc::SYS_write, self.fds.trip_end.as_raw_fd(), &raw const one, 1usize) };
        }
        self.lost.store(true, Ordering::Release);
    }

    /// Reports `fd` under `token` from now on, at once if it is ready already.
    pub(crate) fn watch(&self, fd: &impl AsFd, token: u64, interest: Interest) -> std::result::Result<(), i32> {
        if self.is_lost() {
            return Err(libc::EBADF);
        }
        self.fds.epoll.add(fd, token, interest.events())
    }

    /// Reports again what is ready now, for a reader that stopped before the end.
    pub(crate) fn rearm(&self, fd: &impl AsFd, token: u64, interest: Interest) {
        if !self.is_lost() {
            self.fds.epoll.modify(fd, token, interest.events());
        }
    }

    /// Stops reporting `fd`.
    pub(crate) fn forget(&self, fd: &impl AsFd) {
        if !self.is_lost() {
            self.fds.epoll.remove(fd);
        }
    }

    /// Wakes a thread that waits beside the supervisor, or the next one that does.
    pub(crate) fn wake(&self) {
        if !self.is_lost() {
            self.fds.waker.raise();
        }
    }

    /// Empties the waker's counter before it is full.
    pub(crate) fn clear_wake(&self) {
        if !self.is_lost() {
            self.fds.waker.lower();
        }
    }

    /// Wakes the supervisor, whatever thread waits beside it.
    pub(crate) fn wake_supervisor(&self) {
        if !self.is_lost() {
            self.fds.supervisor_waker.raise();
        }
    }

    /// Switches the supervisor's wait on or off. While it is off, the supervisor sleeps through all events.
    pub(crate) fn switch_supervisor(&self, on: bool) {
        if !self.is_lost() {
            self.fds.outer.modify(&self.fds.epoll, 0, if on { READABLE } else { 0 });
        }
    }

    /// Waits as the supervisor: until there are events and it is switched on, or until it is woken, or until `timer`,
    /// switched on or not. True if it was the timer. An error means that the descriptors are lost.
    pub(crate) fn wait_as_supervisor(
        &self,
        events: &mut Events,
        timer: Option<BorrowedFd<'_>>,
    ) -> std::result::Result<bool, i32> {
        if self.is_lost() {
            return Err(libc::EBADF);
        }
        let Fds { outer, supervisor_waker, trip, .. } = &*self.fds;
        // A negative number is passed over.
        let timer = timer.map_or(-1, |timer| timer.as_raw_fd());
        let [tripped, _, woken, due] =
            poll([trip.as_raw_fd(), outer.as_raw_fd(), supervisor_waker.as_raw_fd(), timer], -1)?;
        if tripped {
            return Err(libc::EBADF);
        }
        if woken {
            supervisor_waker.lower();
        }
        self.wait(events, 0)?;
        Ok(due)
    }

    /// Waits up to `timeout_ms` (-1: for ever). An error means that the descriptors are lost.
    pub(crate) fn wait(&self, events: &mut Events, timeout_ms: i32) -> std::result::Result<(), i32> {
        events.clear();
        if self.is_lost() {
            return Err(libc::EBADF);
        }
        if timeout_ms != 0 {
            // While it lasts, it keeps the files alive, so that each thread that waits sees a close.
            let [tripped, ready] = poll([self.fds.trip.as_raw_fd(), self.fds.epoll.as_raw_fd()], timeout_ms)?;
            if tripped {
                return Err(libc::EBADF);
            }
            if !ready {
                return Ok(());
            }
        }
        self.fds.epoll.take(events)
    }
}
