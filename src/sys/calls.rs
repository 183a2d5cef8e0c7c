//! How system calls fail: made again when a signal interrupts them, and the errno. See signal(7), errno(3).

/// Makes a system call again for as long as a signal interrupts it (EINTR). Which of the host's handlers restart calls
/// (SA_RESTART) is the host's business, and not every call can be restarted: every call that may wait goes through
/// here.
pub(crate) fn retried<T, E: Interrupts>(mut call: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    loop {
        match call() {
            Err(error) if error.is_interrupted() => {}
            result => return result,
        }
    }
}

/// Like [`retried`], for a raw call that fails with -1 and errno.
pub(crate) fn retried_raw(mut call: impl FnMut() -> libc::c_long) -> Result<usize, i32> {
    retried(|| nix::errno::Errno::result(call())).map(|result| result as usize).map_err(|errno| errno as i32)
}

/// The errors of calls that a signal may interrupt.
pub(crate) trait Interrupts {
    /// Returns whether a signal came first.
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

/// Returns the calling thread's errno.
pub(crate) fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}
