//! The only code that talks to the kernel. Everything here is a thin, typed wrapper of system calls; what
//! they are used for is decided above. File descriptors are born close-on-exec and above 2.

#![allow(unsafe_code)]

pub(crate) mod address;
pub(crate) mod buffer;
pub(crate) mod cancel;
pub(crate) mod clock;
pub(crate) mod deliver;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod handler;
pub(crate) mod identity;
#[cfg(feature = "health")]
pub(crate) mod limits;
pub(crate) mod outlet;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod poller;
pub(crate) mod private;
pub(crate) mod procfs;
mod raw;
pub(crate) mod redirect;
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

/// Makes a system call again for as long as a signal interrupts it (EINTR). Which of the host's handlers restart calls
/// (SA_RESTART) is the host's business, and not every call can be restarted: whatever may wait goes through here.
pub(crate) fn retried<T, E: Interrupts>(mut call: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    loop {
        match call() {
            Err(error) if error.is_interrupted() => {}
            result => return result,
        }
    }
}

/// [`retried`], of a raw call that says -1 and errno.
pub(crate) fn retried_raw(mut call: impl FnMut() -> libc::c_long) -> Result<usize, i32> {
    retried(|| nix::errno::Errno::result(call())).map(|result| result as usize).map_err(|errno| errno as i32)
}

/// What failed calls say.
pub(crate) trait Interrupts {
    /// Was it a signal that came first?
    fn is_interrupted(&self) -> bool;
}

impl Interrupts for nix::errno::Errno {
    fn is_interrupted(&self) -> bool {
        *self == nix::errno::Errno::EINTR
    }
}

impl Interrupts for std::io::Error {
    fn is_interrupted(&self) -> bool {
        self.kind() == std::io::ErrorKind::Interrupted
    }
}

/// The calling thread's errno.
pub(crate) fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}
