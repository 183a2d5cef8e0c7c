//! Blocks of output: memory that a read fills once and that captures and queues then share by reference.
//!
//! Sharing needs no lock, because no byte is both written and read: a [`Filling`] alone writes, to the end of its block
//! that is not yet filled, and a [`Slice`] reads what was filled before the slice was made, which never changes again.
//! Whatever brings a slice to another thread orders its bytes before it.

use std::mem::ManuallyDrop;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use super::buffer::{READ_SIZE, ReadBuffer};
use super::copy::initialise;

/// The size of a block: one whole read.
pub(crate) const BLOCK_SIZE: usize = READ_SIZE;
/// The least bound on memory within which slices are kept. In a smaller one the blocks of the first and of the last slice
/// would weigh too much, and everything is copied.
pub(crate) const LEAST_SHARED: usize = 4 * BLOCK_SIZE;

/// Reads begin at multiples of this: a copy to a place that is a few bytes off its source's place in a page takes twice
/// as long on some processors.
const ALIGNMENT: usize = 64;
/// A read that is shorter than this is not worth an aligned place for the next one.
const LONG: usize = 4096;

/// Memory of blocks that are no longer used, kept for the next ones. Thread-safe.
pub(crate) struct Pool(ArrayQueue<ReadBuffer>);

impl Pool {
    /// Makes an empty pool that keeps up to `blocks` blocks.
    pub(crate) fn new(blocks: usize) -> Pool {
        Pool(ArrayQueue::new(blocks))
    }

    /// Returns memory for a read; None when memory is short.
    pub(crate) fn take(&self) -> Option<ReadBuffer> {
        self.0.pop().or_else(ReadBuffer::new)
    }

    /// Takes memory back; if there is enough, it is freed.
    pub(crate) fn keep(&self, memory: ReadBuffer) {
        drop(self.0.push(memory));
    }
}

/// The memory of a block; it goes back to its pool with the last slice.
struct Block {
    memory: ManuallyDrop<ReadBuffer>,
    pool: Arc<Pool>,
}

// SAFETY: its bytes are written by its one `Filling` alone, and are read only after that, through slices.
unsafe impl Sync for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: once, and nothing uses the field afterwards.
        self.pool.keep(unsafe { ManuallyDrop::take(&mut self.memory) });
    }
}

/// The end of a block that is still to be filled, and the only way to write to it.
pub(crate) struct Filling {
    block: Arc<Block>,
    filled: usize,
}

impl Filling {
    /// Starts a block; None when memory is short.
    pub(crate) fn new(pool: &Arc<Pool>) -> Option<Filling> {
        let memory = ManuallyDrop::new(pool.take()?);
        Some(Filling { block: Arc::new(Block { memory, pool: Arc::clone(pool) }), filled: 0 })
    }

    /// Returns how many bytes fit.
    pub(crate) fn room(&self) -> usize {
        BLOCK_SIZE - self.filled
    }

    /// Returns the place of the room, for a read that [`Filling::advance`] follows.
    pub(super) fn unfilled(&mut self) -> *mut u8 {
        // SAFETY: within the allocation, or one past its end.
        unsafe { self.block.memory.as_ptr().add(self.filled) }
    }

    /// Shares the next `len` bytes.
    ///
    /// # Safety
    /// The first `len` bytes of [`Filling::unfilled`] have been written.
    pub(super) unsafe fn advance(&mut self, len: usize) -> Slice {
        debug_assert!(len <= self.room());
        let start = self.filled;
        self.filled += len;
        if len >= LONG {
            self.filled = self.filled.next_multiple_of(ALIGNMENT);
        }
        Slice { block: Arc::clone(&self.block), start: start as u32, len: len as u32 }
    }

    /// Copies as many of the bytes as fit, and shares them.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Slice {
        let place = self.unfilled();
        let len = bytes.len().min(self.room());
        // SAFETY: the room is this filling's alone, and is then written.
        unsafe {
            initialise(std::slice::from_raw_parts_mut(place.cast(), len), &bytes[..len]);
            self.advance(len)
        }
    }
}

/// A part of a block, which does not change. It keeps the whole block in memory.
#[derive(Clone)]
pub(crate) struct Slice {
    block: Arc<Block>,
    start: u32,
    len: u32,
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `advance` was told that these bytes are written, and no one writes to them again.
        unsafe { std::slice::from_raw_parts(self.block.memory.as_ptr().add(self.start as usize), self.len as usize) }
    }
}

impl Slice {
    /// Returns a part of it.
    pub(crate) fn part(&self, range: Range<usize>) -> Slice {
        let part = &self[range.clone()];
        Slice { block: Arc::clone(&self.block), start: self.start + range.start as u32, len: part.len() as u32 }
    }

    /// Drops its first `count` bytes, of at least as many.
    pub(crate) fn skip(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.start += count as u32;
        self.len -= count as u32;
    }

    /// Returns whether both are parts of one block.
    pub(crate) fn shares_block_with(&self, other: &Slice) -> bool {
        Arc::ptr_eq(&self.block, &other.block)
    }

    /// Appends the slice that lies behind it; false if another one does.
    pub(crate) fn append(&mut self, next: &Slice) -> bool {
        let adjoins = self.shares_block_with(next) && self.start + self.len == next.start;
        if adjoins {
            self.len += next.len;
        }
        adjoins
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_as_they_are_while_their_block_is_filled_and_when_it_was_left() {
        let pool = Arc::new(Pool::new(1));
        let mut filling = Filling::new(&pool).unwrap();
        let mut first = filling.copy(b"one, ");
        let second = filling.copy(b"two");
        let reader = std::thread::spawn({
            let (first, second) = (first.clone(), second.clone());
            move || assert_eq!((&*first, &*second), (&b"one, "[..], &b"two"[..]))
        });
        let rest = filling.copy(&[b'x'; BLOCK_SIZE]);
        reader.join().unwrap();
        assert_eq!((rest.len(), filling.room()), (BLOCK_SIZE - 8, 0));
        drop((filling, rest));
        assert!(first.append(&second) && !first.append(&second));
        assert_eq!(&*first, b"one, two");
        assert_eq!(&*first.part(3..6), b", t");
        first.skip(5);
        assert_eq!(&*first, b"two");
    }

    #[test]
    fn a_block_goes_back_to_its_pool_with_its_last_slice() {
        let pool = Arc::new(Pool::new(1));
        let mut filling = Filling::new(&pool).unwrap();
        let (slice, address) = (filling.copy(b"x"), filling.block.memory.as_ptr());
        drop(filling);
        assert!(pool.0.is_empty());
        drop(slice);
        assert_eq!(pool.0.len(), 1);
        assert_eq!(Filling::new(&pool).unwrap().block.memory.as_ptr(), address);
    }

    #[test]
    fn what_follows_a_long_read_is_aligned_and_not_adjoining() {
        let pool = Arc::new(Pool::new(1));
        let mut filling = Filling::new(&pool).unwrap();
        let mut long = filling.copy(&[b'x'; LONG + 1]);
        let next = filling.copy(b"y");
        assert_eq!(next.as_ptr().align_offset(ALIGNMENT), 0);
        assert!(!long.append(&next) && long.shares_block_with(&next));
    }
}
