//! [`PtyOptions`]: the pseudo-terminal of a command.

use crate::sys::pty::Discipline;

/// What a new pseudo-terminal does with what is written to it. A program may change that at any time, and interactive
/// ones do (`stty`, `tcsetattr(3)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PtyMode {
    /// As a user finds a terminal: what is written is echoed; the program reads whole lines, which Backspace edits and
    /// of which each has up to 4,095 bytes; Ctrl-C, Ctrl-\ and Ctrl-Z are signals; `\n` in its output becomes `\r\n`.
    #[default]
    Cooked,
    /// The same without echo.
    NoEcho,
    /// As `cfmakeraw(3)` has it: every byte passes as it is, in both directions, and nothing is echoed.
    Raw,
}

/// The pseudo-terminal of a command: its size and its mode. See [`Command::pty`](crate::Command::pty).
///
/// ```
/// use coreproc::{Command, PtyMode, PtyOptions, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let options = PtyOptions { columns: 100, rows: 30, mode: PtyMode::NoEcho };
/// let process = Command::new("sh").args(["-c", "test -t 0 && read line && echo $line && stty size"]).pty(options).spawn(&service)?;
/// process.write_stdin(b"hello\n", None)?;
/// process.wait(None)?;
/// assert_eq!(process.output()?, b"hello\r\n30 100\r\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtyOptions {
    /// Its width, in characters.
    pub columns: u16,
    /// Its height, in lines.
    pub rows: u16,
    /// What it does with what is written to it.
    pub mode: PtyMode,
}

impl Default for PtyOptions {
    /// Returns 80 columns, 24 rows, [`PtyMode::Cooked`].
    fn default() -> PtyOptions {
        PtyOptions { columns: 80, rows: 24, mode: PtyMode::Cooked }
    }
}

impl PtyMode {
    pub(super) fn discipline(self) -> Discipline {
        match self {
            PtyMode::Cooked => Discipline::Cooked,
            PtyMode::NoEcho => Discipline::NoEcho,
            PtyMode::Raw => Discipline::Raw,
        }
    }
}
