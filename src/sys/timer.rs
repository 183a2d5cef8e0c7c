//! One timerfd on CLOCK_MONOTONIC.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::pipe::above_stdio;
use crate::error::{Error, Result};

/// A timer that becomes readable at a deadline; for an edge-triggered poller, which needs no read.
pub(crate) struct Timer(OwnedFd);

impl Timer {
    pub(crate) fn new() -> Result<Timer> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
            .map_err(|e| Error::system("open service", "timerfd", e as i32))?;
        Ok(Timer(above_stdio(timer.into()).map_err(|e| Error::system("open service", "timerfd", e))?))
    }

    /// Arms it for `deadline_ns` on CLOCK_MONOTONIC, or disarms it.
    pub(crate) fn set(&self, deadline_ns: Option<u64>) {
        let at = deadline_ns.map_or(0, |ns| ns.max(1));
        let value = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec { tv_sec: (at / 1_000_000_000) as i64, tv_nsec: (at % 1_000_000_000) as i64 },
        };
        // SAFETY: the descriptor is ours, the value is initialised and normalised.
        unsafe { libc::timerfd_settime(self.0.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &value, std::ptr::null_mut()) };
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
