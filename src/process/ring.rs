//! [`RingBytes`]: keeps the last bytes that were written to it; and [`Ring`], the same for programs that keep the last bytes
//! of something else than a process's output.

use std::mem::MaybeUninit;
use std::sync::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::lock;
use crate::sys::copy::{append, copy, initialise};

/// A ring buffer: keeps the last bytes that were written to it. Memory grows as needed up to its size, and is then
/// written over; if there is no more memory, its present size stays. Thread-safe: each call is one step for all others.
///
/// ```
/// let ring = coreproc::Ring::new(5);
/// ring.write(b"one, ");
/// ring.write(b"two");
/// assert_eq!(ring.to_vec()?, b", two");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Debug)]
pub struct Ring(Mutex<RingBytes>);

impl Ring {
    /// Makes an empty ring for `size` bytes, which takes no memory yet. A size of 0 keeps nothing.
    #[must_use]
    pub fn new(size: usize) -> Ring {
        Ring(Mutex::new(RingBytes::new(size)))
    }

    /// Keeps the bytes, in place of the oldest if the ring is full.
    pub fn write(&self, data: &[u8]) {
        lock(&self.0).write(data);
    }

    /// Returns what it holds, oldest first.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if there is no memory for the copy.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let short = || Error::new(ErrorKind::OutOfMemory, "copy ring", "no memory for the copy");
        lock(&self.0).to_vec().ok_or_else(short)
    }

    /// Copies what it holds, oldest first, to the start of `buffer`, if it fits. Returns how many bytes it holds,
    /// also if they do not fit and nothing is copied.
    pub(crate) fn copy_to(&self, buffer: &mut [MaybeUninit<u8>]) -> usize {
        let capture = lock(&self.0);
        if let Some(place) = buffer.get_mut(..capture.len()) {
            let [older, newer] = capture.pieces();
            let (first, second) = place.split_at_mut(older.len());
            initialise(first, older);
            initialise(second, newer);
        }
        capture.len()
    }

    /// Returns how many bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Returns whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many bytes it holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        lock(&self.0).size()
    }

    /// Forgets what it holds, and keeps the memory.
    pub fn reset(&self) {
        lock(&self.0).clear();
    }
}

/// A ring of bytes. It grows as needed up to its size, then overwrites the oldest bytes and counts them.
#[derive(Debug, Default)]
pub(super) struct RingBytes {
    bytes: Vec<u8>,
    /// Where the oldest byte is, once the ring is full.
    oldest: usize,
    size: usize,
    dropped: u64,
}

impl RingBytes {
    pub(super) fn new(size: usize) -> RingBytes {
        RingBytes { bytes: Vec::new(), oldest: 0, size, dropped: 0 }
    }

    /// Returns how many bytes were overwritten, or never stored.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns how many bytes it holds at most.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Forgets what it holds, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.oldest = 0;
    }

    /// Keeps the bytes, in place of the oldest if it is full.
    pub(super) fn write(&mut self, mut data: &[u8]) {
        if self.size == 0 {
            self.dropped += data.len() as u64;
            return;
        }
        if data.len() >= self.size {
            self.dropped += (self.bytes.len() + data.len() - self.size) as u64;
            data = &data[data.len() - self.size..];
            self.oldest = 0;
            self.bytes.clear();
        }
        let room = self.size - self.bytes.len();
        let (fits, wraps) = data.split_at(room.min(data.len()));
        if !fits.is_empty() && !self.grow(fits.len()) {
            // The memory that there is becomes the size.
            self.size = self.bytes.len();
            self.dropped += fits.len() as u64;
            return if self.size == 0 { self.write(wraps) } else { self.overwrite(wraps) };
        }
        append(&mut self.bytes, fits);
        self.overwrite(wraps);
    }

    /// Makes room for `more` bytes, doubling up to the size; false when memory is short.
    fn grow(&mut self, more: usize) -> bool {
        let needed = self.bytes.len() + more;
        if needed <= self.bytes.capacity() {
            return true;
        }
        let target = needed.max(self.bytes.capacity().saturating_mul(2)).min(self.size);
        self.bytes.try_reserve_exact(target - self.bytes.len()).is_ok()
    }

    /// Replaces the oldest bytes of a full ring; `data` is no longer than the ring.
    fn overwrite(&mut self, data: &[u8]) {
        self.dropped += data.len() as u64;
        let (first, second) = data.split_at(data.len().min(self.bytes.len() - self.oldest));
        copy(&mut self.bytes[self.oldest..self.oldest + first.len()], first);
        copy(&mut self.bytes[..second.len()], second);
        self.oldest += data.len();
        if self.oldest >= self.bytes.len() {
            self.oldest -= self.bytes.len();
        }
    }

    /// Returns what it holds, oldest first, in two pieces.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.oldest);
        [older, newer]
    }

    /// Returns what it holds, oldest first, with room for the NUL that C gets after it; None when memory is short.
    pub(super) fn to_vec(&self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        all.try_reserve_exact(self.bytes.len() + 1).ok()?;
        self.pieces().into_iter().for_each(|piece| append(&mut all, piece));
        Some(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Ring;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(Vec<u8>),
        Reset,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Write);
        prop::collection::vec(prop_oneof![8 => write, 1 => Just(Step::Reset)], 0..20)
    }

    proptest! {
        #[test]
        fn is_the_end_of_what_was_written_since_the_reset(size in 0usize..70, steps in steps()) {
            let ring = Ring::new(size);
            let mut all = Vec::new();
            for step in &steps {
                match step {
                    Step::Write(data) => {
                        ring.write(data);
                        all.extend_from_slice(data);
                    }
                    Step::Reset => {
                        ring.reset();
                        all.clear();
                    }
                }
                let kept = &all[all.len() - all.len().min(size)..];
                prop_assert_eq!((ring.len(), ring.is_empty(), ring.capacity()), (kept.len(), kept.is_empty(), size));
                prop_assert_eq!(ring.to_vec().unwrap(), kept);
            }
        }
    }
}
