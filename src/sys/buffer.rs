//! [`ReadBuffer`]: the page-aligned buffer of a read. Alignment matters: copying from a pipe to a buffer that is 16
//! bytes off a page takes about twice as long.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

/// The size of one read: that of the kernel's default pipe.
pub(crate) const READ_SIZE: usize = 64 * 1024;

const LAYOUT: Layout = match Layout::from_size_align(READ_SIZE, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a constant layout"),
};

/// An uninitialised, page-aligned buffer of [`READ_SIZE`] bytes.
pub(crate) struct ReadBuffer(NonNull<u8>);

// SAFETY: the buffer owns its allocation alone.
unsafe impl Send for ReadBuffer {}

impl ReadBuffer {
    /// Makes a buffer; None if memory is short.
    pub(crate) fn new() -> Option<ReadBuffer> {
        // SAFETY: the layout has a size above zero.
        NonNull::new(unsafe { alloc(LAYOUT) }).map(ReadBuffer)
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Returns the first `len` bytes, which a read has filled.
    ///
    /// # Safety
    /// A read into this buffer returned at least `len`.
    pub(super) unsafe fn filled(&self, len: usize) -> &[u8] {
        debug_assert!(len <= READ_SIZE);
        // SAFETY: the caller's promise; the allocation is READ_SIZE long.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), len) }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) }
    }
}
