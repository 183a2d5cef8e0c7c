//! Pseudo-terminals.

use super::check;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Makes a pseudo-terminal of this size. Returns the host's side and the program's side.
pub fn pty(columns: u16, rows: u16) -> (File, OwnedFd) {
    let (mut host, mut program) = (-1, -1);
    // SAFETY: two descriptors are written; name, settings and size may be NULL.
    let result = unsafe {
        libc::openpty(&raw mut host, &raw mut program, std::ptr::null_mut(), std::ptr::null(), std::ptr::null())
    };
    check(result).expect("openpty");
    // SAFETY: new descriptors that no other code knows.
    let (host, program) = unsafe { (File::from_raw_fd(host), OwnedFd::from_raw_fd(program)) };
    for fd in [host.as_raw_fd(), program.as_raw_fd()] {
        // SAFETY: sets a flag of a descriptor of ours.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).expect("close-on-exec");
    }
    resize(&program, columns, rows);
    (host, program)
}

pub fn resize(terminal: &impl AsFd, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).expect("resize");
}
