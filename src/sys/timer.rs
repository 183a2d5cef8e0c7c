//! [`Timer`]: one timerfd on CLOCK_MONOTONIC.
//!
//! System calls: timerfd_create(2), timerfd_settime(2).

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::descriptor::above_stdio;
use crate::error::{Error, Result};

/// A timer that becomes readable at a deadline; for an edge-triggered poller, which needs no read.
pub(crate) struct Timer {
    fd: ManuallyDrop<OwnedFd>,
    lost: AtomicBool,
}

impl Timer {
    pub(crate) fn new() -> Result<Timer> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
            .map_err(|e| Error::system("open service", "timerfd", e as i32))?;
        let fd = above_stdio(timer.into()).map_err(|e| Error::system("open service", "timerfd", e))?;
        Ok(Timer { fd: ManuallyDrop::new(fd), lost: AtomicBool::new(false) })
    }

    /// Arms it for `deadline_ns` on CLOCK_MONOTONIC, or disarms it.
    pub(crate) fn set(&self, deadline_ns: Option<u64>) {
        if self.lost.load(Ordering::Acquire) {
            return;
        }
        let at = deadline_ns.map_or(0, |ns| ns.max(1));
        let value = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec { tv_sec: (at / 1_000_000_000) as i64, tv_nsec: (at % 1_000_000_000) as i64 },
        };
        // SAFETY: the descriptor is ours, the value is initialised and normalised.
        unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &value, std::ptr::null_mut()) };
    }

    /// Stops using the descriptor: the host has closed it, and the number may be its own.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if !self.lost.load(Ordering::Acquire) {
            // SAFETY: once, and nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
