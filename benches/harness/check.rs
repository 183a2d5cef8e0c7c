//! The output of the children, so that every host can prove that it has read all of it; `shared/pattern.h` is the same
//! in C.

use crate::Fallible;

pub(crate) const LINE_BYTES: usize = 80;
pub(crate) const HELLO_BYTES: usize = 64;
const PATTERN_LINES: usize = 4096;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

fn letter(number: usize) -> u8 {
    b'a' + u8::try_from(number % 26).unwrap_or(0)
}

/// Returns one line of `hello INDEX` without its newline.
fn hello(stream: &str, index: usize) -> Vec<u8> {
    let mut line = format!("{stream}{index:08x}").into_bytes();
    line.extend((12..HELLO_BYTES - 1).map(|column| letter(index + column)));
    line
}

fn fnv(line: &[u8]) -> u64 {
    line.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Returns the sum of the hashes of the lines, because lines of two streams may come in either order.
pub(crate) fn sum_lines(output: &[u8]) -> u64 {
    let whole = output.strip_suffix(b"\n").unwrap_or(output);
    whole.split(|byte| *byte == b'\n').map(fnv).fold(0, u64::wrapping_add)
}

/// Returns the bytes and the checksum of `hello 0` to `hello COUNT - 1`.
pub(crate) fn hello_total(count: usize) -> (u64, u64) {
    let checksum = (0..count)
        .flat_map(|index| [hello("out ", index), hello("err ", index)])
        .map(|line| fnv(&line))
        .fold(0, u64::wrapping_add);
    ((count * 2 * HELLO_BYTES) as u64, checksum)
}

/// Adds a line to the checksum of a stream, in which the order matters. It is cheap enough not to be what is measured.
pub(crate) fn add_line(checksum: u64, line: &[u8]) -> u64 {
    let word = line.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    checksum.wrapping_mul(FNV_PRIME).wrapping_add(word)
}

/// The text that `flood` writes again and again.
#[derive(Clone)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(LINE_BYTES * PATTERN_LINES);
        for line in 0..PATTERN_LINES {
            let number = (line as u32).wrapping_mul(2_654_435_761);
            bytes.extend(format!("{number:08x}").into_bytes());
            bytes.extend((8..LINE_BYTES - 1).map(|column| letter(line + column)));
            bytes.push(b'\n');
        }
        Self(bytes)
    }

    /// Compares a piece of the output with what belongs at that offset.
    pub(crate) fn check(&self, offset: u64, mut piece: &[u8]) -> Fallible<()> {
        let mut start = usize::try_from(offset % self.0.len() as u64)?;
        while !piece.is_empty() {
            let expected = &self.0[start..];
            let (now, later) = piece.split_at(piece.len().min(expected.len()));
            if *now != expected[..now.len()] {
                return Err("output differs from what the child wrote".into());
            }
            (piece, start) = (later, 0);
        }
        Ok(())
    }

    pub(crate) fn checksum(&self, lines: u64) -> u64 {
        self.0.chunks(LINE_BYTES).cycle().zip(0..lines).fold(0, |checksum, (line, _)| add_line(checksum, line))
    }
}
