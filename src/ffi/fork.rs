//! The beginning of a child of fork.

use super::guard;
use crate::after_fork_child;

/// Lets the child of a fork(2) of the host use the library anew: from then on it can open services
/// of its own, spawn, subscribe, wait, and run pipelines. Call it in the child, on its only thread,
/// before any other call of the library, or have pthread_atfork(3) call it; anywhere else it does
/// nothing.
///
/// What was made before the fork stays the parent's: its calls return FORKED, and to free it does
/// nothing. So do daemons and what belongs to them (PID files, registries, health servers), which
/// work only in the process that first used the library. The fork must be libc's.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_after_fork_child() {
    guard::get((), after_fork_child);
}
