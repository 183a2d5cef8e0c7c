//! [`Input`]: our side of one input of a child, while it runs: a pipe or a terminal for the host's writes, or a pipe
//! into which the loop writes what the command gave.

use std::sync::Arc;

use crate::sys::close_on_fork::CloseOnFork;
use crate::sys::descriptor::{self, set_nonblocking};
use crate::sys::pipe;
use crate::sys::pty;

pub(super) enum Input {
    /// It is no pipe of ours.
    Absent,
    /// A pipe, or a terminal, for the host's writes.
    Open(Pipe),
    /// A call has closed it.
    Closed,
    /// It was found to have no reader, at this time on CLOCK_MONOTONIC.
    Deserted(u64),
    /// A pipe for bytes that the command gave, or a terminal for the end of its input. Boxed, because it is rare and soon over.
    Feeding(Box<Feed>),
    /// The bytes that the command gave are written, or not wanted any more.
    Fed,
}

pub(super) struct Pipe {
    pub(super) fd: CloseOnFork,
    /// Whether a thread is in the middle of a write.
    pub(super) busy: bool,
    /// Whether it was full, and has not reported room since.
    pub(super) full: bool,
    /// Whether the poller has it.
    pub(super) watched: bool,
    typing: Typing,
}

/// What is known of what was typed at a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typing {
    /// It is no terminal.
    Never,
    /// The terminal has no end of input that could be typed.
    Raw,
    /// Nothing, or whole lines.
    Lines,
    /// A part of a line.
    InLine,
}

/// Bytes on their way into a pipe.
pub(super) struct Feed {
    pub(super) fd: CloseOnFork,
    /// Whether the poller has it.
    pub(super) watched: bool,
    /// Whether a call has closed the input, and the bytes are to tell the reader.
    pub(super) closes: bool,
    bytes: Arc<Vec<u8>>,
    written: usize,
}

/// What became of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// The pipe is full, and reports when it has room.
    Full,
    /// The pipe took all that one turn may write, and may have room for more.
    Paused,
    /// Everything is written, or there is no reader: the pipe is to be closed.
    Done,
}

/// Writes of one input before others get their turn.
const WRITES_AT_ONCE: usize = 16;
/// The bytes of one write.
const AT_ONCE: usize = 64 * 1024;

impl Input {
    /// Takes the write end of a pipe, for the host's writes.
    pub(super) fn pipe(fd: CloseOnFork) -> Input {
        Input::Open(Pipe { fd, busy: false, full: false, watched: false, typing: Typing::Never })
    }

    /// Takes our side of a terminal, for the host's writes. In a raw one, no character is the end of input.
    pub(super) fn terminal(fd: CloseOnFork, is_raw: bool) -> Input {
        let typing = if is_raw { Typing::Raw } else { Typing::Lines };
        Input::Open(Pipe { fd, busy: false, full: false, watched: false, typing })
    }

    /// Returns whether it is a terminal at which the end of input can be typed.
    pub(super) fn can_type_end(&self) -> bool {
        matches!(self, Input::Open(pipe) if matches!(pipe.typing, Typing::Lines | Typing::InLine))
    }

    pub(super) fn is_terminal(&self) -> bool {
        match self {
            Input::Open(pipe) => pipe.typing != Typing::Never,
            Input::Feeding(feed) => feed.closes,
            _ => false,
        }
    }

    /// Makes the end of input what is to be written, in place of the host's writes.
    pub(super) fn type_end(&mut self) {
        if let Input::Open(Pipe { fd, watched, typing, .. }) = std::mem::replace(self, Input::Closed) {
            let bytes = Arc::new(pty::end_of_input(&fd, typing == Typing::InLine));
            *self = Input::Feeding(Box::new(Feed { fd, watched, closes: true, bytes, written: 0 }));
        }
    }

    /// Writes to a new pipe as much as it takes, before there is a reader that could close it. Usually that is all, and
    /// nothing of the pipe is left to be watched. A larger pipe takes what is more.
    pub(super) fn feed(fd: CloseOnFork, bytes: &Arc<Vec<u8>>) -> descriptor::Result<Input> {
        set_nonblocking(&fd)?;
        if bytes.len() > AT_ONCE {
            pipe::grow(&fd);
        }
        let mut feed = Feed { fd, watched: false, closes: false, bytes: Arc::clone(bytes), written: 0 };
        Ok(if feed.write() == Fed::Done { Input::Fed } else { Input::Feeding(Box::new(feed)) })
    }

    /// Returns how many bytes that the command gave are not written yet.
    pub(super) fn unwritten(&self) -> u64 {
        match self {
            Input::Feeding(feed) if !feed.closes => (feed.bytes.len() - feed.written) as u64,
            _ => 0,
        }
    }
}

impl Pipe {
    /// Writes once without waiting; see [`pipe::write`].
    pub(super) fn write(&mut self, data: &[u8]) -> descriptor::Result<usize> {
        let written = pipe::write(&self.fd, data)?;
        if let Some(last) = data[..written].last()
            && matches!(self.typing, Typing::Lines | Typing::InLine)
        {
            self.typing = if matches!(last, b'\n' | b'\r') { Typing::Lines } else { Typing::InLine };
        }
        Ok(written)
    }
}

impl Feed {
    /// Writes until the pipe is full or all is written, but not for ever: others have their turn, too.
    pub(super) fn write(&mut self) -> Fed {
        for _ in 0..WRITES_AT_ONCE {
            let rest = &self.bytes[self.written..];
            if rest.is_empty() {
                return Fed::Done;
            }
            match pipe::write(&self.fd, &rest[..rest.len().min(AT_ONCE)]) {
                Ok(count) => self.written += count,
                Err(libc::EAGAIN) => return Fed::Full,
                // Nobody reads it any more: no error of a pipe is cured by writing on.
                Err(_) => return Fed::Done,
            }
        }
        Fed::Paused
    }
}
