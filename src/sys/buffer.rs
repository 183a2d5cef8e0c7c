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

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) }
    }
}
