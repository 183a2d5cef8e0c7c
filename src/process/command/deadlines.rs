//! The deadlines of a command besides its timeout. Each ends in its stop policy, and the cause of the end says which it
//! was.

use std::time::Duration;

use super::Command;
use crate::event::Cause;
use crate::process::deadlines::Deadlines;
use crate::process::descriptor::Descriptor;
use crate::process::stdio::Output;
use crate::sys::clock::exact;

impl Command {
    /// Sets the time in which it has to write its first byte, from its start: to any output that the library reads. If it
    /// has not, it is stopped by its stop policy, with [`Cause::StartTimeout`]. What it wrote in time counts, even if the
    /// library reads it later. The greatest value of this and of each other deadline is none.
    ///
    /// ```
    /// use coreproc::{Cause, Command, Service, ServiceOptions};
    /// use std::time::Duration;
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let process = Command::new("sleep").arg("60").start_timeout(Duration::from_millis(50)).spawn(&service)?;
    /// assert_eq!(process.wait(None)?.ending.map(|ending| ending.cause), Some(Cause::StartTimeout));
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn start_timeout(&mut self, time: Duration) -> &mut Self {
        if time.is_zero() {
            return self.mistaken("start timeout", "is zero");
        }
        self.deadlines.start = (time != Duration::MAX).then_some(time);
        self
    }

    /// Sets how long it may write nothing to any of the outputs that the library reads, from its start and after each
    /// output. Then it is stopped by its stop policy, with [`Cause::Silence`]. Time in which a full queue keeps the
    /// library from reading does not count, and time in which it is suspended does. If there is a start timeout, the time
    /// until the first output is bounded by that alone.
    ///
    /// ```
    /// use coreproc::{Cause, Command, Service, ServiceOptions};
    /// use std::time::Duration;
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo begun; sleep 60"]).silence_timeout(Duration::from_millis(300));
    /// let process = command.spawn(&service)?;
    /// assert_eq!(process.wait(None)?.ending.map(|ending| ending.cause), Some(Cause::Silence));
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn silence_timeout(&mut self, time: Duration) -> &mut Self {
        if time.is_zero() {
            return self.mistaken("silence timeout", "is zero");
        }
        self.deadlines.silence = (time != Duration::MAX).then_some(time);
        self
    }

    /// Sets how much CPU time it may use, in user and kernel mode, together with the children that it has waited for (as
    /// `times(2)` counts). Then it is stopped by its stop policy, with [`Cause::CpuTime`].
    ///
    /// The library looks at `/proc/PID/stat` when the limit could be reached at the earliest, which is when all
    /// processors of the system had worked for it since the last look, and at most 100 times a second. So the end comes
    /// up to 10 ms late for each processor that it uses, and later if the library's host is suspended. Children that it
    /// has not waited for do not count.
    ///
    /// A system whose /proc does not show this process cannot do it: the spawn fails with
    /// [`Unsupported`](crate::ErrorKind::Unsupported). A process that becomes another user's, where /proc is hidden
    /// (`hidepid`), counts without its children.
    ///
    /// ```
    /// use coreproc::{Cause, Command, Service, ServiceOptions};
    /// use std::time::Duration;
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "while :; do :; done"]).cpu_time_limit(Duration::from_millis(100));
    /// let process = command.spawn(&service)?;
    /// assert_eq!(process.wait(None)?.ending.map(|ending| ending.cause), Some(Cause::CpuTime));
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn cpu_time_limit(&mut self, time: Duration) -> &mut Self {
        if time.is_zero() {
            return self.mistaken("cpu time limit", "is zero");
        }
        self.deadlines.cpu = (time != Duration::MAX).then_some(time);
        self
    }

    /// Sets how many bytes it may write to the outputs that the library reads, all together. When more have been read, it
    /// is stopped by its stop policy, with [`Cause::OutputLimit`]. All that is read is still kept and delivered, also
    /// beyond the limit, as far as it comes until the process has ended. A process that has ended by itself when the
    /// library reads beyond its limit keeps its cause; [`Info::stdout_bytes`](crate::Info::stdout_bytes) tells how much
    /// it was.
    ///
    /// ```
    /// use coreproc::{Cause, Command, Service, ServiceOptions};
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let process = Command::new("yes").output_limit(1_000_000).spawn(&service)?;
    /// let info = process.wait(None)?;
    /// assert_eq!(info.ending.map(|ending| ending.cause), Some(Cause::OutputLimit));
    /// assert!(info.stdout_bytes > 1_000_000);
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn output_limit(&mut self, bytes: u64) -> &mut Self {
        if bytes == 0 {
            return self.mistaken("output limit", "is zero");
        }
        self.deadlines.output = (bytes != u64::MAX).then_some(bytes);
        self
    }

    /// Finds a deadline of outputs of which the library reads none.
    pub(super) fn deadline_contradiction(&self) -> Option<(&'static str, &'static str)> {
        let Deadlines { start, silence, output, .. } = &self.deadlines;
        let stage = match (start, silence, output) {
            (Some(_), _, _) => "start timeout",
            (_, Some(_), _) => "silence timeout",
            (_, _, Some(_)) => "output limit",
            _ => return None,
        };
        let is_read = |output: &Output| matches!(output, Output::Default | Output::Pipe | Output::Spool);
        let reads = is_read(&self.stdout)
            || is_read(&self.stderr)
            || self.descriptors.iter().any(|(_, descriptor)| matches!(descriptor, Descriptor::Output));
        (!reads).then_some((stage, "the library reads no output of the process"))
    }

    /// Says what a process of this command has done that ended for this cause; None if the cause is no deadline.
    pub(crate) fn past_limit(&self, cause: Cause) -> Option<String> {
        let time = |time: Option<Duration>| exact(time.unwrap_or_default());
        let Deadlines { start, silence, cpu, output } = &self.deadlines;
        Some(match cause {
            Cause::Timeout => format!("timed out after {}", time(self.timeout)),
            Cause::StartTimeout => format!("wrote nothing in its first {}", time(*start)),
            Cause::Silence => format!("wrote nothing for {}", time(*silence)),
            Cause::CpuTime => format!("used more than {} of CPU time", time(*cpu)),
            Cause::OutputLimit => format!("wrote more than {} bytes", output.unwrap_or_default()),
            _ => return None,
        })
    }
}
