//! `pthread_cancel`: off while a thread of the host is in the library, and for good in threads of ours. A cancelled
//! thread is unwound by force (glibc), which no frame with a destructor survives, or ends where it stands (musl),
//! with our locks.
//!
//! Calls: pthread_setcancelstate(3), pthread_setcanceltype(3); see pthreads(7).

use std::ffi::{c_int, c_void};

// glibc and musl agree on both.
const DISABLE: c_int = 1;
const DEFERRED: c_int = 0;

unsafe extern "C-unwind" {
    /// With the asynchronous type, a cancel that is pending acts in here when the state is put back.
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    fn pthread_setcanceltype(kind: c_int, old: *mut c_int) -> c_int;
    fn read(fd: c_int, buffer: *mut c_void, size: usize) -> isize;
}

/// The thread's state and type as they were.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    state: c_int,
    kind: c_int,
}

/// Turns cancellation off for this thread, until [`restore`].
///
/// For the asynchronous type it is not enough to disable the state: when the signal of a cancel arrives that was on its
/// way already, glibc (2.36) heeds the type alone, and gives each of its cancellation points that type for a moment. So
/// the type is changed, and one cancellation point, which waits for such a signal, comes before all that could not be
/// unwound.
#[inline(always)]
pub(crate) fn disable() -> Before {
    let mut before = Before { state: DISABLE, kind: DEFERRED };
    // SAFETY: known values and live integers; no descriptor, and no byte. A cancel that acts in here does so in the
    // frames that `restore` speaks of.
    unsafe {
        pthread_setcancelstate(DISABLE, &mut before.state);
        pthread_setcanceltype(DEFERRED, &mut before.kind);
        if before.kind != DEFERRED {
            read(-1, std::ptr::null_mut(), 0);
        }
    }
    before
}

/// Puts the state and the type back. This must be the last step of a call: neither the caller nor its callers, up to C,
/// may hold anything that has a destructor, and all must be `C-unwind` or Rust functions, because the thread may end in
/// here.
#[inline(always)]
pub(crate) fn restore(before: Before) {
    let mut ours = 0;
    // SAFETY: values that the thread had, and a live integer. The caller keeps the frames free of destructors.
    unsafe {
        if before.kind != DEFERRED {
            pthread_setcanceltype(before.kind, &mut ours);
        }
        pthread_setcancelstate(before.state, &mut ours);
    }
}
