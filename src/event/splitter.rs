//! [`Splitter`]: finds the whole lines in what was read, and keeps the line that has not ended yet.
//!
//! Lines are not told apart here: a record holds a run of whole lines, and the taker's thread splits it. A line
//! longer than the maximum leaves in pieces of exactly that size.

use memchr::{memchr, memrchr};

use super::appender::Appender;
use super::record::RecordKind;
use super::text;
use super::types::Stream;
use crate::sys::copy::append;
use crate::sys::space::Bytes;
use crate::util::copied;

/// The unfinished lines of descriptors above standard error.
type Others = Vec<(u16, Vec<u8>)>;

/// The unfinished line of each stream of one process.
#[derive(Default)]
pub(super) struct Splitter {
    partial: [Vec<u8>; 2],
    /// Those of other descriptors, which few processes have.
    #[allow(clippy::box_collection, reason = "the mailbox of most processes has none")]
    others: Option<Box<Others>>,
}

/// Returns the unfinished line of a stream.
fn partial_of<'a>(
    standard: &'a mut [Vec<u8>; 2],
    others: &'a mut Option<Box<Others>>,
    stream: Stream,
) -> &'a mut Vec<u8> {
    let number = match stream {
        Stream::Stdout => return &mut standard[0],
        Stream::Stderr => return &mut standard[1],
        Stream::Descriptor(number) => number,
    };
    let others = others.get_or_insert_default();
    let at = others.iter().position(|(known, _)| *known == number).unwrap_or_else(|| {
        others.push((number, Vec::new()));
        others.len() - 1
    });
    &mut others[at].1
}

impl Splitter {
    /// Adds what was read as records of lines.
    pub(super) fn push(&mut self, to: &mut Appender<'_>, stream: Stream, output: &Bytes<'_>, max_line: usize) {
        let bytes: &[u8] = output;
        let partial = partial_of(&mut self.partial, &mut self.others, stream);
        let mut done = 0;
        if !partial.is_empty() || bytes.len() > max_line {
            done = bytes.len() - push_slowly(to, stream, partial, bytes, max_line).len();
        }
        // The common case: whole lines, all of them shorter than the maximum, in one piece.
        let whole = memrchr(b'\n', &bytes[done..]).map_or(done, |at| done + at + 1);
        if whole > done {
            to.append_output(RecordKind::Lines(stream), output, done..whole);
        }
        if whole < bytes.len() {
            keep(to, partial, &bytes[whole..]);
        }
    }

    /// Adds what was read as a record that ends with a whole character.
    pub(super) fn push_text(&mut self, to: &mut Appender<'_>, stream: Stream, output: &Bytes<'_>) {
        let kind = RecordKind::Chunk(stream);
        let partial = partial_of(&mut self.partial, &mut self.others, stream);
        if partial.is_empty() {
            let end = output.len() - text::unfinished(output);
            if end > 0 {
                to.append_output(kind, output, 0..end);
            }
            return keep(to, partial, &output[end..]);
        }
        keep(to, partial, output);
        let end = partial.len() - text::unfinished(partial);
        if end > 0 {
            to.append(kind, &[&partial[..end]]);
            partial.drain(..end);
            partial.shrink_to(text::LONGEST);
        }
    }

    /// Adds what is left, as lines without their `\n` or as pieces: the streams have ended.
    pub(super) fn flush(&mut self, to: &mut Appender<'_>, are_lines: bool) {
        let [stdout, stderr] = std::mem::take(&mut self.partial);
        let others = self.others.take().into_iter().flat_map(|others| *others);
        let others = others.map(|(number, partial)| (Stream::Descriptor(number), partial));
        for (stream, partial) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)].into_iter().chain(others) {
            if !partial.is_empty() {
                let kind = if are_lines { RecordKind::Unterminated(stream) } else { RecordKind::Chunk(stream) };
                to.append(kind, &[&partial]);
            }
        }
    }
}

/// Finishes the line that `partial` began, and every line of a chunk that may hold overlong ones; returns
/// what the fast path may take.
fn push_slowly<'a>(
    to: &mut Appender<'_>,
    stream: Stream,
    partial: &mut Vec<u8>,
    mut bytes: &'a [u8],
    max_line: usize,
) -> &'a [u8] {
    loop {
        let end = memchr(b'\n', bytes);
        let line = &bytes[..end.unwrap_or(bytes.len())];
        keep(to, partial, line);
        let mut sent = 0;
        while partial.len() - sent > max_line {
            let end = if to.is_text { text::boundary(&partial[sent..], max_line) } else { max_line };
            to.append(RecordKind::Piece(stream), &[&partial[sent..sent + end]]);
            sent += end;
        }
        partial.drain(..sent);
        let Some(end) = end else { return &[] };
        to.append(RecordKind::Lines(stream), &[partial, b"\n"]);
        partial.clear();
        // The memory of a long line is not kept for the short lines that follow.
        partial.shrink_to(4096);
        bytes = &bytes[end + 1..];
        if bytes.len() <= max_line {
            return bytes;
        }
    }
}

fn keep(to: &mut Appender<'_>, partial: &mut Vec<u8>, bytes: &[u8]) {
    if partial.try_reserve(bytes.len()).is_ok() {
        copied::note(bytes.len());
        append(partial, bytes);
    } else {
        to.lose();
    }
}
