//! Locks and leases on files.

use super::check;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};

/// From now on who opens this file for writing has to wait, or is told to, and SIGIO asks us.
pub fn take_lease(file: &File) {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) }).expect("lease");
}

/// Waits until somebody wants the file, and gives the lease up.
pub fn give_lease_up_when_asked(file: &File) {
    // SAFETY: no pointers.
    let lease = || check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) }).expect("lease");
    crate::eventually("somebody wants the file", || lease() == libc::F_UNLCK);
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) }).expect("lease");
}

fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Takes a file's open-file-description write lock, if nobody has one.
pub fn lock_file(fd: RawFd) -> bool {
    let lock = whole(libc::F_WRLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }).is_ok()
}

pub fn unlock_file(fd: RawFd) {
    let lock = whole(libc::F_UNLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) }).expect("unlock");
}

/// Takes its read lock.
pub fn lock_for_reading(file: &File) {
    assert!(try_lock_for_reading(file), "no read lock");
}

/// The same, if nobody has a write lock.
pub fn try_lock_for_reading(file: &File) -> bool {
    let lock = whole(libc::F_RDLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }).is_ok()
}

/// Does somebody else have a lock on it?
pub fn is_locked(file: &File) -> bool {
    let mut lock = whole(libc::F_WRLCK);
    // SAFETY: a valid flock, which the call writes to.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) }).expect("get lock");
    i32::from(lock.l_type) != libc::F_UNLCK
}
