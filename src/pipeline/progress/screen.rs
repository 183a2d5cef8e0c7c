//! [`Screen`]: writes lines that stay and, on a terminal, a few lines below them that are replaced.
//!
//! It never waits for a terminal or a pipe that takes nothing. It keeps the bytes that come next until the target takes
//! them, and draws no frame before.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::pipeline::text;
use crate::printable::without_commands;
use crate::sys::outlet::Outlet;
use crate::sys::terminal;

/// The target to which the view writes.
pub(super) enum Target {
    Outlet(Outlet),
    Writer(Box<dyn Write + Send>),
}

impl Target {
    /// Writes, and returns how many bytes the target took.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Outlet(outlet) => outlet.write(bytes).map_err(io::Error::from_raw_os_error),
            Target::Writer(writer) => writer.write_all(bytes).and_then(|()| writer.flush()).map(|()| bytes.len()),
        }
    }

    /// Columns and rows: 80 and 24 if the target does not tell.
    fn size(&self) -> (usize, usize) {
        let size = match self {
            Target::Outlet(outlet) => terminal::size(outlet.fd()),
            Target::Writer(_) => None,
        };
        size.unwrap_or((80, 24))
    }
}

/// Whether lines are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Terminal,
    Plain,
}

pub(super) struct Screen {
    target: Target,
    pub(super) kind: Kind,
    /// Lines that stay and were not written yet.
    lines: String,
    /// Whether lines may be omitted while the target takes nothing. If not, the caller waits for the target instead.
    pub(super) may_omit: bool,
    /// How many lines were omitted since this was last shown.
    omitted: usize,
    /// The bytes that the target is to take before anything else.
    unwritten: Vec<u8>,
    /// The columns of each replaceable line that is on the screen now.
    drawn: Vec<usize>,
    /// The error after which nothing more is written.
    broken: Option<io::Error>,
}

/// How many bytes of lines are gathered before they are written.
const ENOUGH: usize = 64 * 1024;
/// How many bytes of lines are kept for a target that takes nothing.
const KEPT: usize = 1024 * 1024;

impl Screen {
    pub(super) fn new(target: Target, kind: Kind) -> Screen {
        Screen {
            target,
            kind,
            lines: String::new(),
            may_omit: false,
            omitted: 0,
            unwritten: Vec::new(),
            drawn: Vec::new(),
            broken: None,
        }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        self.target.size()
    }

    /// Adds a line that stays. If lines may be omitted, those for which there is no room are counted, and the count is
    /// shown.
    pub(super) fn line(&mut self, line: &str) {
        if self.may_omit && self.lines.len() + line.len() > KEPT && self.stands_still() {
            self.omitted += 1;
            return;
        }
        self.last_line(line);
        if self.lines.len() >= ENOUGH {
            self.draw(&[]);
        }
    }

    /// Like [`Screen::line`], for a line that is never omitted.
    pub(super) fn last_line(&mut self, line: &str) {
        self.note_omitted();
        match self.kind {
            Kind::Terminal => self.lines.push_str(line),
            Kind::Plain => self.lines.push_str(&without_commands(line)),
        }
        self.lines.push('\n');
    }

    fn note_omitted(&mut self) {
        let omitted = std::mem::take(&mut self.omitted);
        if omitted > 0 {
            let _ = writeln!(self.lines, "… {omitted} lines are not shown: they were not taken in time");
        }
    }

    /// Returns whether there is more to be written than the target took.
    pub(super) fn stands_still(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Returns whether there is anything that was not written.
    pub(super) fn is_behind(&self) -> bool {
        self.stands_still() || !self.lines.is_empty() || self.omitted > 0
    }

    /// Waits until a target that stands still takes something, for at most `patience`.
    pub(super) fn wait_until_it_moves(&self, patience: Duration) {
        if let Target::Outlet(outlet) = &self.target {
            outlet.takes_within(patience);
        }
    }

    /// Writes the bytes that come before anything else. False if the target did not take all of them.
    fn write_on(&mut self) -> bool {
        if self.broken.is_none() {
            match self.target.write(&self.unwritten) {
                Ok(taken) => drop(self.unwritten.drain(..taken)),
                Err(error) => self.broken = Some(error),
            }
        }
        if self.broken.is_some() {
            self.unwritten.clear();
        }
        !self.stands_still()
    }

    /// Writes the lines that stay and, below them, `status` in place of the lines that were there. Each line of the
    /// status is text without controls; it is cut to the terminal's width, and then painted.
    pub(super) fn draw(&mut self, status: &[(String, Paint)]) {
        if !self.write_on() {
            return;
        }
        self.note_omitted();
        if self.lines.is_empty() && status.is_empty() && self.drawn.is_empty() {
            return;
        }
        let (columns, _) = self.size();
        let mut frame = self.erased(columns);
        frame.push_str(&std::mem::take(&mut self.lines));
        if self.kind == Kind::Terminal {
            for (line, paint) in status {
                // The last column is left free: some terminals wrap when it is written.
                let shown = text::cut(line, columns.saturating_sub(1));
                self.drawn.push(text::columns(&shown));
                let _ = writeln!(frame, "{}", paint.on(&shown));
            }
        }
        self.unwritten = frame.into_bytes();
        self.write_on();
    }

    /// Makes the sequence that erases the lines to be replaced, which a terminal that became narrower has wrapped.
    fn erased(&mut self, columns: usize) -> String {
        let rows: usize = self.drawn.drain(..).map(|drawn| drawn.div_ceil(columns.max(1)).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\u{1b}[{rows}A\u{1b}[J") }
    }

    /// Takes the error after which nothing more is written.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        let error = self.broken.as_ref()?;
        let again = error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
        self.broken.replace(again)
    }
}

/// How text is painted on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    None,
    Dim,
    Bold,
    Colour(u8),
}

impl Paint {
    pub(super) fn on(self, text: &str) -> String {
        match self {
            Paint::None => text.to_owned(),
            Paint::Dim => format!("\u{1b}[2m{text}\u{1b}[0m"),
            Paint::Bold => format!("\u{1b}[1m{text}\u{1b}[0m"),
            Paint::Colour(colour) => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
        }
    }
}
