//! Terminals: whether a descriptor is one, and its size.
//!
//! System calls: isatty(3), ioctl(2) with TIOCGWINSZ.

use std::os::fd::{AsRawFd, OwnedFd};

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
