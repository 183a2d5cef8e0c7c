//! How a process ended, as events and infos carry it.

use crate::{Cause, ExitStatus};

/// It has not ended.
pub const COREPROC_CAUSE_NONE: u32 = 0;
/// It ended by itself, or by a signal that was sent as such.
pub const COREPROC_CAUSE_NATURAL: u32 = 1;
/// It was stopped.
pub const COREPROC_CAUSE_STOPPED: u32 = 2;
/// It was killed.
pub const COREPROC_CAUSE_KILLED: u32 = 3;
/// Its timeout stopped it.
pub const COREPROC_CAUSE_TIMEOUT: u32 = 4;
/// It was stopped because the run that it is part of was cancelled.
pub const COREPROC_CAUSE_CANCELLED: u32 = 5;
/// It was stopped because it wrote nothing in the time for its first output.
pub const COREPROC_CAUSE_START_TIMEOUT: u32 = 6;
/// It was stopped because it wrote nothing for too long.
pub const COREPROC_CAUSE_SILENCE: u32 = 7;
/// It was stopped because it used more CPU time than it may.
pub const COREPROC_CAUSE_CPU_TIME: u32 = 8;
/// It was stopped because it wrote more than it may.
pub const COREPROC_CAUSE_OUTPUT_LIMIT: u32 = 9;

/// The host reaped the child and the kernel could not tell how it ended: exit_code is -1, signal is
/// 0.
pub const COREPROC_FLAG_STATUS_UNKNOWN: u32 = 1;
/// The signal that ended it left a core dump.
pub const COREPROC_FLAG_CORE_DUMPED: u32 = 2;
/// A piece of a line that is longer than the maximum: the next event of this stream continues it.
pub const COREPROC_FLAG_PARTIAL: u32 = 4;
/// The last line, which had no "\n".
pub const COREPROC_FLAG_NO_NEWLINE: u32 = 8;
/// It was closed at the drain bound: another process still holds its output pipes.
pub const COREPROC_FLAG_DRAIN_BOUND: u32 = 16;
/// Output before this event was lost, because there was no memory for it.
pub const COREPROC_FLAG_LOST: u32 = 32;
/// In an info: the kernel refuses the signal of a stop, a timeout or a close, usually because the
/// process has become another user's. The signal is tried again until it is taken or the process
/// ends.
pub const COREPROC_FLAG_STOP_REFUSED: u32 = 64;
/// Bytes of this output that are no UTF-8 were replaced by U+FFFD (COREPROC_ENCODING_UTF8).
pub const COREPROC_FLAG_REPLACED: u32 = 128;

/// Returns exit code, signal and flags of a status.
pub(super) fn status_fields(status: Option<ExitStatus>) -> (i32, i32, u32) {
    match status {
        None => (-1, 0, 0),
        Some(ExitStatus::Code(code)) => (code, 0, 0),
        Some(ExitStatus::Signal { signal, core_dumped }) => (-1, signal, flag(core_dumped, COREPROC_FLAG_CORE_DUMPED)),
        Some(ExitStatus::Unknown) => (-1, 0, COREPROC_FLAG_STATUS_UNKNOWN),
    }
}

pub(super) fn cause_value(cause: Cause) -> u32 {
    match cause {
        Cause::Natural => COREPROC_CAUSE_NATURAL,
        Cause::Stopped => COREPROC_CAUSE_STOPPED,
        Cause::Killed => COREPROC_CAUSE_KILLED,
        Cause::Timeout => COREPROC_CAUSE_TIMEOUT,
        Cause::Cancelled => COREPROC_CAUSE_CANCELLED,
        Cause::StartTimeout => COREPROC_CAUSE_START_TIMEOUT,
        Cause::Silence => COREPROC_CAUSE_SILENCE,
        Cause::CpuTime => COREPROC_CAUSE_CPU_TIME,
        Cause::OutputLimit => COREPROC_CAUSE_OUTPUT_LIMIT,
    }
}

/// Returns the flag if it is set, else 0.
pub(super) fn flag(set: bool, flag: u32) -> u32 {
    if set { flag } else { 0 }
}
