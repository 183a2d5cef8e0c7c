//! `coreproc_spec_result`.

use std::ffi::{CStr, c_char};

use super::status::status_fields;
use super::versioned::versioned;
use crate::util::duration::nanoseconds;
use crate::{SpecResult, SpecState};

/// Exit code 0.
pub const COREPROC_SPEC_PASSED: u32 = 1;
/// Another exit code, a signal, or a start that failed.
pub const COREPROC_SPEC_FAILED: u32 = 2;
/// Not started, because of what it comes after or because the run ended first; the error says
/// which.
pub const COREPROC_SPEC_SKIPPED: u32 = 3;
/// Stopped because the run was cancelled.
pub const COREPROC_SPEC_CANCELLED: u32 = 4;
/// Stopped by its own timeout.
pub const COREPROC_SPEC_TIMED_OUT: u32 = 5;

/// The result of a spec. Pointers live as long as the handle of the run that was asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_spec_result {
    /// sizeof(coreproc_spec_result), set by the caller; as much as both sides know is written.
    pub struct_size: u32,
    /// A COREPROC_SPEC value.
    pub state: u32,
    /// The exit code of its last attempt: 0 to 255 if it exited by itself; else -1.
    pub exit_code: i32,
    /// The signal that ended its last attempt; else 0.
    pub signal: i32,
    /// COREPROC_FLAG values: STATUS_UNKNOWN, CORE_DUMPED.
    pub flags: u32,
    /// How often it was started, failed starts included.
    pub attempts: u32,
    /// 1 if its failure is allowed, else 0.
    pub allow_failure: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its name, which ends with a NUL.
    pub name: *const c_char,
    /// The length of `name` without the NUL.
    pub name_len: usize,
    /// Why it did not pass, such as `skipped: "build" failed`, or "" if it did; ends with a NUL.
    pub error: *const c_char,
    /// The length of `error` without the NUL.
    pub error_len: usize,
    /// What the capture of its last attempt holds, both streams in order of arrival; never NULL.
    pub output: *const u8,
    /// The length of `output`.
    pub output_len: usize,
    /// Bytes of its output that the capture does not hold.
    pub dropped_bytes: u64,
    /// When its first attempt was started, on CLOCK_MONOTONIC; 0 if none was.
    pub started_monotonic_ns: u64,
    /// When its first attempt was started, on CLOCK_REALTIME; 0 if none was.
    pub started_realtime_ns: u64,
    /// The time from the start of its first attempt to the end of its last.
    pub duration_ns: u64,
}

versioned!(coreproc_spec_result, 112);
const _: () = assert!(size_of::<coreproc_spec_result>() == 112);

impl coreproc_spec_result {
    /// Makes a result for C, which points into the arguments.
    pub(super) fn new(struct_size: u32, result: &SpecResult, name: &CStr, error: &CStr) -> coreproc_spec_result {
        let (exit_code, signal, flags) = status_fields(result.status);
        coreproc_spec_result {
            struct_size,
            state: spec_state_value(result.state),
            exit_code,
            signal,
            flags,
            attempts: result.attempts,
            allow_failure: u32::from(result.allow_failure),
            reserved: 0,
            name: name.as_ptr(),
            name_len: name.count_bytes(),
            error: error.as_ptr(),
            error_len: error.count_bytes(),
            output: result.output.as_ptr(),
            output_len: result.output.len(),
            dropped_bytes: result.dropped_bytes,
            started_monotonic_ns: result.started.map_or(0, |started| started.monotonic_ns),
            started_realtime_ns: result.started.map_or(0, |started| started.realtime_ns),
            duration_ns: nanoseconds(result.duration),
        }
    }
}

pub(super) fn spec_state_value(state: SpecState) -> u32 {
    match state {
        SpecState::Passed => COREPROC_SPEC_PASSED,
        SpecState::Failed => COREPROC_SPEC_FAILED,
        SpecState::Skipped => COREPROC_SPEC_SKIPPED,
        SpecState::Cancelled => COREPROC_SPEC_CANCELLED,
        SpecState::TimedOut => COREPROC_SPEC_TIMED_OUT,
    }
}
