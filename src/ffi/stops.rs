//! Whether a process is stopped, and told.

use std::mem::MaybeUninit;
use std::time::Duration;

use super::call::call;
use super::command::{coreproc_command, set};
use super::error::{coreproc_error, coreproc_result};
use super::limit::duration;
use super::process::coreproc_process;

/// Has it told when a signal stops the process and when it runs on: by the events STOPPED and
/// CONTINUED, and in coreproc_process_info. A process in the background that reads from its terminal
/// is stopped by SIGTTIN.
///
/// No descriptor tells it and SIGCHLD belongs to the host, so the service looks once in each
/// `interval_ms` (0: 100; UNLIMITED: only when coreproc_process_look_for_stops asks), by waitid(2)
/// and /proc/PID/stat. A host that waits for such changes itself may miss those that the service has
/// seen. Both events alternate, and a stop that is over when the service looks is not told. While
/// more waits for a subscriber than its queue is to hold, the service does not look.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_report_stops(
    command: Option<&mut coreproc_command>,
    interval_ms: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.report_stops(duration(interval_ms, Duration::ZERO))))
}

/// Looks at once whether it is stopped, or runs on, and tells it as coreproc_command_report_stops says:
/// for a host that gets SIGCHLD itself. Not for a signal handler. Fine once it has ended. Thread-safe.
///
/// Errors: INVALID_ARGUMENT if its command did not ask for reports of stops.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_look_for_stops(
    process: Option<&coreproc_process>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("look for stops", err, |op| op.handle("process", process)?.0.look_for_stops())
}
