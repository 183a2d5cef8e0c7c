//! `coreproc_ring`.

use std::sync::Arc;

use super::error::{coreproc_error, coreproc_result};
use super::guard;
use crate::Ring;

/// A ring buffer: keeps the last bytes that were written to it. Shared: reference-counted, thread-safe; each
/// call is one step to all others.
pub struct coreproc_ring(Arc<Ring>);

impl coreproc_ring {
    fn into_raw(ring: Arc<Ring>) -> *mut coreproc_ring {
        Box::into_raw(Box::new(coreproc_ring(ring)))
    }
}

/// An empty ring for `size` bytes; 0 keeps nothing. Memory is taken as it is needed; where it cannot be had,
/// what there is becomes the size. On success `*out` is to be freed with coreproc_ring_free. Thread-safe.
/// Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_new(
    size: usize,
    out: *mut *mut coreproc_ring,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "open ring";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            guard::out(OPERATION, out)?.write(coreproc_ring::into_raw(Arc::new(Ring::new(size))));
            Ok(())
        })
    }
}

/// Another reference to the same ring, to be freed on its own; NULL gives NULL. Thread-safe.
///
/// # Safety
/// `ring` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_ref(ring: *mut coreproc_ring) -> *mut coreproc_ring {
    guard::get(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        unsafe { ring.as_ref() }.map_or(std::ptr::null_mut(), |ring| coreproc_ring::into_raw(Arc::clone(&ring.0)))
    })
}

/// Keeps `len` bytes, in place of the oldest where the ring is full. Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid, `data` for reads of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_write(
    ring: *mut coreproc_ring,
    data: *const u8,
    len: usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "write to ring";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let ring = guard::handle(OPERATION, "ring", ring)?;
            ring.0.write(guard::bytes(OPERATION, "data", data, len)?);
            Ok(())
        })
    }
}

/// Copies what the ring holds, oldest first, to `buffer`, if it fits into `size` bytes. `*out` is how many bytes
/// the ring holds: when that is more than `size`, nothing was copied, and another try needs as much.
/// Thread-safe. Errors: INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid, `buffer` for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_copy(
    ring: *mut coreproc_ring,
    buffer: *mut u8,
    size: usize,
    out: *mut usize,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "copy ring";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let ring = guard::handle(OPERATION, "ring", ring)?;
            let buffer = guard::buffer(OPERATION, "buffer", buffer, size)?;
            guard::out(OPERATION, out)?.write(ring.0.copy_to(buffer));
            Ok(())
        })
    }
}

/// How many bytes the ring holds; 0 for NULL, and in a child of fork. Thread-safe.
///
/// # Safety
/// `ring` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_len(ring: *const coreproc_ring) -> usize {
    // SAFETY: the caller's promise.
    guard::look(0, || unsafe { ring.as_ref() }.map_or(0, |ring| ring.0.len()))
}

/// How many bytes the ring holds at most; 0 for NULL, and in a child of fork. Thread-safe.
///
/// # Safety
/// `ring` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_cap(ring: *const coreproc_ring) -> usize {
    // SAFETY: the caller's promise.
    guard::look(0, || unsafe { ring.as_ref() }.map_or(0, |ring| ring.0.capacity()))
}

/// Forgets what the ring holds; NULL is fine. Its memory is kept for what comes. Thread-safe.
///
/// # Safety
/// `ring` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_reset(ring: *mut coreproc_ring) {
    // SAFETY: the caller's promise.
    guard::free(|| unsafe { ring.as_ref() }.map_or((), |ring| ring.0.reset()));
}

/// Gives a reference back; NULL is fine.
///
/// # Safety
/// `ring` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_free(ring: *mut coreproc_ring) {
    if !ring.is_null() {
        // SAFETY: the caller's promise; made by `into_raw`.
        guard::free(|| drop(unsafe { Box::from_raw(ring) }));
    }
}
