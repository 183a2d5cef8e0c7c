//! `pthread_cancel`: off while a thread of the host is in the library, and for good in threads of ours. A cancelled
//! thread is unwound by force (glibc), which no frame with a destructor survives, or ends where it stands (musl),
//! with our locks.

use std::ffi::c_int;

/// glibc and musl agree.
const DISABLE: c_int = 1;

unsafe extern "C-unwind" {
    /// With the asynchronous type a cancel that is pending acts when the state is put back, in here.
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// What the thread's state was.
pub(crate) struct Before(c_int);

/// From here to [`restore`] this thread is not cancelled.
pub(crate) fn disable() -> Before {
    let mut before = DISABLE;
    // SAFETY: a known state and a live integer; disabling never acts on a cancel.
    unsafe { pthread_setcancelstate(DISABLE, &mut before) };
    Before(before)
}

/// Puts back what was. Must be the last that a call does: neither the caller nor its callers, up to C, may hold
/// anything that has a destructor, and all must be `C-unwind` or Rust functions, because the thread may end in here.
#[inline(always)]
pub(crate) fn restore(before: Before) {
    let mut ours = DISABLE;
    // SAFETY: a state that the thread had, and a live integer. Whoever calls keeps the frames free of destructors.
    unsafe { pthread_setcancelstate(before.0, &mut ours) };
}
