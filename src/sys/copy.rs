//! Copies of many bytes, whose speed does not depend on where they lie.
//!
//! libc copies many bytes at once by `rep movsb`. Some processors (AMD since Zen 3) take ten times as long for it if the
//! bytes lie up to 63 bytes lower in a page than their copy (bug 30994 of glibc), as page-aligned bytes do whose copy is
//! in memory of malloc. Pieces that are too short for that instruction are as fast, wherever they lie.

use std::mem::MaybeUninit;

/// Shorter than what any libc copies by `rep movsb`.
const PIECE: usize = 1024;

/// Copies bytes to a place of the same length.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    to.chunks_mut(PIECE).zip(from.chunks(PIECE)).for_each(|(to, from)| to.copy_from_slice(from));
}

/// Like [`copy`], to memory that need not be initialised before.
pub(crate) fn initialise(to: &mut [MaybeUninit<u8>], from: &[u8]) {
    to.chunks_mut(PIECE).zip(from.chunks(PIECE)).for_each(|(to, from)| {
        to.write_copy_of_slice(from);
    });
}

/// Appends bytes, for which there is room.
pub(crate) fn append(to: &mut Vec<u8>, from: &[u8]) {
    from.chunks(PIECE).for_each(|from| to.extend_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_copied_once() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let from: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
            let (mut to, mut appended) = (vec![0; len], vec![9]);
            copy(&mut to, &from);
            append(&mut appended, &from);
            assert_eq!(to, from);
            assert_eq!(appended[1..], from);
        }
    }
}
