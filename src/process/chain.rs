//! [`Chain`]: the last bytes of an output as slices of the blocks that they were read into.

use std::collections::VecDeque;

use crate::sys::block::Slice;

/// Slices of blocks, in order of arrival. They take about as much memory as they have bytes, because the reads of a
/// process fill one block after another.
pub(super) struct Chain {
    pub(super) slices: VecDeque<Slice>,
    /// How many bytes the slices have.
    len: usize,
    size: usize,
    pub(super) dropped: u64,
}

impl Chain {
    pub(super) fn new(size: usize, dropped: u64) -> Chain {
        Chain { slices: VecDeque::new(), len: 0, size, dropped }
    }

    pub(super) fn push(&mut self, slice: &Slice) {
        let adjoins = self.slices.back_mut().is_some_and(|last| last.append(slice));
        if !adjoins {
            if self.slices.try_reserve(1).is_err() {
                // Without memory for another place, the bytes before it are given up.
                return self.drop_all_and(slice.len());
            }
            self.slices.push_back(slice.clone());
        }
        self.len += slice.len();
        while self.len > self.size {
            self.drop_oldest(self.len - self.size);
        }
    }

    /// Drops up to `count` bytes of the oldest slice.
    fn drop_oldest(&mut self, count: usize) {
        let Some(oldest) = self.slices.front_mut() else { return };
        let count = count.min(oldest.len());
        oldest.skip(count);
        if oldest.is_empty() {
            self.slices.pop_front();
        }
        self.len -= count;
        self.dropped += count as u64;
    }

    /// Drops all bytes, and `more` that cannot be kept.
    pub(super) fn drop_all_and(&mut self, more: usize) {
        self.dropped += (self.len + more) as u64;
        self.len = 0;
        self.slices.clear();
    }

    pub(super) fn give_up_block(&mut self) -> bool {
        let Some(oldest) = self.slices.front().cloned() else { return false };
        while self.slices.front().is_some_and(|slice| slice.shares_block_with(&oldest)) {
            self.drop_oldest(usize::MAX);
        }
        true
    }

    /// Returns how many bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}
