//! `coreproc_event`.

use super::spec_result::spec_state_value;
use super::status::{
    COREPROC_CAUSE_NONE, COREPROC_FLAG_DRAIN_BOUND, COREPROC_FLAG_LOST, COREPROC_FLAG_NO_NEWLINE,
    COREPROC_FLAG_PARTIAL, COREPROC_FLAG_REPLACED, cause_value, flag, status_fields,
};
use crate::{Ending, Event, EventKind, Events, ExitStatus, Stream};

/// The process runs; the first event of each process.
pub const COREPROC_EVENT_STARTED: u32 = 1;
/// It wrote to standard output.
pub const COREPROC_EVENT_STDOUT: u32 = 2;
/// It wrote to standard error.
pub const COREPROC_EVENT_STDERR: u32 = 3;
/// Its leader has ended and was reaped; output may follow.
pub const COREPROC_EVENT_EXITED: u32 = 4;
/// Nothing follows. With the flag DRAIN_BOUND, the data name the processes that still hold its
/// pipes, "PID COMMAND\n" each.
pub const COREPROC_EVENT_CLOSED: u32 = 5;
/// A run began; the first event of each run.
pub const COREPROC_EVENT_RUN_STARTED: u32 = 6;
/// An attempt of a spec of a run was started; the data are the spec's name. Its process, if it
/// could be started, has its STARTED from just before; a batch holds the events of a run or of one
/// process, so either may be taken first.
pub const COREPROC_EVENT_SPEC_STARTED: u32 = 7;
/// An attempt of a spec failed, the data say why, and another one follows.
pub const COREPROC_EVENT_SPEC_RETRYING: u32 = 8;
/// A spec ended: what comes after it may start. Output of it may follow. The data say why it did
/// not pass; they are empty if it did.
pub const COREPROC_EVENT_SPEC_ENDED: u32 = 9;
/// A run ended, and its processes are closed; its last event. exit_code is 0 for a success, else 1.
pub const COREPROC_EVENT_RUN_ENDED: u32 = 10;

/// It wrote to an output pipe above standard error, whose descriptor in the process is the event's
/// `descriptor`.
pub const COREPROC_EVENT_OUTPUT: u32 = 11;

/// Output was dropped here, because the subscription's queue was full (COREPROC_OVERFLOW). The data
/// are two decimal numbers with a space between them: the bytes, and the events that they would
/// have been.
pub const COREPROC_EVENT_OVERFLOW: u32 = 12;

/// A signal has stopped it, which is the event's `signal`: SIGTTIN or SIGTTOU if it waits for a terminal
/// whose foreground it does not have. 0 if someone else has waited for the stop, which makes the
/// kernel forget the signal. Only if its command asked for it (coreproc_command_report_stops).
pub const COREPROC_EVENT_STOPPED: u32 = 13;
/// It was stopped, and runs on. An end while it is stopped comes without.
pub const COREPROC_EVENT_CONTINUED: u32 = 14;

/// The spec of an event that is about none.
pub const COREPROC_NO_SPEC: u32 = 0xFFFF_FFFF;

/// One event of one process, or of one run. Read events by the stride that came with them: a later
/// library may append fields, and kinds, which are to be ignored.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_event {
    /// A COREPROC_EVENT value.
    pub kind: u32,
    /// COREPROC_FLAG values.
    pub flags: u32,
    /// The id of its process or run; both are numbered in one count.
    pub process_id: u64,
    /// Counts from 1 for each process, and each run, in each subscription, without gaps.
    pub sequence: u64,
    /// When it was seen, on CLOCK_MONOTONIC.
    pub monotonic_ns: u64,
    /// When it was seen, on CLOCK_REALTIME.
    pub realtime_ns: u64,
    /// The process's PID; 0 for a run.
    pub pid: i32,
    /// EXITED, CLOSED, SPEC_RETRYING, SPEC_ENDED: 0 to 255 if it exited by itself; else -1.
    /// RUN_ENDED: 0 or 1.
    pub exit_code: i32,
    /// EXITED, CLOSED, SPEC_RETRYING, SPEC_ENDED: the signal that ended it; STOPPED: that stopped it;
    /// else 0.
    pub signal: i32,
    /// EXITED, CLOSED: a COREPROC_CAUSE value; else 0.
    pub cause: u32,
    /// The bytes of an output event, or a text; no NUL follows them; never NULL; valid until the
    /// batch is freed, or during the callback.
    pub data: *const u8,
    /// The length of `data`.
    pub len: usize,
    /// The run that it belongs to; 0: none.
    pub run_id: u64,
    /// The spec of that run that it is about, by its index in the pipeline; NO_SPEC: none.
    pub spec: u32,
    /// Which attempt of the spec, from 1; 0 if there was none.
    pub attempt: u32,
    /// SPEC_ENDED: a COREPROC_SPEC value; else 0.
    pub spec_state: u32,
    /// OUTPUT: the descriptor that the process wrote to; else 0.
    pub descriptor: u32,
}

const _: () = {
    assert!(size_of::<coreproc_event>() == 96);
    assert!(std::mem::offset_of!(coreproc_event, pid) == 40);
    assert!(std::mem::offset_of!(coreproc_event, data) == 56);
    assert!(std::mem::offset_of!(coreproc_event, run_id) == 72);
};

/// What the kind of an event decides.
struct Fields {
    kind: u32,
    exit_code: i32,
    signal: i32,
    flags: u32,
    cause: u32,
    spec_state: u32,
    descriptor: u32,
}

impl Fields {
    fn of(kind: u32, status: Option<ExitStatus>) -> Fields {
        let (exit_code, signal, flags) = status_fields(status);
        Fields { kind, exit_code, signal, flags, cause: COREPROC_CAUSE_NONE, spec_state: 0, descriptor: 0 }
    }

    fn of_end(kind: u32, ending: Ending) -> Fields {
        Fields { cause: cause_value(ending.cause), ..Fields::of(kind, Some(ending.status)) }
    }

    fn with_flags(self, more: u32) -> Fields {
        Fields { flags: self.flags | more, ..self }
    }

    fn new(kind: EventKind) -> Fields {
        match kind {
            EventKind::Started => Fields::of(COREPROC_EVENT_STARTED, None),
            EventKind::Output { stream, partial, unterminated } => {
                let (kind, descriptor) = match stream {
                    Stream::Stdout => (COREPROC_EVENT_STDOUT, 0),
                    Stream::Stderr => (COREPROC_EVENT_STDERR, 0),
                    Stream::Descriptor(number) => (COREPROC_EVENT_OUTPUT, u32::from(number)),
                };
                Fields { descriptor, ..Fields::of(kind, None) }
                    .with_flags(flag(partial, COREPROC_FLAG_PARTIAL) | flag(unterminated, COREPROC_FLAG_NO_NEWLINE))
            }
            EventKind::Stopped { signal } => Fields { signal, ..Fields::of(COREPROC_EVENT_STOPPED, None) },
            EventKind::Continued => Fields::of(COREPROC_EVENT_CONTINUED, None),
            EventKind::Exited(ending) => Fields::of_end(COREPROC_EVENT_EXITED, ending),
            EventKind::Closed { ending, drain_bound } => {
                Fields::of_end(COREPROC_EVENT_CLOSED, ending).with_flags(flag(drain_bound, COREPROC_FLAG_DRAIN_BOUND))
            }
            EventKind::Overflow { .. } => Fields::of(COREPROC_EVENT_OVERFLOW, None),
            EventKind::RunStarted => Fields::of(COREPROC_EVENT_RUN_STARTED, None),
            EventKind::SpecStarted => Fields::of(COREPROC_EVENT_SPEC_STARTED, None),
            EventKind::SpecRetrying { status } => Fields::of(COREPROC_EVENT_SPEC_RETRYING, status),
            EventKind::SpecEnded { status, state } => {
                Fields { spec_state: spec_state_value(state), ..Fields::of(COREPROC_EVENT_SPEC_ENDED, status) }
            }
            EventKind::RunEnded { success } => {
                Fields { exit_code: i32::from(!success), ..Fields::of(COREPROC_EVENT_RUN_ENDED, None) }
            }
        }
    }
}

impl coreproc_event {
    /// Appends up to `max` events, which point into the batch of `from`.
    pub(super) fn convert(from: &mut Events<'_>, to: &mut Vec<coreproc_event>, max: usize) {
        from.convert(to, max, coreproc_event::new, |event, sequence, line| coreproc_event {
            sequence,
            data: line.as_ptr(),
            len: line.len(),
            ..event
        });
    }

    /// Makes an event for C, which points into `event`.
    pub(super) fn new(event: &Event<'_>) -> coreproc_event {
        let Fields { kind, exit_code, signal, flags, cause, spec_state, descriptor } = Fields::new(event.kind);
        let spec = event.part.and_then(|part| part.spec);
        coreproc_event {
            kind,
            flags: flags | flag(event.lost, COREPROC_FLAG_LOST) | flag(event.replaced, COREPROC_FLAG_REPLACED),
            process_id: event.process_id,
            sequence: event.sequence,
            monotonic_ns: event.time.monotonic_ns,
            realtime_ns: event.time.realtime_ns,
            pid: event.pid,
            exit_code,
            signal,
            cause,
            data: event.data.as_ptr(),
            len: event.data.len(),
            run_id: event.part.map_or(0, |part| part.run_id),
            spec: spec.map_or(COREPROC_NO_SPEC, |spec| u32::try_from(spec).unwrap_or(COREPROC_NO_SPEC)),
            attempt: event.part.map_or(0, |part| part.attempt),
            spec_state,
            descriptor,
        }
    }
}
