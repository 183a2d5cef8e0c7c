//! [`Lines`]: splits bytes into lines, 64 bytes at a time: a mask tells where the newlines of a piece are, so that a
//! short line costs no search of its own.

/// The size of a piece: a bit of the mask for each byte.
const PIECE: usize = u64::BITS as usize;

/// The lines of some bytes, without their `\n`. What follows the last `\n` is a line, too.
#[derive(Clone)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    start: usize,
    /// The newlines of the last piece that no line has ended at yet.
    newlines: u64,
    /// Where the piece after that begins.
    next_piece: usize,
}

impl<'a> Lines<'a> {
    /// Splits the bytes from `start` on.
    pub(crate) fn new(bytes: &'a [u8], start: usize) -> Lines<'a> {
        Lines { bytes, start, newlines: 0, next_piece: start }
    }

    /// Returns where the next line begins.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Returns whether no line follows.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.start >= self.bytes.len()
    }

    /// Searches the next piece; false at the end.
    #[inline]
    fn search(&mut self) -> bool {
        let Some(rest) = self.bytes.get(self.next_piece..).filter(|rest| !rest.is_empty()) else { return false };
        self.newlines = match rest.first_chunk::<PIECE>() {
            Some(piece) => newlines(piece),
            None => {
                let mut piece = [0; PIECE];
                piece[..rest.len()].copy_from_slice(rest);
                newlines(&piece)
            }
        };
        self.next_piece += PIECE;
        true
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while self.newlines == 0 {
            if !self.search() {
                let line = &self.bytes[self.start..];
                self.start = self.bytes.len();
                return (!line.is_empty()).then_some(line);
            }
        }
        let end = self.next_piece - PIECE + self.newlines.trailing_zeros() as usize;
        self.newlines &= self.newlines - 1;
        let line = &self.bytes[self.start..end];
        self.start = end + 1;
        Some(line)
    }
}

/// Returns the newlines of a piece, the first byte's bit being the lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
fn newlines(piece: &[u8; PIECE]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    const LANE: usize = 16;
    let mut mask = 0;
    for lane in 0..PIECE / LANE {
        // SAFETY: every x86-64 processor has SSE2; the lane is within the piece, and may be unaligned.
        let found = unsafe {
            let bytes = _mm_loadu_si128(piece.as_ptr().add(lane * LANE).cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n' as i8)))
        };
        mask |= u64::from(found as u16) << (lane * LANE);
    }
    mask
}

/// Returns the newlines of a piece, the first byte's bit being the lowest.
#[cfg(not(target_arch = "x86_64"))]
fn newlines(piece: &[u8; PIECE]) -> u64 {
    piece.iter().rev().fold(0, |mask, byte| mask << 1 | u64::from(*byte == b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_those_of_a_plain_split(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\n' + 128), any::<u8>()], 0..300),
            long in prop::collection::vec(prop_oneof![1 => Just(b'\n'), 60 => Just(b'x')], 0..400),
            start in 0usize..70,
        ) {
            for bytes in [bytes, long] {
                let start = start.min(bytes.len());
                let mut plain: Vec<&[u8]> = bytes[start..].split(|byte| *byte == b'\n').collect();
                if plain.last().is_some_and(|last| last.is_empty()) {
                    plain.pop();
                }
                let mut lines = Lines::new(&bytes, start);
                for line in plain {
                    prop_assert!(!lines.is_done());
                    prop_assert_eq!(line.as_ptr() as usize - bytes.as_ptr() as usize, lines.start());
                    prop_assert_eq!(lines.next(), Some(line));
                }
                prop_assert!(lines.is_done());
                prop_assert_eq!(lines.next(), None);
            }
        }
    }
}
