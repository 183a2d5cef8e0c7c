//! [`Address`]: a process or a group to which the kernel sends signals, and that stays the same when its number is
//! given to another process.
//!
//! It is the owner of a descriptor (`F_SETOWN_EX`, Linux 2.6.32): the kernel resolves the number when the owner is set
//! and keeps the process or group that it found, not the number. A byte written to the pipe then sends the owner the
//! signal of our choice (`F_SETSIG`, `O_ASYNC`), before write(2) returns, to all members of a group in one step.
//!
//! System calls: fcntl(2), "Managing signals"; pipe2(2), read(2), write(2), capget(2), geteuid(2).

use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use super::descriptor::{FileIdentity, set_nonblocking};
use super::{errno, pipe};

/// Which processes get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The process itself.
    Process,
    /// The process group that it leads.
    Group,
}

/// A pipe whose owner is the process or the group.
pub(crate) struct Address {
    /// The end that has the owner.
    read: ManuallyDrop<OwnedFd>,
    write: ManuallyDrop<OwnedFd>,
    /// The identity of the pipe: its descriptors may name other files once the host has closed them.
    identity: FileIdentity,
}

const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_PID: libc::c_int = 1;
const F_OWNER_PGRP: libc::c_int = 2;

/// `struct f_owner_ex` of fcntl.h.
#[repr(C)]
struct OwnerEx {
    kind: libc::c_int,
    number: libc::pid_t,
}

impl Address {
    /// Makes an address without an owner.
    pub(crate) fn new() -> Result<Address, i32> {
        let (read, write) = pipe::pipe()?;
        set_nonblocking(&read)?;
        set_nonblocking(&write)?;
        let identity = FileIdentity::of(&read).ok_or(libc::EBADF)?;
        Ok(Address { read: ManuallyDrop::new(read), write: ManuallyDrop::new(write), identity })
    }

    /// Returns whether its descriptors are still its own.
    pub(crate) fn is_intact(&self) -> bool {
        self.identity.is_behind(&self.read) && self.identity.is_behind(&self.write)
    }

    /// Makes the process or group that has this number now the owner; ESRCH if none has it.
    pub(crate) fn set(&self, target: Target, number: i32) -> Result<(), i32> {
        let kind = if target == Target::Group { F_OWNER_PGRP } else { F_OWNER_PID };
        self.own(&OwnerEx { kind, number })
    }

    /// Takes the owner away.
    pub(crate) fn clear(&self) {
        let _ = self.own(&OwnerEx { kind: F_OWNER_PID, number: 0 });
    }

    fn own(&self, owner: &OwnerEx) -> Result<(), i32> {
        // SAFETY: a live structure, which the kernel reads.
        let result = unsafe { libc::fcntl(self.read.as_raw_fd(), F_SETOWN_EX, &raw const *owner) };
        if result == 0 { Ok(()) } else { Err(errno()) }
    }

    /// Sends the owner a signal other than 0. The kernel does not tell whether the signal was permitted: see
    /// [`Address::reaches_all`].
    pub(crate) fn send(&self, signal: i32) -> Result<(), i32> {
        if !self.is_intact() {
            return Err(libc::EBADF);
        }
        self.control(F_SETSIG, signal)?;
        self.control(libc::F_SETFL, libc::O_NONBLOCK | libc::O_ASYNC)?;
        let written = pipe::write(&self.write, b"!");
        // From now on nothing that happens to the pipe sends a signal.
        self.control(libc::F_SETFL, libc::O_NONBLOCK)?;
        let mut sink = [0u8; 1];
        // SAFETY: one byte; the pipe does not block.
        unsafe { libc::syscall(libc::SYS_read, self.read.as_raw_fd(), sink.as_mut_ptr(), sink.len()) };
        written.map(drop)
    }

    fn control(&self, command: libc::c_int, argument: libc::c_int) -> Result<(), i32> {
        // SAFETY: takes no pointers.
        let result = unsafe { libc::fcntl(self.read.as_raw_fd(), command, argument) };
        if result < 0 { Err(errno()) } else { Ok(()) }
    }

    /// Returns whether [`Address::send`] reaches all processes that kill(2) would. Both compare user ids alike; but
    /// kill(2) asks for CAP_KILL, and an address for user 0 of the first user namespace: root in a container with a
    /// user namespace has CAP_KILL and is not that user.
    pub(crate) fn reaches_all() -> bool {
        // SAFETY: no arguments; always succeeds.
        let is_root = unsafe { libc::geteuid() } == 0;
        // The order matters: the file is read while descriptors are left.
        (in_first_user_namespace() && is_root) || !may_kill_others()
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        if self.is_intact() {
            // SAFETY: once, and nothing uses them afterwards.
            unsafe {
                ManuallyDrop::drop(&mut self.read);
                ManuallyDrop::drop(&mut self.write);
            }
        }
    }
}

/// Returns whether user ids here are those of the first user namespace. True if /proc does not tell: nothing else could
/// be done then.
fn in_first_user_namespace() -> bool {
    /// 0: not known; 1: no; 2: yes.
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    let known = KNOWN.load(Ordering::Relaxed);
    if known != 0 {
        return known == 2;
    }
    let Ok(map) = super::file::read_text("/proc/self/uid_map") else { return true };
    let is_first = map.split_whitespace().eq(["0", "0", "4294967295"]);
    KNOWN.store(1 + u8::from(is_first), Ordering::Relaxed);
    is_first
}

/// Returns whether this thread has CAP_KILL, by capget(2); true if the kernel does not tell.
fn may_kill_others() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    const CAP_KILL: u32 = 5;
    let mut header = [VERSION_3, 0];
    // Effective, permitted, inheritable; twice 32.
    let mut sets = [0u32; 6];
    // SAFETY: the structures of version 3: a version and a thread (0: this one), and two times three words.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    result != 0 || sets[0] & (1 << CAP_KILL) != 0
}
