//! [`after_fork_child`]: how a child of the host's fork begins again.

use crate::runtime::leave_callback;
use crate::sys::fork;

/// Lets the child of a `fork(2)` of the host use the library anew: from then on it can open services of its own, spawn,
/// subscribe, wait, and run pipelines. Call it in the child, on its only thread, before any other call of the library;
/// anywhere else it does nothing.
///
/// What was made before the fork stays the parent's: its calls return [`Forked`](crate::ErrorKind::Forked), and to drop it
/// does nothing to the parent's processes. So do daemons and what belongs to them (PID files, the registry, health
/// servers), which work only in the process that first used the library. What the parent's threads were changing at the
/// fork is never used: the child makes it anew.
///
/// The fork must be libc's, which keeps `malloc(3)` usable and runs `pthread_atfork(3)` handlers. A bare `clone(2)` of a
/// process with threads leaves nothing usable.
///
/// ```
/// // In a process that is no child of fork it does nothing.
/// coreproc::after_fork_child();
/// ```
pub fn after_fork_child() {
    if fork::happened() {
        leave_callback();
        fork::begin_again();
    }
}
