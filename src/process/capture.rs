//! [`Capture`]: keeps the last bytes of a process's output, in order of arrival. They are copied into a ring as long as
//! the process writes little; once it writes much, slices of the blocks that were read are kept.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ring::RingBytes;
use crate::sys::block::{Filling, LEAST_SHARED, Pool, Slice};
use crate::sys::copy::append;
use crate::sys::space::Bytes;
use crate::util::copied;

/// The last bytes of an output, up to a size. The bytes before them are counted.
pub(super) enum Capture {
    Ring(RingBytes),
    Chain(Box<Chain>),
}

impl Capture {
    pub(super) fn new(size: usize) -> Capture {
        Capture::Ring(RingBytes::new(size))
    }

    /// Returns how many bytes were overwritten, or never stored.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Capture::Ring(ring) => ring.dropped(),
            Capture::Chain(chain) => chain.dropped,
        }
    }

    /// Returns whether it is large enough to keep slices.
    pub(super) fn can_share(&self) -> bool {
        match self {
            Capture::Ring(ring) => ring.size() >= LEAST_SHARED,
            Capture::Chain(_) => true,
        }
    }

    /// Keeps the bytes, in place of the oldest if it is full.
    pub(super) fn write(&mut self, bytes: &Bytes<'_>) {
        match (self, bytes) {
            (Capture::Ring(ring), bytes) => {
                copied::note(bytes.len().min(ring.size()));
                ring.write(bytes);
            }
            (Capture::Chain(chain), Bytes::Shared(slice)) => chain.push(slice),
            // There is no memory for a block, although all that was kept has been given up for one.
            (Capture::Chain(chain), Bytes::Borrowed(bytes)) => chain.drop_all_and(bytes.len()),
        }
    }

    /// Keeps slices from now on, if it is large enough. What it holds is copied, once, to `filling` and the blocks after
    /// it; if there is no memory for that, it stays as it is.
    pub(super) fn share(&mut self, filling: &mut Filling, pool: &Arc<Pool>) {
        if !self.can_share() {
            return;
        }
        let Capture::Ring(ring) = self else { return };
        let mut chain = Chain { slices: VecDeque::new(), len: 0, size: ring.size(), dropped: ring.dropped() };
        for mut piece in ring.pieces() {
            while !piece.is_empty() {
                if filling.room() == 0 {
                    let Some(next) = Filling::new(pool) else { return };
                    *filling = next;
                }
                let slice = filling.copy(piece);
                copied::note(slice.len());
                piece = &piece[slice.len()..];
                chain.push(&slice);
            }
        }
        *self = Capture::Chain(Box::new(chain));
    }

    /// Gives up the oldest block for the memory of another one; false if it holds none.
    pub(super) fn give_up_block(&mut self) -> bool {
        match self {
            Capture::Ring(_) => false,
            Capture::Chain(chain) => chain.give_up_block(),
        }
    }

    /// Returns what it holds, oldest first, with room for the NUL that C gets after it; None when memory is short.
    pub(super) fn to_vec(&self) -> Option<Vec<u8>> {
        match self {
            Capture::Ring(ring) => ring.to_vec(),
            Capture::Chain(chain) => chain.to_vec(),
        }
    }
}

/// Slices of blocks, in order of arrival. They take about as much memory as they have bytes, because the reads of a
/// process fill one block after another.
pub(super) struct Chain {
    slices: VecDeque<Slice>,
    /// How many bytes the slices have.
    len: usize,
    size: usize,
    dropped: u64,
}

impl Chain {
    fn push(&mut self, slice: &Slice) {
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
    fn drop_all_and(&mut self, more: usize) {
        self.dropped += (self.len + more) as u64;
        self.len = 0;
        self.slices.clear();
    }

    fn give_up_block(&mut self) -> bool {
        let Some(oldest) = self.slices.front().cloned() else { return false };
        while self.slices.front().is_some_and(|slice| slice.shares_block_with(&oldest)) {
            self.drop_oldest(usize::MAX);
        }
        true
    }

    fn to_vec(&self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        all.try_reserve_exact(self.len + 1).ok()?;
        self.slices.iter().for_each(|slice| append(&mut all, slice));
        Some(all)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::block::BLOCK_SIZE;
    use proptest::prelude::*;

    /// What the library does with an output: each write is a read, into the room of a block once the capture shares.
    struct Reading {
        capture: Capture,
        filling: Option<Filling>,
        pool: Arc<Pool>,
        all: Vec<u8>,
    }

    impl Reading {
        fn new(size: usize) -> Reading {
            Reading { capture: Capture::new(size), filling: None, pool: Arc::new(Pool::new(4)), all: Vec::new() }
        }

        fn share(&mut self) {
            let filling = self.filling.get_or_insert_with(|| Filling::new(&self.pool).unwrap());
            self.capture.share(filling, &self.pool);
        }

        fn write(&mut self, len: usize) {
            let bytes: Vec<u8> = (0..len).map(|index| ((self.all.len() + index) % 251) as u8).collect();
            self.all.extend(&bytes);
            let mut rest = &bytes[..];
            while let Some(filling) = self.filling.as_mut().filter(|_| !rest.is_empty()) {
                if filling.room() == 0 {
                    *filling = Filling::new(&self.pool).unwrap();
                }
                let slice = filling.copy(rest);
                rest = &rest[slice.len()..];
                self.capture.write(&Bytes::Shared(slice));
            }
            if !rest.is_empty() {
                self.capture.write(&Bytes::Borrowed(rest));
            }
        }

        fn is_the_end_of_all(&self, size: usize) -> bool {
            let kept = self.all.len().min(size);
            let dropped = (self.all.len() - kept) as u64;
            self.capture.to_vec().unwrap() == self.all[self.all.len() - kept..] && self.capture.dropped() == dropped
        }
    }

    proptest! {
        #[test]
        fn keeps_the_last_bytes_and_counts_the_rest(
            size in prop_oneof![0usize..70, LEAST_SHARED - 2..LEAST_SHARED + 2 * BLOCK_SIZE],
            writes in prop::collection::vec(
                prop_oneof![0usize..100, 4000usize..5000, BLOCK_SIZE - 100..BLOCK_SIZE + 100], 0..20),
            shares_after in 0usize..20,
        ) {
            let mut reading = Reading::new(size);
            for (index, write) in writes.into_iter().enumerate() {
                if index == shares_after && reading.capture.can_share() {
                    reading.share();
                }
                reading.write(write);
                prop_assert!(reading.is_the_end_of_all(size));
            }
        }
    }

    #[test]
    fn a_full_capture_gives_its_blocks_back() {
        let mut reading = Reading::new(LEAST_SHARED);
        reading.share();
        (0..100).for_each(|_| reading.write(10_000));
        let Capture::Chain(chain) = &reading.capture else { panic!("it shares") };
        let mut blocks = 1;
        for (slice, next) in chain.slices.iter().zip(chain.slices.iter().skip(1)) {
            blocks += usize::from(!slice.shares_block_with(next));
        }
        assert!(blocks <= LEAST_SHARED / BLOCK_SIZE + 2, "{blocks} blocks");
        assert!(reading.is_the_end_of_all(LEAST_SHARED));
    }

    #[test]
    fn a_capture_gives_up_its_oldest_bytes_for_a_block_and_then_all_that_comes() {
        let mut reading = Reading::new(LEAST_SHARED);
        reading.share();
        reading.write(BLOCK_SIZE + 10);
        assert!(reading.capture.give_up_block());
        assert_eq!(reading.capture.to_vec().unwrap(), &reading.all[BLOCK_SIZE..]);
        assert!(reading.capture.give_up_block() && !reading.capture.give_up_block());
        reading.capture.write(&Bytes::Borrowed(b"lost"));
        assert_eq!((reading.capture.to_vec().unwrap().len(), reading.capture.dropped()), (0, BLOCK_SIZE as u64 + 14));
    }
}
