//! [`Capture`]: a ring that keeps the last bytes of a process's output, in order of arrival.

/// A ring of bytes. It grows as needed up to its size, then overwrites the oldest bytes and counts them.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    bytes: Vec<u8>,
    /// Where the oldest byte is, once the ring is full.
    oldest: usize,
    size: usize,
    dropped: u64,
}

impl Capture {
    pub(crate) fn new(size: usize) -> Capture {
        Capture { bytes: Vec::new(), oldest: 0, size, dropped: 0 }
    }

    /// Returns how many bytes were overwritten, or never stored.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many bytes it holds.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns how many bytes it holds at most.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Forgets what it holds, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.oldest = 0;
    }

    pub(crate) fn write(&mut self, mut data: &[u8]) {
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
        self.bytes.extend_from_slice(fits);
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
        self.bytes[self.oldest..self.oldest + first.len()].copy_from_slice(first);
        self.bytes[..second.len()].copy_from_slice(second);
        self.oldest += data.len();
        if self.oldest >= self.bytes.len() {
            self.oldest -= self.bytes.len();
        }
    }

    /// Returns what it holds, oldest first, in two pieces.
    pub(crate) fn pieces(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.oldest);
        [older, newer]
    }

    /// Returns what it holds, oldest first, with room for the NUL that C gets after it; None when memory is short.
    pub(crate) fn to_vec(&self) -> Option<Vec<u8>> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(self.bytes.len() + 1).ok()?;
        self.pieces().into_iter().for_each(|piece| copy.extend_from_slice(piece));
        Some(copy)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Capture;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_the_last_bytes_and_counts_the_rest(
            size in 0usize..70,
            writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20),
        ) {
            let mut capture = Capture::new(size);
            let mut all = Vec::new();
            for write in &writes {
                capture.write(write);
                all.extend_from_slice(write);
            }
            let kept = all.len().min(size);
            prop_assert_eq!(capture.to_vec().unwrap(), &all[all.len() - kept..]);
            prop_assert_eq!(capture.dropped(), (all.len() - kept) as u64);
        }
    }
}
