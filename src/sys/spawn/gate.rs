//! The gate: where a child waits until its parent has its pidfd, on kernels whose clone makes none.
//!
//! System calls: pidfd_open(2), waitid(2), read(2), write(2), close(2).

use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys::{pidfd, pipe, raw, retried_raw};

/// Opens the pidfd of a child that waits at its gate. A host that reaps everything may reap it at any moment, and its
/// number may then be another's: so the child, once let through, says that it has been there all the time.
pub(super) fn open_at_gate(pid: i32, gate: &OwnedFd, answer: &OwnedFd) -> Result<OwnedFd, i32> {
    let opened = pidfd::open(pid);
    // Without a reader, the child is gone, which the missing answer tells.
    let _ = pipe::write(gate, if opened.is_ok() { &[LET_THROUGH] } else { b"x" });
    if read_byte(answer) && opened.is_ok() {
        return opened;
    }
    reap_own(pid);
    opened.and(Err(libc::ECHILD))
}

/// The byte that the child at the gate waits for; at any other it ends.
const LET_THROUGH: u8 = b'>';

/// Waits for a byte; false at the end.
pub(super) fn read_byte(fd: &OwnedFd) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte.
    let read = retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd.as_raw_fd(), &raw mut byte, 1usize) });
    read == Ok(1)
}

/// Reaps a child that has ended, if this very thread has started it: by now a child of another thread may have its
/// number.
fn reap_own(pid: i32) {
    let options = libc::WEXITED | libc::__WNOTHREAD;
    let none = std::ptr::null_mut::<u8>();
    // SAFETY: neither siginfo nor rusage is asked for.
    let _ = retried_raw(|| unsafe { libc::syscall(libc::SYS_waitid, libc::P_PID, pid, none, options, none) });
}

/// Waits, in the child, until the parent has the pidfd; false if it cannot have one.
///
/// # Safety
/// In the child alone, before exec; the numbers are its copies of the ends.
pub(super) unsafe fn pass_gate([wait, open, answer]: [i32; 3]) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte each, of our copy of the stack; our copy of the other end would keep the pipe from ending.
    unsafe {
        raw::syscall3(libc::SYS_close, open as usize, 0, 0);
        raw::syscall3(libc::SYS_read, wait as usize, &raw mut byte as usize, 1);
        byte == LET_THROUGH && raw::syscall3(libc::SYS_write, answer as usize, &raw const byte as usize, 1) == 1
    }
}
