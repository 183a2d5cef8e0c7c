//! `coreproc_ring`.

use std::mem::MaybeUninit;
use std::sync::Arc;

use super::call::call;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{Born, another, free, read_locked, shared};
use crate::Ring;
use crate::sys::fork::Generation;

/// A ring buffer: keeps the last bytes that were written to it. Shared: reference-counted,
/// thread-safe; each call is one step for all others.
#[derive(Clone)]
pub struct coreproc_ring {
    ring: Arc<Ring>,
    made: Generation,
}

const _: () = shared::<coreproc_ring>();

impl Born for coreproc_ring {
    fn is_a_parents(&self) -> bool {
        self.made.is_over()
    }
}

/// Makes an empty ring for `size` bytes; 0 keeps nothing. Memory is taken as it is needed; if there
/// is none, the ring stays as large as it is. Free `*out` with coreproc_ring_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_ring_new(
    size: usize,
    out: Option<&mut MaybeUninit<Box<coreproc_ring>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("open ring", err, |op| {
        op.out(out)?.write(Box::new(coreproc_ring { ring: Arc::new(Ring::new(size)), made: Generation::now() }));
        Ok(())
    })
}

/// Returns another reference to the same ring, to be freed on its own; NULL for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_ring_ref(ring: Option<&coreproc_ring>) -> Option<Box<coreproc_ring>> {
    another(ring)
}

/// Keeps `len` bytes, in place of the oldest if the ring is full. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_write(
    ring: Option<&coreproc_ring>,
    data: *const u8,
    len: usize,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("write to ring", err, |op| {
        let ring = op.handle("ring", ring)?;
        ring.made.check(op.0)?;
        // SAFETY: `data` has `len` bytes.
        ring.ring.write(unsafe { op.bytes("data", data, len) }?);
        Ok(())
    })
}

/// Copies what the ring holds, oldest first, to `buffer`, if it fits into `size` bytes. `*out` is
/// how many bytes the ring holds: if that is more than `size`, nothing was copied, and the next try
/// needs a buffer of that size. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_ring_copy(
    ring: Option<&coreproc_ring>,
    buffer: *mut u8,
    size: usize,
    out: Option<&mut MaybeUninit<usize>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("copy ring", err, |op| {
        let ring = op.handle("ring", ring)?;
        ring.made.check(op.0)?;
        // SAFETY: `buffer` has room for `size` bytes.
        let buffer = unsafe { op.buffer("buffer", buffer, size) }?;
        op.out(out)?.write(ring.ring.copy_to(buffer));
        Ok(())
    })
}

/// Returns how many bytes the ring holds; 0 for NULL, and in a child of fork. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_ring_len(ring: Option<&coreproc_ring>) -> usize {
    read_locked(ring, 0, |ring| ring.ring.len())
}

/// Returns how many bytes the ring can hold; 0 for NULL, and in a child of fork. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_ring_cap(ring: Option<&coreproc_ring>) -> usize {
    read_locked(ring, 0, |ring| ring.ring.capacity())
}

/// Forgets what the ring holds. NULL is fine. Its memory is kept for what comes. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_ring_reset(ring: Option<&coreproc_ring>) {
    read_locked(ring, (), |ring| ring.ring.reset());
}

/// Gives a reference back. NULL is fine. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_ring_free(ring: Option<Box<coreproc_ring>>) {
    free(ring);
}
