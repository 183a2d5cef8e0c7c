//! `coreproc_subscription`.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use super::batch::coreproc_batch;
use super::call::{call, call_owning};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::event::coreproc_event;
use super::handle::{Born, another, free, shared};
use super::service::coreproc_service;
use super::user_data::{UserData, coreproc_destroy};
use super::versioned::versioned;
use crate::error::Result;
use crate::{
    Batch, Delivery, Encoding, EventFilter, Lifecycle, Overflow, Subscription, SubscriptionOptions, SubscriptionScope,
};

/// Output as it was read.
pub const COREPROC_DELIVERY_CHUNKS: u32 = 1;
/// One event a line, without its "\n"; a "\r" before it is kept. The default.
pub const COREPROC_DELIVERY_LINES: u32 = 2;
/// No output: lifecycle events alone.
pub const COREPROC_DELIVERY_NONE: u32 = 3;
/// One or more whole lines of a stream in one event, each with its "\n", for callers that split
/// them faster than they could read an event for each. A piece of an overlong line (PARTIAL), and a
/// last line without "\n" (NO_NEWLINE), come alone, as with LINES.
pub const COREPROC_DELIVERY_WHOLE_LINES: u32 = 4;

/// Every lifecycle event. The default.
pub const COREPROC_LIFECYCLE_ALL: u32 = 1;
/// The last event of each process (CLOSED) and of each run (RUN_ENDED) alone, for subscribers that
/// need only ends; also the first event (STARTED) of each process of a run, because no other event
/// names it.
pub const COREPROC_LIFECYCLE_ENDS: u32 = 2;

/// The child's pipes are not read while the queue is full, so the kernel slows it. The default.
pub const COREPROC_OVERFLOW_BLOCK: u32 = 1;
/// The oldest output that waits is dropped until half of the queue is free; at least the newest
/// event is kept. An event of the kind OVERFLOW stands in its place.
pub const COREPROC_OVERFLOW_DROP_OLDEST: u32 = 2;
/// What comes is dropped until something is taken. The next event is of the kind OVERFLOW.
pub const COREPROC_OVERFLOW_DROP_NEWEST: u32 = 3;

/// Output as any bytes. The default.
pub const COREPROC_ENCODING_BYTES: u32 = 1;
/// Output as UTF-8: no event ends within a character. Bytes that are no UTF-8 are replaced by
/// U+FFFD, and the event has the flag REPLACED.
pub const COREPROC_ENCODING_UTF8: u32 = 2;

/// Every process of the service that is spawned, and every run that is started, after the
/// subscription opened. The default.
pub const COREPROC_SUBSCRIBE_ALL: u32 = 1;
/// Processes whose command named it (coreproc_command_subscribe), and runs whose options did, with
/// their processes.
pub const COREPROC_SUBSCRIBE_NAMED: u32 = 2;

/// A stream of the events of processes. Shared: reference-counted, thread-safe. Freeing the last
/// reference closes it, without waiting.
#[derive(Clone)]
pub struct coreproc_subscription(pub(super) Subscription);

const _: () = shared::<coreproc_subscription>();

impl Born for coreproc_subscription {
    fn is_a_parents(&self) -> bool {
        self.0.queue().reactor().is_forked()
    }
}

/// The options of a subscription. Zero is the default everywhere.
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
    /// Bytes that may wait for each process (0: 1 MiB; UNLIMITED: any). When this many wait, that
    /// child's pipes are not read, and the kernel slows it; no other child is affected. One read,
    /// or one line, may go beyond it. Memory counts as it is held: output of a child that writes
    /// much in blocks of 64 KiB.
    pub queue_bytes: u64,
    /// Bytes of the longest line, without its "\n" (0: 1 MiB). A longer one arrives in pieces of
    /// this size.
    pub max_line_bytes: u64,
    /// The kinds of events to deliver: bit N for the COREPROC_EVENT with the number N, but no bit
    /// for OVERFLOW, which is always delivered (0: all). Without CLOSED nothing tells that a
    /// process is over.
    pub kinds: u32,
    /// A COREPROC_OVERFLOW value (0: BLOCK).
    pub overflow: u32,
    /// A COREPROC_ENCODING value (0: BYTES).
    pub encoding: u32,
    /// The most events of a batch (0: any number).
    pub batch_events: u32,
    /// The most bytes of a batch, unless it is a single event (0: any number).
    pub batch_bytes: u64,
}

versioned!(coreproc_subscription_options, 32);
const _: () = assert!(size_of::<coreproc_subscription_options>() == 56);

/// A callback for events. It runs on the subscription's thread, `coreproc-dsp`, for some
/// consecutive events of one process, never twice at once. `events` is the first of `count`,
/// `stride` bytes apart; they are valid during the call. It must not throw or longjmp. Inside it, a
/// call that would wait returns DEADLOCK.
pub type coreproc_callback =
    Option<unsafe extern "C" fn(events: *const coreproc_event, count: usize, stride: usize, user_data: *mut c_void)>;

/// # Safety
/// As for [`Operation::options`].
unsafe fn subscription_options(
    op: Operation,
    options: *const coreproc_subscription_options,
) -> Result<SubscriptionOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { op.options(options) }?;
    Ok(SubscriptionOptions {
        scope: match options.scope {
            0 | COREPROC_SUBSCRIBE_ALL => SubscriptionScope::All,
            COREPROC_SUBSCRIBE_NAMED => SubscriptionScope::Named,
            other => return Err(op.unknown("scope", other)),
        },
        delivery: match options.delivery {
            0 | COREPROC_DELIVERY_LINES => Delivery::Lines,
            COREPROC_DELIVERY_CHUNKS => Delivery::Chunks,
            COREPROC_DELIVERY_NONE => Delivery::None,
            COREPROC_DELIVERY_WHOLE_LINES => Delivery::WholeLines,
            other => return Err(op.unknown("delivery", other)),
        },
        lifecycle: match options.lifecycle {
            0 | COREPROC_LIFECYCLE_ALL => Lifecycle::All,
            COREPROC_LIFECYCLE_ENDS => Lifecycle::Ends,
            other => return Err(op.unknown("lifecycle", other)),
        },
        filter: EventFilter::from_mask(options.kinds).map_err(|bit| op.unknown("kinds: bit", bit))?,
        overflow: match options.overflow {
            0 | COREPROC_OVERFLOW_BLOCK => Overflow::Block,
            COREPROC_OVERFLOW_DROP_OLDEST => Overflow::DropOldest,
            COREPROC_OVERFLOW_DROP_NEWEST => Overflow::DropNewest,
            other => return Err(op.unknown("overflow", other)),
        },
        encoding: match options.encoding {
            0 | COREPROC_ENCODING_BYTES => Encoding::Bytes,
            COREPROC_ENCODING_UTF8 => Encoding::Utf8,
            other => return Err(op.unknown("encoding", other)),
        },
        batch_events: u64::from(options.batch_events),
        batch_bytes: options.batch_bytes,
        queue_bytes: options.queue_bytes,
        max_line_bytes: options.max_line_bytes,
    })
}

/// So many events, at most, are handed to a callback at once: they fit into a cache beside their bytes.
const EVENTS_A_CALL: usize = 128;

/// Makes the user's callback as the core calls it, on one thread at a time.
fn listener(op: Operation, callback: coreproc_callback, user: UserData) -> Result<impl FnMut(&Batch) + Send> {
    /// The events of one call, none when it moves to the dispatcher's thread.
    struct Array(Vec<coreproc_event>);
    // SAFETY: the pointers inside are used on the dispatcher's thread alone.
    unsafe impl Send for Array {}

    let callback = callback.ok_or_else(|| op.is_null("callback"))?;
    let mut array = Array(Vec::with_capacity(EVENTS_A_CALL));
    Ok(move |batch: &Batch| {
        let (user, Array(array)) = (&user, &mut array);
        let mut events = batch.events();
        loop {
            array.clear();
            coreproc_event::convert(&mut events, array, EVENTS_A_CALL);
            if array.is_empty() {
                return;
            }
            // SAFETY: the header's contract; events and user data live longer than the call.
            unsafe { callback(array.as_ptr(), array.len(), size_of::<coreproc_event>(), user.pointer) };
        }
    })
}

/// Opens a stream of events to take from. `options` may be NULL. Free `*out` with
/// coreproc_subscription_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_open(
    service: Option<&coreproc_service>,
    options: *const coreproc_subscription_options,
    out: Option<&mut MaybeUninit<Box<coreproc_subscription>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("subscribe", err, |op| {
        let service = op.handle("service", service)?;
        let out = op.out(out)?;
        // SAFETY: `options` is NULL or begins with its size.
        let options = unsafe { subscription_options(op, options) }?;
        out.write(Box::new(coreproc_subscription(service.0.subscribe(options)?)));
        Ok(())
    })
}

/// Opens a stream of events for which `callback` is run. `options` and `destroy` may be NULL. The
/// library uses `user_data`, on any thread, until `destroy` has run, which happens exactly once,
/// even if this call fails. Free `*out` with coreproc_subscription_free, which, for the last
/// reference, closes it without waiting. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; CLOSED; SYSTEM (pthread_create(3)).
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_subscription_listen(
    service: Option<&coreproc_service>,
    options: *const coreproc_subscription_options,
    callback: coreproc_callback,
    user_data: *mut c_void,
    destroy: coreproc_destroy,
    out: Option<&mut MaybeUninit<Box<coreproc_subscription>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call_owning("listen", err, (user_data, destroy), |op, user| {
        let service = op.handle("service", service)?;
        let listener = listener(op, callback, user)?;
        let out = op.out(out)?;
        // SAFETY: `options` is NULL or begins with its size.
        let options = unsafe { subscription_options(op, options) }?;
        out.write(Box::new(coreproc_subscription(service.0.listen(options, listener)?)));
        Ok(())
    })
}

/// Gets a descriptor that is readable while events may be waiting or the stream has ended: the end
/// of a pipe, non-blocking, owned by the subscription. A loop that closes what it wraps needs a
/// duplicate. Its bytes mean nothing, and may be read. A take that found nothing arms it again:
/// take until TIMED_OUT. Thread-safe.
///
/// Errors: INVALID_ARGUMENT, also for a listener; SYSTEM (pipe2(2)).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_subscription_fd(
    subscription: Option<&coreproc_subscription>,
    out: Option<&mut MaybeUninit<i32>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("subscription fd", err, |op| {
        let subscription = op.handle("subscription", subscription)?;
        op.out(out)?.write(subscription.0.fd()?);
        Ok(())
    })
}

/// Has the caller's own event loop do the service's work, in coreproc_subscription_take, without a
/// hand-off between threads. `*out` is an epoll(7) descriptor owned by the subscription, readable
/// while there is work and when the stream has ended, for loops that accept an epoll, level- or
/// edge-triggered. A loop that closes what it wraps needs a duplicate; never read or change it.
///
/// Until the subscription is closed or freed, or a take returns CLOSED, nothing happens to the
/// processes of the service but in takes: no output is read, no exit is seen. (Deadlines are met.)
/// So whenever the descriptor is readable, take until TIMED_OUT or CLOSED, and soon. Those takes
/// only look: a timeout other than 0 is INVALID_ARGUMENT. Other waits of the service end when a
/// take has brought what they wait for. Thread-safe.
///
/// Errors: INVALID_ARGUMENT, also for a listener, and after coreproc_subscription_fd; BUSY while
/// another subscription drives or a thread waits for something of the service (the thread of an
/// earlier listener does, for as long as it lives): then use coreproc_subscription_fd; CLOSED;
/// SYSTEM (epoll_create1(2)).
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_subscription_drive(
    subscription: Option<&coreproc_subscription>,
    out: Option<&mut MaybeUninit<i32>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("subscription drive", err, |op| {
        let subscription = op.handle("subscription", subscription)?;
        op.out(out)?.write(subscription.0.drive()?);
        Ok(())
    })
}

/// Takes up to `max_events` (0: 1024) consecutive events of one process, waiting up to `timeout_ms`
/// (-1: for ever; 0: only looks). Free `*out` with coreproc_batch_free; until then no other taker
/// gets events of that process. Several threads may take side by side, and each process's events
/// stay in order. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; TIMED_OUT; CLOSED at the end of the stream; DEADLOCK inside a
/// callback; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_subscription_take(
    subscription: Option<&coreproc_subscription>,
    max_events: usize,
    timeout_ms: i64,
    out: Option<&mut MaybeUninit<Box<coreproc_batch>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    const DEFAULT_MAX: usize = 1024;
    call("take", err, |op| {
        let subscription = op.handle("subscription", subscription)?;
        let out = op.out(out)?;
        let batch = subscription.0.take_whole(op.timeout(timeout_ms)?)?;
        out.write(coreproc_batch::new(batch, if max_events == 0 { DEFAULT_MAX } else { max_events }));
        Ok(())
    })
}

/// Ends the subscription: discards what waits, lifts its backpressure, and wakes every taker.
/// Idempotent. With a callback, waits until a running call and `destroy` have returned, except from
/// inside the callback. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_subscription_close(
    subscription: Option<&coreproc_subscription>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("close", err, |op| op.handle("subscription", subscription)?.0.close())
}

/// Returns another reference to the same subscription, to be freed on its own; NULL for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_subscription_ref(
    subscription: Option<&coreproc_subscription>,
) -> Option<Box<coreproc_subscription>> {
    another(subscription)
}

/// Gives a reference back. NULL is fine. Never blocks. The last one closes the subscription,
/// without waiting for a callback that runs. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_subscription_free(subscription: Option<Box<coreproc_subscription>>) {
    free(subscription);
}
