//! What of the output of a command is kept.

use super::Command;
use crate::event::check_size;
use crate::process::options::Size;

impl Command {
    /// Sets how many of the last bytes of its output are kept, of both streams together.
    pub fn capture(&mut self, size: Size) -> &mut Self {
        match size.check("spawn", "capture") {
            Ok(()) => self.capture = size,
            Err(error) => self.refuse(error),
        }
        self
    }

    /// Sets how many of the first bytes of its output are kept besides the last, for [`Process::captured`]; the default
    /// is none. Nothing is kept twice: until so much was written, the last bytes are none.
    ///
    /// [`Process::captured`]: crate::Process::captured
    pub fn capture_head(&mut self, bytes: u64) -> &mut Self {
        match check_size("spawn", "capture head", bytes) {
            Ok(()) => self.capture_head = bytes,
            Err(error) => self.refuse(error),
        }
        self
    }

    /// Sets how many of the last lines of its output are kept, as far as their bytes are ([`Command::capture`]); the
    /// default, 0, is any number. The first of them may have lost its start.
    pub fn capture_lines(&mut self, lines: u64) -> &mut Self {
        self.capture_lines = lines;
        self
    }

    /// Keeps standard output and standard error apart, each in a capture of the size, the head and the lines that the
    /// command sets, instead of both in order of arrival. [`Process::output`](crate::Process::output) then has standard
    /// output first.
    ///
    /// ```
    /// use coreproc::{Command, Service, ServiceOptions, Stream};
    ///
    /// # fn main() -> coreproc::Result<()> {
    /// let service = Service::new(ServiceOptions::default())?;
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo trouble >&2; echo fine"]).capture_apart();
    /// let process = command.spawn(&service)?;
    /// process.wait(None)?;
    /// assert_eq!(process.captured(Some(Stream::Stderr))?.tail, b"trouble\n");
    /// assert_eq!(process.output()?, b"fine\ntrouble\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn capture_apart(&mut self) -> &mut Self {
        self.captures_apart = true;
        self
    }
}
