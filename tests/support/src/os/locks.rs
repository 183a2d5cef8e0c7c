//! Locks and leases on files.

use super::check;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};

/// Takes a lease: from now on an open of this file for writing waits, or fails with EWOULDBLOCK, and SIGIO asks this
/// process.
pub fn take_lease(file: &File) {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) }).expect("lease");
}

/// Waits until another process opens the file, and gives the lease up.
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

/// Takes the write lock of a file's open file description, if no other has a lock. Returns whether it did.
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

/// Takes the read lock of a file.
pub fn lock_for_reading(file: &File) {
    assert!(try_lock_for_reading(file), "no read lock");
}

/// Does the same if no other has a write lock. Returns whether it did.
pub fn try_lock_for_reading(file: &File) -> bool {
    let lock = whole(libc::F_RDLCK);
    // SAFETY: a valid flock.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }).is_ok()
}

/// Returns whether another open file description has a lock on the file.
pub fn is_locked(file: &File) -> bool {
    let mut lock = whole(libc::F_WRLCK);
    // SAFETY: a valid flock, which the call writes to.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) }).expect("get lock");
    i32::from(lock.l_type) != libc::F_UNLCK
}
