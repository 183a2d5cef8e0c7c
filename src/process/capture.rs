//! [`Capture`]: keeps the last bytes of a process's output, in order of arrival. They are copied into a ring as long as
//! the process writes little; once it writes much, slices of the blocks that were read are kept. On request it keeps the
//! first bytes as well, and of the last only so many lines.

use std::sync::Arc;

use memchr::memrchr_iter;

use super::chain::Chain;
use super::ring::RingBytes;
use crate::sys::block::{Filling, LEAST_SHARED, Pool};
use crate::sys::copy::append;
use crate::sys::space::Bytes;
use crate::util::copied;

/// What a capture keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many of the last bytes.
    pub(super) tail: usize,
    /// How many of the first bytes.
    pub(super) head: usize,
    /// How many of the last lines, at most; 0: any number.
    pub(super) lines: u64,
}

/// What a capture holds of the output of a process.
///
/// ```
/// use coreproc::{Captured, Command, Service, ServiceOptions, Size};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("seq").arg("1000").capture(Size::Bytes(9)).capture_head(4).spawn(&service)?;
/// process.wait(None)?;
/// let Captured { head, gap, tail } = process.captured(None)?;
/// assert_eq!((&head[..], gap, &tail[..]), (&b"1\n2\n"[..], 3880, &b"999\n1000\n"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes, if [`Command::capture_head`](crate::Command::capture_head) asked for them.
    pub head: Vec<u8>,
    /// How many bytes between the first and the last are not held.
    pub gap: u64,
    /// The last bytes.
    pub tail: Vec<u8>,
}

/// The last bytes of an output, up to a size. The bytes before them are counted.
pub(super) enum Capture {
    Ring(RingBytes),
    Chain(Box<Chain>),
    Shaped(Box<Shaped>),
}

/// A capture of a [`Shape`] that few commands ask for.
pub(super) struct Shaped {
    head: Vec<u8>,
    /// How many bytes the head still lacks.
    lacks: usize,
    lines: u64,
    tail: Capture,
}

impl Capture {
    pub(super) fn new(shape: Shape) -> Capture {
        let tail = Capture::Ring(RingBytes::new(shape.tail));
        if shape.head == 0 && shape.lines == 0 {
            return tail;
        }
        Capture::Shaped(Box::new(Shaped { head: Vec::new(), lacks: shape.head, lines: shape.lines, tail }))
    }

    /// Returns how many bytes were overwritten, or never stored.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Capture::Ring(ring) => ring.dropped(),
            Capture::Chain(chain) => chain.dropped,
            Capture::Shaped(shaped) => shaped.gap(),
        }
    }

    /// Returns whether it is large enough to keep slices.
    pub(super) fn can_share(&self) -> bool {
        match self {
            Capture::Ring(ring) => ring.size() >= LEAST_SHARED,
            Capture::Chain(_) => true,
            Capture::Shaped(shaped) => shaped.tail.can_share(),
        }
    }

    /// Keeps the bytes, in place of the oldest if it is full.
    pub(super) fn write(&mut self, bytes: &Bytes<'_>) {
        match (self, bytes) {
            (Capture::Ring(ring), bytes) => {
                copied::note(bytes.len().min(ring.size()));
                ring.write(bytes);
            }
            (Capture::Shaped(shaped), bytes) => shaped.write(bytes),
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
        let ring = match self {
            Capture::Ring(ring) => ring,
            Capture::Chain(_) => return,
            Capture::Shaped(shaped) => return shaped.tail.share(filling, pool),
        };
        let mut chain = Chain::new(ring.size(), ring.dropped());
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
            Capture::Shaped(shaped) => shaped.tail.give_up_block(),
        }
    }

    /// Returns what it holds, oldest first, with room for the NUL that C gets after it; None when memory is short.
    pub(super) fn to_vec(&self) -> Option<Vec<u8>> {
        let (head, skip) = match self {
            Capture::Shaped(shaped) => (&shaped.head[..], shaped.cut()),
            _ => (&[][..], 0),
        };
        let mut all = Vec::new();
        all.try_reserve_exact(head.len() + self.len() - skip + 1).ok()?;
        append(&mut all, head);
        self.append_tail(&mut all, skip);
        Some(all)
    }

    /// Returns what it holds, as it is to be shown; None when memory is short.
    pub(super) fn captured(&self) -> Option<Captured> {
        let Capture::Shaped(shaped) = self else {
            return Some(Captured { head: Vec::new(), gap: self.dropped(), tail: self.to_vec()? });
        };
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        head.try_reserve_exact(shaped.head.len()).ok()?;
        append(&mut head, &shaped.head);
        let skip = shaped.cut();
        tail.try_reserve_exact(self.len() - skip).ok()?;
        self.append_tail(&mut tail, skip);
        Some(Captured { head, gap: shaped.gap(), tail })
    }

    /// Returns how many of the last bytes it holds.
    fn len(&self) -> usize {
        match self {
            Capture::Ring(ring) => ring.pieces().map(<[u8]>::len).iter().sum(),
            Capture::Chain(chain) => chain.len(),
            Capture::Shaped(shaped) => shaped.tail.len(),
        }
    }

    /// Appends the last bytes without the first `skip` of them.
    fn append_tail(&self, to: &mut Vec<u8>, mut skip: usize) {
        for piece in self.pieces() {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            append(to, &piece[skipped..]);
        }
    }

    /// Returns the last bytes in pieces, oldest first.
    fn pieces(&self) -> Vec<&[u8]> {
        match self {
            Capture::Ring(ring) => ring.pieces().to_vec(),
            Capture::Chain(chain) => chain.slices.iter().map(|slice| &slice[..]).collect(),
            Capture::Shaped(shaped) => shaped.tail.pieces(),
        }
    }
}

impl Shaped {
    fn write(&mut self, bytes: &Bytes<'_>) {
        let take = bytes.len().min(self.lacks);
        if take == 0 {
            return self.tail.write(bytes);
        }
        if self.head.try_reserve(take).is_err() {
            // Without memory for more, the head ends here.
            self.lacks = 0;
            return self.tail.write(bytes);
        }
        copied::note(take);
        append(&mut self.head, &bytes[..take]);
        self.lacks -= take;
        if take < bytes.len() {
            self.tail.write(&bytes.part(take..bytes.len()));
        }
    }

    /// Returns how many bytes lie between the first and the last.
    fn gap(&self) -> u64 {
        self.tail.dropped() + self.cut() as u64
    }

    /// Returns how many of the last bytes are too many lines.
    fn cut(&self) -> usize {
        if self.lines == 0 {
            return 0;
        }
        let mut left = self.lines;
        let mut before = self.tail.len();
        for piece in self.tail.pieces().into_iter().rev() {
            before -= piece.len();
            for at in memrchr_iter(b'\n', piece) {
                // The last newline ends the last line, and begins none.
                if before + at + 1 == self.tail.len() {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    return before + at + 1;
                }
            }
        }
        0
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
            Reading {
                capture: Capture::new(Shape { tail: size, ..Shape::default() }),
                filling: None,
                pool: Arc::new(Pool::new(4)),
                all: Vec::new(),
            }
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

    proptest! {
        #[test]
        fn a_shape_keeps_the_first_bytes_and_the_last_lines(
            tail in prop_oneof![0usize..70, LEAST_SHARED..LEAST_SHARED + BLOCK_SIZE],
            head in prop_oneof![Just(0), 1usize..100, 60_000usize..70_000],
            lines in prop_oneof![Just(0), 1u64..5, 300u64..1_000],
            writes in prop::collection::vec(prop_oneof![0usize..100, BLOCK_SIZE - 100..BLOCK_SIZE + 100], 0..12),
            shares_after in 0usize..12,
        ) {
            let mut reading = Reading::new(0);
            reading.capture = Capture::new(Shape { tail, head, lines });
            for (index, write) in writes.into_iter().enumerate() {
                if index == shares_after && reading.capture.can_share() {
                    reading.share();
                }
                reading.write(write);
                let (first, rest) = reading.all.split_at(head.min(reading.all.len()));
                let mut kept = &rest[rest.len() - tail.min(rest.len())..];
                if lines > 0 {
                    let whole: Vec<&[u8]> = kept.split_inclusive(|byte| *byte == b'\n').collect();
                    let last = &whole[whole.len() - whole.len().min(lines as usize)..];
                    kept = &kept[kept.len() - last.iter().map(|line| line.len()).sum::<usize>()..];
                }
                let gap = (rest.len() - kept.len()) as u64;
                let captured = reading.capture.captured().unwrap();
                prop_assert_eq!(captured.gap, gap);
                prop_assert_eq!(reading.capture.dropped(), gap);
                prop_assert!(captured.head == first && captured.tail == kept);
                prop_assert!(reading.capture.to_vec().unwrap() == [first, kept].concat());
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
