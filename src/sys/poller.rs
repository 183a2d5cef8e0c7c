//! An edge-triggered epoll in which any thread may wait, and a second one around it, in which the supervisor
//! waits for the first: that can be switched off and on again with one system call and without waking the
//! supervisor, while another thread waits in its place.
//!
//! The host may close our descriptors (`closefrom(3)`). Nobody who waits in an epoll is told of that, and the numbers
//! may be the host's own at once. So there is a pipe whose writing end nobody writes to: when that is closed, its
//! reading end reports it, in the poller too, for as long as the supervisor waits for it, because a wait by `poll(2)`
//! holds what it waits for. From then on nothing here touches a descriptor.
//!
//! Each event goes to exactly one thread. A descriptor is forgotten before it is closed, because a child
//! between clone and exec still holds a copy that would go on reporting; tokens are never reused.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// The token of an event that says that the host closed our descriptors.
pub(crate) const LOST: u64 = u64::MAX;

pub(crate) struct Poller {
    /// Not closed once they are lost: the numbers may be the host's.
    fds: ManuallyDrop<Fds>,
    lost: AtomicBool,
}

struct Fds {
    epoll: OwnedFd,
    waker: OwnedFd,
    /// Watches `epoll`.
    outer: OwnedFd,
    supervisor_waker: OwnedFd,
    trip: OwnedFd,
    trip_end: OwnedFd,
    /// Device and inode of that pipe, which no other file has.
    trip_identity: (u64, u64),
}

impl Drop for Poller {
    fn drop(&mut self) {
        if !self.is_lost() {
            // SAFETY: once, and nobody uses them any more.
            unsafe { ManuallyDrop::drop(&mut self.fds) };
        }
    }
}

impl Poller {
    /// `waker_token` is the token of what [`Poller::wake`] reports.
    pub(crate) fn new(waker_token: u64) -> Result<Poller> {
        Poller::open(waker_token).map_err(|errno| Error::system("open service", "epoll", errno))
    }

    fn open(waker_token: u64) -> std::result::Result<Poller, i32> {
        let (trip, trip_end) = super::pipe::pipe()?;
        super::pipe::set_nonblocking(&trip_end)?;
        let trip_identity = identity(&trip_end).ok_or(libc::EBADF)?;
        // SAFETY: no pointers; new descriptors.
        let fds = unsafe {
            Fds {
                epoll: checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                waker: checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?,
                outer: checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                supervisor_waker: checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?,
                trip,
                trip_end,
                trip_identity,
            }
        };
        let readable = libc::EPOLLIN as u32;
        control(&fds.epoll, libc::EPOLL_CTL_ADD, &fds.waker, waker_token, readable | EDGE)?;
        control(&fds.epoll, libc::EPOLL_CTL_ADD, &fds.trip, LOST, readable)?;
        control(&fds.outer, libc::EPOLL_CTL_ADD, &fds.epoll, 0, readable)?;
        Ok(Poller { fds: ManuallyDrop::new(fds), lost: AtomicBool::new(false) })
    }

    /// Did the host close our descriptors, as far as is known?
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Looks whether the number of a descriptor is still ours.
    pub(crate) fn is_intact(&self) -> bool {
        !self.is_lost() && identity(&self.fds.trip_end) == Some(self.fds.trip_identity)
    }

    /// From now on no descriptor is touched; whoever waits is woken.
    pub(crate) fn lose(&self) {
        if self.is_intact() {
            // Others of them are gone, and this one is level-triggered.
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
        control(&self.fds.epoll, libc::EPOLL_CTL_ADD, fd, token, interest.events())
    }

    /// Reports again what is ready now: for whoever stopped reading before the end.
    pub(crate) fn rearm(&self, fd: &impl AsFd, token: u64, interest: Interest) {
        if !self.is_lost() {
            // It is watched, so this cannot fail.
            let _ = control(&self.fds.epoll, libc::EPOLL_CTL_MOD, fd, token, interest.events());
        }
    }

    pub(crate) fn forget(&self, fd: &impl AsFd) {
        if self.is_lost() {
            return;
        }
        let (epoll, fd) = (self.fds.epoll.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: no event is passed; a descriptor that is not watched is ENOENT.
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }

    /// Wakes a thread that waits beside the supervisor, or the next one that does.
    pub(crate) fn wake(&self) {
        if !self.is_lost() {
            raise(&self.fds.waker);
        }
    }

    /// Empties the waker's counter, which would otherwise be full one day.
    pub(crate) fn clear_wake(&self) {
        if !self.is_lost() {
            lower(&self.fds.waker);
        }
    }

    /// Wakes the supervisor, whoever waits beside it.
    pub(crate) fn wake_supervisor(&self) {
        if !self.is_lost() {
            raise(&self.fds.supervisor_waker);
        }
    }

    /// While off, the supervisor sleeps through all events.
    pub(crate) fn switch_supervisor(&self, on: bool) {
        let events = if on { libc::EPOLLIN as u32 } else { 0 };
        if !self.is_lost() {
            // It is watched, so this cannot fail.
            let _ = control(&self.fds.outer, libc::EPOLL_CTL_MOD, &self.fds.epoll, 0, events);
        }
    }

    /// The supervisor's wait: until there are events and it is switched on, or until it is woken, or until `timer`,
    /// switched on or not. Was it that? An error: the descriptors are lost.
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
            lower(supervisor_waker);
        }
        self.wait(events, 0)?;
        Ok(due)
    }

    /// Waits up to `timeout_ms` (-1: for ever). An error: the descriptors are lost.
    pub(crate) fn wait(&self, events: &mut Events, timeout_ms: i32) -> std::result::Result<(), i32> {
        events.count = 0;
        if self.is_lost() {
            return Err(libc::EBADF);
        }
        if timeout_ms != 0 {
            // While it lasts it keeps the files alive, so that a close is seen by each that waits.
            let [tripped, ready] = poll([self.fds.trip.as_raw_fd(), self.fds.epoll.as_raw_fd()], timeout_ms)?;
            if tripped {
                return Err(libc::EBADF);
            }
            if !ready {
                return Ok(());
            }
        }
        take(&self.fds.epoll, events)
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
        control(&window.epoll, libc::EPOLL_CTL_ADD, &poller.fds.epoll, 0, readable)?;
        control(&window.epoll, libc::EPOLL_CTL_ADD, &window.end, 1, readable)?;
        Ok(window)
    }

    /// What comes to the poller from now on is not for the host.
    pub(crate) fn end(&self, poller: &Poller) {
        if poller.is_lost() {
            return;
        }
        raise(&self.end);
        // It is watched, or was ended before.
        let _ = control(&self.epoll, libc::EPOLL_CTL_DEL, &poller.fds.epoll, 0, 0);
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

/// ppoll(2): which of these are readable, or at their end; a negative number is passed over. None of them after a signal.
/// The raw call: libc's is a cancellation point, and this may be the host's thread.
fn poll<const N: usize>(fds: [i32; N], timeout_ms: i32) -> std::result::Result<[bool; N], i32> {
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

/// What an epoll has now. By the raw call, too.
fn take(epoll: &OwnedFd, events: &mut Events) -> std::result::Result<(), i32> {
    // SAFETY: the array has room for BATCH events; no signal mask.
    let n = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait,
            epoll.as_raw_fd(),
            events.raw.as_mut_ptr(),
            BATCH,
            0i32,
            std::ptr::null::<u8>(),
            8usize,
        )
    };
    let errno = if n < 0 { super::errno() } else { 0 };
    events.count = usize::try_from(n).unwrap_or(0);
    // EINTR is a wait that brought nothing.
    if errno == 0 || errno == libc::EINTR { Ok(()) } else { Err(errno) }
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

/// Device and inode of the file behind a number; None when it is not open.
fn identity(fd: &OwnedFd) -> Option<(u64, u64)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: room for a stat, which is only read when the call filled it.
    unsafe {
        (libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) == 0).then(|| {
            let stat = stat.assume_init();
            (stat.st_dev, stat.st_ino)
        })
    }
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
