//! [`Space`]: the memory that a read fills, a buffer or the room of a block; and [`Bytes`], what the read brought.

use std::ops::{Deref, Range};

use super::block::{Filling, Slice};
use super::buffer::{READ_SIZE, ReadBuffer};

/// The memory that a read fills.
pub(crate) enum Space<'a, 'f> {
    /// A buffer that the next read fills again.
    Buffer(&'a mut ReadBuffer),
    /// The room of a block, which is shared afterwards.
    Block(&'f mut Filling),
}

impl<'a> Space<'a, '_> {
    /// Returns how many bytes fit.
    pub(crate) fn len(&self) -> usize {
        match self {
            Space::Buffer(_) => READ_SIZE,
            Space::Block(filling) => filling.room(),
        }
    }

    /// Returns its memory, which is [`Space::len`] bytes long.
    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        match self {
            Space::Buffer(buffer) => buffer.as_ptr(),
            Space::Block(filling) => filling.unfilled(),
        }
    }

    /// Returns the first `len` bytes.
    ///
    /// # Safety
    /// A read into this space returned at least `len`.
    pub(super) unsafe fn filled(self, len: usize) -> Bytes<'a> {
        match self {
            // SAFETY: the caller's promise; nothing else writes to the buffer while it is borrowed.
            Space::Buffer(buffer) => Bytes::Borrowed(unsafe { std::slice::from_raw_parts(buffer.as_ptr(), len) }),
            // SAFETY: the caller's promise.
            Space::Block(filling) => Bytes::Shared(unsafe { filling.advance(len) }),
        }
    }
}

/// The bytes that a read brought.
pub(crate) enum Bytes<'a> {
    /// They are to be copied, because the next read overwrites them.
    Borrowed(&'a [u8]),
    /// They can be kept as they are.
    Shared(Slice),
}

impl Bytes<'_> {
    /// Returns a part of them.
    pub(crate) fn part(&self, range: Range<usize>) -> Bytes<'_> {
        match self {
            Bytes::Borrowed(bytes) => Bytes::Borrowed(&bytes[range]),
            Bytes::Shared(slice) => Bytes::Shared(slice.part(range)),
        }
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Shared(slice) => slice,
        }
    }
}
