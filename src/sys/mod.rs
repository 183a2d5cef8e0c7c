//! The only code that talks to the kernel. Everything here is a thin, typed wrapper of system calls; what
//! they are used for is decided above. File descriptors are born close-on-exec and above 2.

#![allow(unsafe_code)]

pub(crate) mod buffer;
pub(crate) mod cancel;
pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod handler;
pub(crate) mod identity;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod poller;
pub(crate) mod procfs;
mod raw;
pub(crate) mod reserve;
pub(crate) mod signal;
#[cfg(feature = "health")]
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod spool;
pub(crate) mod strings;
pub(crate) mod terminal;
pub(crate) mod thread;
pub(crate) mod timer;

/// The calling thread's errno.
pub(crate) fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}
