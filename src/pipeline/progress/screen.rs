//! Where the view is written: lines that stay, and below them, on a terminal, a few that are replaced.
//!
//! A terminal or a pipe that takes nothing is never waited for here. What was to be written next is kept until it takes
//! that, and frames come afterwards.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::pipeline::text;
use crate::printable::without_commands;
use crate::sys::outlet::Outlet;
use crate::sys::terminal;

/// What the view writes to.
pub(super) enum Target {
    Outlet(Outlet),
    Writer(Box<dyn Write + Send>),
}

impl Target {
    /// How much of it was taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Outlet(outlet) => outlet.write(bytes).map_err(io::Error::from_raw_os_error),
            Target::Writer(writer) => writer.write_all(bytes).and_then(|()| writer.flush()).map(|()| bytes.len()),
        }
    }

    /// Columns and rows; what a terminal was once, where it does not say.
    fn size(&self) -> (usize, usize) {
        let size = match self {
            Target::Outlet(outlet) => terminal::size(outlet.fd()),
            Target::Writer(_) => None,
        };
        size.unwrap_or((80, 24))
    }
}

/// Is there a part that is replaced?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Terminal,
    Plain,
}

pub(super) struct Screen {
    target: Target,
    pub(super) kind: Kind,
    /// Lines that stay, and were not written yet.
    lines: String,
    /// May lines be omitted? If not, whoever adds them waits for the target instead.
    pub(super) may_omit: bool,
    /// Lines that had no room there.
    omitted: usize,
    /// What the target is to take before anything else.
    unwritten: Vec<u8>,
    /// Columns of each line below that is on the screen now.
    drawn: Vec<usize>,
    /// Why nothing is written any more.
    broken: Option<io::Error>,
}

/// Not more than this is gathered before it is written.
const ENOUGH: usize = 64 * 1024;
/// Not more than this waits for a target that takes nothing.
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

    /// Adds a line that stays. Where some may be omitted, what a target that takes nothing has no room for is counted,
    /// and the count is shown.
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

    /// As [`Screen::line`], with room for it always.
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

    /// Did the target take no more, though more is to be written?
    pub(super) fn stands_still(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Is there anything that was not written?
    pub(super) fn is_behind(&self) -> bool {
        self.stands_still() || !self.lines.is_empty() || self.omitted > 0
    }

    /// Waits until a target that stands still takes something, or so long.
    pub(super) fn wait_until_it_moves(&self, patience: Duration) {
        if let Target::Outlet(outlet) = &self.target {
            outlet.takes_within(patience);
        }
    }

    /// Writes what was to be written next; false when not all was taken.
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

    /// Writes the lines that stay, and below them `status` in place of what was there. Each of its lines is text
    /// without controls, and is cut to the terminal's width; `paint` dresses it afterwards.
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

    /// The way back over what is to be replaced. A terminal that became narrower has wrapped it.
    fn erased(&mut self, columns: usize) -> String {
        let rows: usize = self.drawn.drain(..).map(|drawn| drawn.div_ceil(columns.max(1)).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\u{1b}[{rows}A\u{1b}[J") }
    }

    /// Why nothing is written any more; said once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        let error = self.broken.as_ref()?;
        let again = error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
        self.broken.replace(again)
    }
}

/// How a word is dressed on a terminal.
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
