//! [`Ring`]: the capture as a type of its own, for programs that keep the last bytes of something else.

use std::mem::MaybeUninit;
use std::sync::Mutex;

use super::capture::Capture;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::lock;

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
pub struct Ring(Mutex<Capture>);

impl Ring {
    /// Makes an empty ring for `size` bytes, which takes no memory yet. A size of 0 keeps nothing.
    #[must_use]
    pub fn new(size: usize) -> Ring {
        Ring(Mutex::new(Capture::new(size)))
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
            first.write_copy_of_slice(older);
            second.write_copy_of_slice(newer);
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
