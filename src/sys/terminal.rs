//! Terminals: whether a descriptor is one, its size, its settings, and the group in its foreground.
//!
//! System calls: isatty(3), ioctl(2) with TIOCGWINSZ, TIOCGPGRP and TIOCSPGRP, tcgetattr(3), tcsetattr(3), getpgrp(2).

use std::os::fd::{AsRawFd, OwnedFd};

use super::descriptor::Result;
use super::errno;
use super::signal::AllBlocked;

/// The settings of a terminal.
#[derive(Clone, Copy)]
pub(crate) struct Settings(pub(super) libc::termios);

/// Returns whether it is a terminal: isatty(3).
pub(crate) fn is_terminal(fd: &OwnedFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// Columns and rows; None if it has no size, or says zero.
pub(crate) fn size(fd: &OwnedFd) -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// Returns the settings, whichever side of a pseudo-terminal the descriptor is of.
pub(crate) fn settings(fd: &OwnedFd) -> Result<Settings> {
    // SAFETY: zeros are a valid termios, which tcgetattr fills.
    unsafe {
        let mut settings = std::mem::zeroed();
        check(libc::tcgetattr(fd.as_raw_fd(), &raw mut settings))?;
        Ok(Settings(settings))
    }
}

/// Applies settings at once: to wait until output has drained could mean to wait for ever.
pub(crate) fn apply(fd: &OwnedFd, settings: &Settings) -> Result<()> {
    // Without SIGTTOU, which would stop a host in the background.
    let _blocked = AllBlocked::new();
    // SAFETY: reads one termios.
    check(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const settings.0) }).map(|_| ())
}

/// Returns the group of this process.
pub(crate) fn own_group() -> i32 {
    nix::unistd::getpgrp().as_raw()
}

/// Returns the group in the foreground. ENOTTY if it is not this process's controlling terminal.
pub(crate) fn foreground_group(fd: &OwnedFd) -> Result<i32> {
    // SAFETY: no pointers.
    check(unsafe { libc::tcgetpgrp(fd.as_raw_fd()) })
}

/// Brings a group of this session to the foreground. A group in the background may do so while SIGTTOU is blocked.
pub(crate) fn set_foreground_group(fd: &OwnedFd, group: i32) -> Result<()> {
    let _blocked = AllBlocked::new();
    // SAFETY: no pointers.
    check(unsafe { libc::tcsetpgrp(fd.as_raw_fd(), group) }).map(|_| ())
}

fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 { Err(errno()) } else { Ok(result) }
}
