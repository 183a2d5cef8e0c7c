//! Sizes and durations, of which 0 is the default and the maximum is no limit.

use std::time::Duration;

use crate::process::SPOOL_MAX;
use crate::{Drain, Size};

/// For sizes and durations: no limit, or never, as the field says. 0 is the default.
pub const COREPROC_UNLIMITED: u64 = 0xFFFF_FFFF_FFFF_FFFF;
/// For captures, which always have a limit: keeps nothing. To keep everything, ask for INT64_MAX
/// bytes; memory is taken as output comes.
pub const COREPROC_CAPTURE_NONE: u64 = 0xFFFF_FFFF_FFFF_FFFF;

pub(super) fn capture(bytes: u64) -> Size {
    match bytes {
        0 => Size::Default,
        COREPROC_CAPTURE_NONE => Size::None,
        bytes => Size::Bytes(bytes),
    }
}

pub(super) fn duration(ms: u64, default: Duration) -> Duration {
    match ms {
        0 => default,
        COREPROC_UNLIMITED => Duration::MAX,
        ms => Duration::from_millis(ms),
    }
}

/// Takes a duration whose default is no limit.
pub(super) fn at_most(ms: u64) -> Option<Duration> {
    match ms {
        0 | COREPROC_UNLIMITED => None,
        ms => Some(Duration::from_millis(ms)),
    }
}

/// Takes the timeout of a command.
pub(super) fn timeout(ms: u64) -> Duration {
    at_most(ms).unwrap_or(Duration::MAX)
}

pub(super) fn spool_max(bytes: u64) -> u64 {
    if bytes == 0 { SPOOL_MAX } else { bytes }
}

/// Takes a number of bytes whose default is no limit.
pub(super) fn most(bytes: u64) -> u64 {
    if bytes == 0 { COREPROC_UNLIMITED } else { bytes }
}

/// Takes a count or a size; the maximum is no limit.
pub(super) fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

pub(super) fn drain(silence_ms: u64, total_ms: u64) -> Drain {
    let default = Drain::default();
    Drain { silence: duration(silence_ms, default.silence), total: duration(total_ms, default.total) }
}
