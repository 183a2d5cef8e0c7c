//! `coreproc_subscription` and `coreproc_batch`.

use std::ffi::c_void;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::process::{
    COREPROC_CAUSE_NONE, COREPROC_FLAG_DRAIN_BOUND, COREPROC_FLAG_LOST, COREPROC_FLAG_NO_NEWLINE,
    COREPROC_FLAG_PARTIAL, cause_value, coreproc_process, status_fields,
};
use super::service::coreproc_service;
use crate::error::{Error, Result};
use crate::{
    Batch, Delivery, Ending, Event, EventKind, Lifecycle, SpecState, Stream, Subscription, SubscriptionOptions,
    SubscriptionScope,
};

/// Output as it was read.
pub const COREPROC_DELIVERY_CHUNKS: u32 = 1;
/// One event a line, without its "\n"; a "\r" before it is kept. The default.
pub const COREPROC_DELIVERY_LINES: u32 = 2;
/// No output: lifecycle events alone.
pub const COREPROC_DELIVERY_NONE: u32 = 3;

/// Every lifecycle event. The default.
pub const COREPROC_LIFECYCLE_ALL: u32 = 1;
/// The last event of each process (CLOSED) and of each run (RUN_ENDED) alone, for callers that wait for ends; of a run's
/// processes also the first (STARTED), because nobody else tells of them.
pub const COREPROC_LIFECYCLE_ENDS: u32 = 2;

/// Every process of the service that is spawned, and every run that is started, after the subscription opened.
/// The default.
pub const COREPROC_SUBSCRIBE_ALL: u32 = 1;
/// Processes whose command named it (coreproc_command_subscribe), and runs whose options did, with their
/// processes.
pub const COREPROC_SUBSCRIBE_NAMED: u32 = 2;

/// The process runs; the first event of each process.
pub const COREPROC_EVENT_STARTED: u32 = 1;
/// It wrote to standard output.
pub const COREPROC_EVENT_STDOUT: u32 = 2;
/// It wrote to standard error.
pub const COREPROC_EVENT_STDERR: u32 = 3;
/// Its leader ended and was reaped; output may follow.
pub const COREPROC_EVENT_EXITED: u32 = 4;
/// Nothing follows. With the flag DRAIN_BOUND, the data name who still holds its pipes, "PID COMMAND\n" each.
pub const COREPROC_EVENT_CLOSED: u32 = 5;
/// A run began; the first event of each run.
pub const COREPROC_EVENT_RUN_STARTED: u32 = 6;
/// An attempt of a spec of a run was started; the data are the spec's name. Its process, if it could be started, has
/// its STARTED from just before; batches hold the events of a run or of one process, so either may be taken first.
pub const COREPROC_EVENT_SPEC_STARTED: u32 = 7;
/// An attempt of a spec failed, the data say why, and another one follows.
pub const COREPROC_EVENT_SPEC_RETRYING: u32 = 8;
/// A spec ended: what comes after it may start. Output of it may follow. The data say why it did not pass;
/// they are empty when it did.
pub const COREPROC_EVENT_SPEC_ENDED: u32 = 9;
/// A run ended, and its processes are closed; its last event. exit_code is 0 for a success, else 1.
pub const COREPROC_EVENT_RUN_ENDED: u32 = 10;

/// Of events, where no spec is meant.
pub const COREPROC_NO_SPEC: u32 = 0xFFFF_FFFF;

/// Exit code 0.
pub const COREPROC_SPEC_PASSED: u32 = 1;
/// Another exit code, a signal, or a start that failed.
pub const COREPROC_SPEC_FAILED: u32 = 2;
/// Not started, because of what it comes after or because the run ended first; the error says which.
pub const COREPROC_SPEC_SKIPPED: u32 = 3;
/// Stopped because the run was cancelled.
pub const COREPROC_SPEC_CANCELLED: u32 = 4;
/// Stopped by its own timeout.
pub const COREPROC_SPEC_TIMED_OUT: u32 = 5;

/// A stream of the events of processes. Shared: reference-counted, thread-safe. Freeing the last reference
/// closes it, without waiting.
pub struct coreproc_subscription(pub(super) Subscription);

/// What a subscription wants. Zero is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_subscription_options {
    /// sizeof(coreproc_subscription_options).
    pub struct_size: u32,
    /// A COREPROC_SUBSCRIBE value (0: ALL).
    pub scope: u32,
    /// A COREPROC_DELIVERY value (0: LINES).
    pub delivery: u32,
    /// A COREPROC_LIFECYCLE value (0: ALL).
    pub lifecycle: u32,
    /// Bytes that may wait for each process (0: 1 MiB; UNLIMITED: any). When so many wait, that child's pipes are not read,
    /// and the kernel slows it; no other child is affected. One read, or one line, may go beyond it.
    pub queue_bytes: u64,
    /// Longest line, without its "\n" (0: 1 MiB). A longer one arrives in pieces of this size.
    pub max_line_bytes: u64,
}

/// One event of one process, or of one run. Read events by the stride that came with them: a later library may append
/// fields, and kinds, which are to be ignored.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_event {
    /// A COREPROC_EVENT value.
    pub kind: u32,
    /// COREPROC_FLAG values.
    pub flags: u32,
    /// Whose event it is: a process's id, or a run's, which are of one count.
    pub process_id: u64,
    /// Counts from 1 for each process, and each run, in each subscription, without gaps.
    pub sequence: u64,
    /// When it was seen, on CLOCK_MONOTONIC.
    pub monotonic_ns: u64,
    /// When it was seen, on CLOCK_REALTIME.
    pub realtime_ns: u64,
    /// The process's PID; 0 for a run.
    pub pid: i32,
    /// EXITED, CLOSED, SPEC_RETRYING, SPEC_ENDED: 0 to 255 when it exited by itself; else -1. RUN_ENDED: 0 or 1.
    pub exit_code: i32,
    /// EXITED, CLOSED, SPEC_RETRYING, SPEC_ENDED: the signal that ended it; else 0.
    pub signal: i32,
    /// EXITED, CLOSED: a COREPROC_CAUSE value; else 0.
    pub cause: u32,
    /// The bytes of an output event, or a text; no NUL follows them; never NULL; valid until the batch is freed, or
    /// during the callback.
    pub data: *const u8,
    /// How many they are.
    pub len: usize,
    /// The run that it is of; 0: none.
    pub run_id: u64,
    /// The spec of that run that it is about, by its index in the pipeline; NO_SPEC: none.
    pub spec: u32,
    /// Which attempt of the spec, from 1; 0 where there was none.
    pub attempt: u32,
    /// SPEC_ENDED: a COREPROC_SPEC value; else 0.
    pub spec_state: u32,
    /// 0.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<coreproc_event>() == 96);
    assert!(std::mem::offset_of!(coreproc_event, pid) == 40);
    assert!(std::mem::offset_of!(coreproc_event, data) == 56);
    assert!(std::mem::offset_of!(coreproc_event, run_id) == 72);
    assert!(size_of::<coreproc_subscription_options>() == 32);
    assert!(size_of::<super::service::coreproc_service_options>() == 32);
    assert!(size_of::<super::service::coreproc_stop_options>() == 24);
    assert!(size_of::<super::process::coreproc_process_info>() == 104);
};

/// Runs on the subscription's thread, `coreproc-dsp`, for a batch of consecutive events of one process, never
/// twice at once. `events` is the first of `count`, `stride` bytes apart; they are valid during the call. It
/// must not throw or longjmp. Inside it no call may wait: those that would return DEADLOCK.
pub type coreproc_callback =
    Option<unsafe extern "C" fn(events: *const coreproc_event, count: usize, stride: usize, user_data: *mut c_void)>;

/// Runs exactly once, after the last callback, also when listen itself fails.
pub type coreproc_destroy = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Consecutive events of one process. While it is out, no other taker gets events of that process. Owned by
/// whoever took it; one thread at a time.
pub struct coreproc_batch {
    /// Point into `batch`.
    events: Vec<coreproc_event>,
    batch: Batch,
}

// SAFETY: the pointers in `events` are to memory that `batch` owns and nobody changes.
unsafe impl Send for coreproc_batch {}

fn event_of(event: &Event<'_>) -> coreproc_event {
    let ended = |ending: Ending| {
        let (exit_code, signal, flags) = status_fields(Some(ending.status));
        (exit_code, signal, flags, cause_value(ending.cause))
    };
    let of_status = |status| {
        let (exit_code, signal, flags) = status_fields(status);
        (exit_code, signal, flags, COREPROC_CAUSE_NONE)
    };
    let none = of_status(None);
    let (kind, (exit_code, signal, flags, cause)) = match event.kind {
        EventKind::Started => (COREPROC_EVENT_STARTED, none),
        EventKind::Output { stream, partial, unterminated } => {
            let kind = if stream == Stream::Stdout { COREPROC_EVENT_STDOUT } else { COREPROC_EVENT_STDERR };
            let flag = |set: bool, flag: u32| if set { flag } else { 0 };
            let flags = flag(partial, COREPROC_FLAG_PARTIAL) | flag(unterminated, COREPROC_FLAG_NO_NEWLINE);
            (kind, (-1, 0, flags, COREPROC_CAUSE_NONE))
        }
        EventKind::Exited(ending) => (COREPROC_EVENT_EXITED, ended(ending)),
        EventKind::Closed { ending, drain_bound } => {
            let (exit_code, signal, flags, cause) = ended(ending);
            let bound = if drain_bound { COREPROC_FLAG_DRAIN_BOUND } else { 0 };
            (COREPROC_EVENT_CLOSED, (exit_code, signal, flags | bound, cause))
        }
        EventKind::RunStarted => (COREPROC_EVENT_RUN_STARTED, none),
        EventKind::SpecStarted => (COREPROC_EVENT_SPEC_STARTED, none),
        EventKind::SpecRetrying { status } => (COREPROC_EVENT_SPEC_RETRYING, of_status(status)),
        EventKind::SpecEnded { status, .. } => (COREPROC_EVENT_SPEC_ENDED, of_status(status)),
        EventKind::RunEnded { success } => (COREPROC_EVENT_RUN_ENDED, (i32::from(!success), 0, 0, COREPROC_CAUSE_NONE)),
    };
    let spec_state = match event.kind {
        EventKind::SpecEnded { state, .. } => spec_state_value(state),
        _ => 0,
    };
    let spec = event.part.and_then(|part| part.spec);
    let lost = if event.lost { COREPROC_FLAG_LOST } else { 0 };
    coreproc_event {
        kind,
        flags: flags | lost,
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
        reserved: 0,
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

/// # Safety
/// `options` is NULL or valid for reads of the size that it states.
unsafe fn subscription_options(
    operation: &'static str,
    options: *const coreproc_subscription_options,
) -> Result<SubscriptionOptions> {
    let zero = coreproc_subscription_options {
        struct_size: 0,
        scope: 0,
        delivery: 0,
        lifecycle: 0,
        queue_bytes: 0,
        max_line_bytes: 0,
    };
    // SAFETY: the caller's promise; plain data.
    let options = unsafe { guard::options(operation, options, 32, zero)? };
    Ok(SubscriptionOptions {
        scope: match options.scope {
            0 | COREPROC_SUBSCRIBE_ALL => SubscriptionScope::All,
            COREPROC_SUBSCRIBE_NAMED => SubscriptionScope::Named,
            other => return Err(guard::unknown(operation, "scope", other)),
        },
        delivery: match options.delivery {
            0 | COREPROC_DELIVERY_LINES => Delivery::Lines,
            COREPROC_DELIVERY_CHUNKS => Delivery::Chunks,
            COREPROC_DELIVERY_NONE => Delivery::None,
            other => return Err(guard::unknown(operation, "delivery", other)),
        },
        lifecycle: match options.lifecycle {
            0 | COREPROC_LIFECYCLE_ALL => Lifecycle::All,
            COREPROC_LIFECYCLE_ENDS => Lifecycle::Ends,
            other => return Err(guard::unknown(operation, "lifecycle", other)),
        },
        queue_bytes: options.queue_bytes,
        max_line_bytes: options.max_line_bytes,
    })
}

/// Opens a stream of events to take from. `options` may be NULL. `*out` is to be freed with
/// coreproc_subscription_free. Thread-safe. Errors: INVALID_ARGUMENT, CLOSED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_open(
    service: *mut coreproc_service,
    options: *const coreproc_subscription_options,
    out: *mut *mut coreproc_subscription,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "subscribe";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let service = guard::handle(OPERATION, "service", service)?;
            let out = guard::out(OPERATION, out)?;
            let subscription = service.0.subscribe(subscription_options(OPERATION, options)?)?;
            out.write(Box::into_raw(Box::new(coreproc_subscription(subscription))));
            Ok(())
        })
    }
}

/// Opens a stream of events for which `callback` is run. `options` and `destroy` may be NULL. `user_data` is
/// the library's until `destroy` has run, which it does exactly once, also when this call fails. `*out` is to
/// be freed with coreproc_subscription_free, which, for the last reference, closes it without waiting.
/// Thread-safe. Errors: INVALID_ARGUMENT, CLOSED, SYSTEM (pthread_create(3)).
///
/// # Safety
/// Pointers are NULL or valid; `user_data` may be used from another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_listen(
    service: *mut coreproc_service,
    options: *const coreproc_subscription_options,
    callback: coreproc_callback,
    user_data: *mut c_void,
    destroy: coreproc_destroy,
    out: *mut *mut coreproc_subscription,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "listen";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call_owning(OPERATION, err, (user_data, destroy), |user| {
            let service = guard::handle(OPERATION, "service", service)?;
            let callback = callback.ok_or_else(|| Error::invalid(OPERATION, "callback: is NULL"))?;
            let out = guard::out(OPERATION, out)?;
            let options = subscription_options(OPERATION, options)?;
            let mut events = Vec::new();
            let subscription = service.0.listen(options, move |batch| {
                let user = &user;
                events.clear();
                events.extend(batch.events().map(|event| SendEvent(event_of(&event))));
                let first = events.as_ptr().cast::<coreproc_event>();
                callback(first, events.len(), size_of::<coreproc_event>(), user.pointer);
            })?;
            out.write(Box::into_raw(Box::new(coreproc_subscription(subscription))));
            Ok(())
        })
    }
}

/// The user's pointer; its destructor runs when the callback is dropped, wherever that is.
pub(super) struct UserData {
    pub(super) pointer: *mut c_void,
    pub(super) destroy: coreproc_destroy,
}

// SAFETY: the header says that `user_data` is used from the library's threads.
unsafe impl Send for UserData {}
// SAFETY: the pointer is only read; who uses what it points to is the callback's contract.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header's contract; once, because a drop is.
            unsafe { destroy(self.pointer) };
        }
    }
}

/// An event in the callback's buffer, which moves to the dispatcher's thread empty.
#[repr(transparent)]
struct SendEvent(#[allow(dead_code, reason = "read by C")] coreproc_event);

// SAFETY: the pointers inside are used on the dispatcher's thread alone.
unsafe impl Send for SendEvent {}

/// A descriptor that is readable while events may be waiting or the stream has ended: the end of a pipe,
/// non-blocking, owned by the subscription: duplicate it for a loop that closes what it wraps. Its bytes mean
/// nothing, and may be read. It is armed again by a take that found nothing: take until TIMED_OUT.
/// Thread-safe. Errors: INVALID_ARGUMENT (also for a listener), SYSTEM (pipe2(2)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_fd(
    subscription: *mut coreproc_subscription,
    out: *mut i32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "subscription fd";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let subscription = guard::handle(OPERATION, "subscription", subscription)?;
            guard::out(OPERATION, out)?.write(subscription.0.fd()?);
            Ok(())
        })
    }
}

/// Has the caller's own event loop do the service's work, in coreproc_subscription_take, without a hand-off between
/// threads. `*out` is an epoll(7) descriptor owned by the subscription, readable while there is work, and when the
/// stream has ended, for a loop that accepts one, level- or edge-triggered: duplicate it for a loop that closes what
/// it wraps; never read or change it.
///
/// Until the subscription is closed or freed, or a take says CLOSED, nothing happens to the processes of the service
/// but in takes: no output is read, no exit is seen. (Deadlines are met.) So whenever the descriptor is readable,
/// take until TIMED_OUT or CLOSED, and soon. Those takes only look: another timeout than 0 is INVALID_ARGUMENT. Other
/// waits of the service end when a take has brought what they wait for.
///
/// Thread-safe. Errors: INVALID_ARGUMENT (also for a listener, and after coreproc_subscription_fd), BUSY while another
/// subscription drives or a thread waits for something of the service (an earlier listener's does, for as long as it
/// lives): then coreproc_subscription_fd is left; CLOSED, SYSTEM (epoll_create1(2)).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_drive(
    subscription: *mut coreproc_subscription,
    out: *mut i32,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "subscription drive";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let subscription = guard::handle(OPERATION, "subscription", subscription)?;
            guard::out(OPERATION, out)?.write(subscription.0.drive()?);
            Ok(())
        })
    }
}

/// Takes up to `max_events` (0: 1024) consecutive events of one process, waiting up to `timeout_ms` (-1: for
/// ever; 0: only looks). `*out` is to be freed with coreproc_batch_free; until then no other taker gets events
/// of that process. Thread-safe: several threads may take side by side, and each process's events stay in
/// order. Errors: INVALID_ARGUMENT, TIMED_OUT, CLOSED at the end of the stream, DEADLOCK, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_take(
    subscription: *mut coreproc_subscription,
    max_events: usize,
    timeout_ms: i64,
    out: *mut *mut coreproc_batch,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "take";
    const DEFAULT_MAX: usize = 1024;
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let subscription = guard::handle(OPERATION, "subscription", subscription)?;
            let out = guard::out(OPERATION, out)?;
            let timeout = guard::timeout(OPERATION, timeout_ms)?;
            let mut batch = subscription.0.take_whole(timeout)?;
            let max = if max_events == 0 { DEFAULT_MAX } else { max_events };
            let mut events = Vec::with_capacity(batch.size_hint().min(max));
            batch.collect(max, |event| events.push(event_of(&event)));
            out.write(Box::into_raw(Box::new(coreproc_batch { events, batch })));
            Ok(())
        })
    }
}

/// The first event of a batch, with their number and the bytes from one to the next; `count` and `stride`
/// may be NULL. Valid until the batch is freed. NULL with 0 for NULL.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_batch_events(
    batch: *const coreproc_batch,
    count: *mut usize,
    stride: *mut usize,
) -> *const coreproc_event {
    guard::get(std::ptr::null(), || {
        // SAFETY: the caller's promises.
        unsafe {
            let events = batch.as_ref().map(|batch| batch.events.as_slice());
            if !count.is_null() {
                count.write(events.map_or(0, <[_]>::len));
            }
            if !stride.is_null() {
                stride.write(size_of::<coreproc_event>());
            }
            events.map_or(std::ptr::null(), <[_]>::as_ptr)
        }
    })
}

/// The process whose events these are, also when it has ended and been closed: so whoever takes the events of
/// processes that others start, such as a run, can have all that a handle gives. `*out` is to be freed with
/// coreproc_process_free. Errors: INVALID_ARGUMENT; NOT_FOUND for a run's own events, and once the subscription
/// is closed.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_batch_process(
    batch: *const coreproc_batch,
    out: *mut *mut coreproc_process,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "process of batch";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let batch = guard::handle(OPERATION, "batch", batch)?;
            let out = guard::out(OPERATION, out)?;
            out.write(coreproc_process::into_raw(batch.batch.process()?));
            Ok(())
        })
    }
}

/// Frees a batch: gives its process's turn and credit back, and wakes a taker if there is more of that
/// process. NULL is fine. May be called after the subscription was freed.
///
/// # Safety
/// `batch` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_batch_free(batch: *mut coreproc_batch) {
    if !batch.is_null() {
        // SAFETY: the caller's promise; made by `coreproc_subscription_take`.
        guard::free(|| drop(unsafe { Box::from_raw(batch) }));
    }
}

/// Ends the subscription: discards what waits, lifts its backpressure, and wakes every taker. Idempotent. With
/// a callback, waits until a running call and `destroy` have returned, except from inside the callback.
/// Thread-safe. Errors: INVALID_ARGUMENT, PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_close(
    subscription: *mut coreproc_subscription,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "close";
    // SAFETY: the caller's promises.
    unsafe { guard::call(OPERATION, err, || guard::handle(OPERATION, "subscription", subscription)?.0.close()) }
}

/// Another reference to the same subscription, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `subscription` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_ref(
    subscription: *mut coreproc_subscription,
) -> *mut coreproc_subscription {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { subscription.as_ref() }
            .map_or(std::ptr::null_mut(), |s| Box::into_raw(Box::new(coreproc_subscription(s.0.clone()))))
    })
}

/// Gives a reference back; NULL is fine. Never blocks. The last one closes the subscription, without waiting
/// for a callback that runs.
///
/// # Safety
/// `subscription` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_free(subscription: *mut coreproc_subscription) {
    if !subscription.is_null() {
        // SAFETY: the caller's promise; made by `open`, `listen` or `ref`.
        guard::free(|| drop(unsafe { Box::from_raw(subscription) }));
    }
}
