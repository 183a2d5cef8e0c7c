//! Handles: boxes of ours that C holds by pointer. Each C type is a Rust struct of its own, so a pointer can be cast
//! one way only, and the signatures state the ownership: `Option<&T>` borrows, `Option<&mut T>` borrows a builder,
//! which belongs to one thread, `Option<Box<T>>` gives away; NULL is `None`.

use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;

use super::guard;
use crate::sys::{fork, reserve};

/// Fails to compile unless handles of this type may be used from any thread at once.
pub(super) const fn shared<T: Send + Sync>() {}

/// Reads something that needs no lock; `fallback` for NULL.
pub(super) fn read<T, V: Copy>(handle: Option<&T>, fallback: V, read: impl FnOnce(&T) -> V) -> V {
    let Some(handle) = handle else { return fallback };
    guard::get(fallback, move || read(handle))
}

/// Reads something behind a lock; `fallback` for NULL, and in a child of fork, where the lock may be held for ever.
pub(super) fn read_locked<T: Born, V: Copy>(handle: Option<&T>, fallback: V, read: impl FnOnce(&T) -> V) -> V {
    if handle.is_none_or(Born::is_a_parents) { fallback } else { self::read(handle, fallback, read) }
}

/// What knows in which process it was made. In a child of fork, what is the parent's may be locked, or half changed, for
/// ever: it is neither used nor dropped there.
pub(super) trait Born {
    /// Returns whether it was made in a parent of this process. For what does not know, true in every child of fork.
    fn is_a_parents(&self) -> bool {
        fork::is_child()
    }
}

/// Returns a text that lives as long as its handle; "" for NULL.
pub(super) fn text<T>(handle: Option<&T>, text: impl FnOnce(&T) -> &CStr) -> *const c_char {
    read(handle, c"".as_ptr(), |handle| text(handle).as_ptr())
}

/// Returns an array that lives as long as its handle: the first element, and in `count` and `stride` how many there are
/// and the bytes from one to the next. NULL, with 0, for NULL. The two are pointers, because a caller that needs
/// neither may give one variable for both, which two `&mut` must not be.
///
/// # Safety
/// `count` and `stride` are NULL or valid for a write.
pub(super) unsafe fn array<T, E>(
    handle: Option<&T>,
    elements: impl FnOnce(&T) -> &[E],
    count: *mut usize,
    stride: *mut usize,
) -> *const E {
    let (first, len) = read(handle, (std::ptr::null(), 0), |handle| {
        let elements = elements(handle);
        (elements.as_ptr(), elements.len())
    });
    for (to, value) in [(count, len), (stride, size_of::<E>())] {
        if !to.is_null() {
            // SAFETY: the caller's promise.
            unsafe { to.write(value) };
        }
    }
    first
}

/// Makes a second handle to the same object; NULL for NULL.
pub(super) fn another<T: Clone>(handle: Option<&T>) -> Option<Box<T>> {
    let handle = handle?;
    let copy = guard::get(std::ptr::null_mut(), move || Box::into_raw(Box::new(handle.clone())));
    // SAFETY: the box that was just made, which nothing else has.
    (!copy.is_null()).then(|| unsafe { Box::from_raw(copy) })
}

/// Drops a handle. In a child of fork, where a lock that this takes may be held for ever, forgets it instead.
pub(super) fn free<T: Born>(handle: Option<Box<T>>) {
    drop_if(handle, |handle| !handle.is_a_parents());
}

/// Like [`free`], for an object that needs memory to end: without memory it goes on, and is never freed.
pub(super) fn free_with_room<T: Born>(handle: Option<Box<T>>) {
    drop_if(handle, |handle| !handle.is_a_parents() && reserve::has_room());
}

/// Drops a handle that holds nothing but memory, in a child of fork as well.
pub(super) fn free_memory<T>(handle: Option<Box<T>>) {
    drop_if(handle, |_| true);
}

fn drop_if<T>(handle: Option<Box<T>>, may_drop: impl FnOnce(&T) -> bool) {
    // A thread that is cancelled before the guard, or after it, ends in frames that have nothing to drop.
    let mut handle = ManuallyDrop::new(handle);
    if handle.is_some() {
        guard::get((), || {
            if handle.as_deref().is_some_and(may_drop) {
                drop(handle.take());
            }
        });
    }
}
