//! What is known of a process in a few words, for people.

use std::borrow::Cow;
use std::time::Duration;

use super::capture::Captured;
use super::child::Info;
use super::process::Process;
use crate::error::{Result, describe_errno};
use crate::event::{Cause, Stream};
use crate::printable::clean;
use crate::sys::cgroup::Usage;
use crate::sys::clock::monotonic_ns;
use crate::sys::fork;
use crate::sys::pidfd::ExitStatus;
use crate::sys::procfs::Holder;
use crate::sys::rusage::ResourceUsage;
use crate::sys::signal;
use crate::util::duration::shown;

/// The most lines of a text.
const LINES: usize = 10;
/// The most lines of output, the most characters of one, and the most holders, that are shown.
const OUTPUT_LINES: usize = 5;
const LINE: usize = 160;
const HOLDERS: usize = 3;

impl Process {
    /// Tells people what became of it, in at most ten lines: its command and PID, how it ended, and why if the library
    /// was the cause; how long it ran, its CPU time and peak memory; how much it wrote and how much of that is not kept;
    /// who holds its output; and the last lines of that. The words may change; programs read [`Process::info_json`].
    ///
    /// Control characters of the process are escaped, and a long command line or line is cut.
    ///
    /// ```
    /// use coreproc::{Command, Service, ServiceOptions};
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let process = Command::new("sh").args(["-c", "echo trouble >&2; exit 3"]).spawn(&service)?;
    /// process.wait(None)?;
    /// let text = process.post_mortem()?;
    /// assert!(text.starts_with(&format!("process 1, PID {}: sh -c echo trouble >&2; exit 3\n", process.pid())));
    /// assert!(text.contains("exited with code 3 after "));
    /// assert!(text.ends_with("last lines of its output:\n  trouble\n"));
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn post_mortem(&self) -> Result<String> {
        fork::check("post mortem")?;
        Ok(Known::of(self).text())
    }
}

/// What is known of a process.
pub(super) struct Known {
    pub(super) info: Info,
    pub(super) command: String,
    pub(super) holders: Vec<Holder>,
    pub(super) last_lines: Vec<String>,
    /// How many bytes the capture holds; None if there was no memory to look.
    kept: Option<usize>,
}

impl Known {
    pub(super) fn of(process: &Process) -> Known {
        let child = process.child();
        let info = child.info();
        // Standard error comes first where each output has a capture of its own: it says more about an end.
        let captured = |stream| child.captured(stream).ok();
        let captures: Vec<Captured> = match captured(None) {
            Some(both) => vec![both],
            None => [Stream::Stderr, Stream::Stdout].into_iter().filter_map(|stream| captured(Some(stream))).collect(),
        };
        let last_lines = captures.iter().map(|output| last_lines(&ending_of(output))).find(|lines| !lines.is_empty());
        Known {
            holders: child.holders(),
            command: child.command_line(),
            last_lines: last_lines.unwrap_or_default(),
            kept: (!captures.is_empty())
                .then(|| captures.iter().map(|output| output.head.len() + output.tail.len()).sum()),
            info,
        }
    }

    fn text(&self) -> String {
        let info = &self.info;
        let mut lines = vec![format!("process {}, PID {}: {}", info.id, info.pid, self.command)];
        lines.push(self.end());
        lines.extend(info.rusage.map(used));
        lines.push(self.written());
        lines.extend(info.usage.and_then(of_tree));
        if info.drain_bound {
            lines.push(self.held());
        }
        if let Some(errno) = info.stop_refused {
            lines.push(format!("its stop is refused: {}", describe_errno(errno)));
        }
        if !self.last_lines.is_empty() {
            lines.push("last lines of its output:".to_owned());
            let room = LINES - lines.len();
            let skipped = self.last_lines.len().saturating_sub(room);
            lines.extend(self.last_lines[skipped..].iter().map(|line| format!("  {line}")));
        }
        lines.join("\n") + "\n"
    }

    fn end(&self) -> String {
        let Some(ending) = self.info.ending else {
            let time = monotonic_ns().saturating_sub(self.info.started.monotonic_ns);
            return format!("runs, since {}", shown(Duration::from_nanos(time)));
        };
        let how = match ending.status {
            ExitStatus::Code(code) => format!("exited with code {code}"),
            ExitStatus::Signal { core_dumped, .. } => {
                let core = if core_dumped { ", with a core dump," } else { "" };
                format!("ended by {}{core}", describe(ending.status))
            }
            ExitStatus::Unknown => "ended, how is unknown because the host reaped it,".to_owned(),
        };
        let time = shown(self.info.duration().unwrap_or_default());
        match reason(ending.cause) {
            "" => format!("{how} after {time}"),
            reason => format!("{how} after {time}: {reason}"),
        }
    }

    fn written(&self) -> String {
        let info = &self.info;
        let mut text = format!("wrote {} to stdout, {} to stderr", size(info.stdout_bytes), size(info.stderr_bytes));
        if let Some(kept) = self.kept {
            text += &format!("; {} kept", size(kept as u64));
        }
        for (bytes, what) in [
            (info.dropped_bytes, "not kept"),
            (info.discarded_bytes, "discarded"),
            (info.unwritten_bytes, "of its input not taken"),
        ] {
            if bytes > 0 {
                text += &format!(", {} {what}", size(bytes));
            }
        }
        text
    }

    fn held(&self) -> String {
        let name = |holder: &Holder| match holder.pid {
            Some(pid) => format!("{pid} {}", cut(&holder.command)),
            None => cut(&holder.command),
        };
        let names: Vec<String> = self.holders.iter().take(HOLDERS).map(name).collect();
        let more = match self.holders.len().saturating_sub(HOLDERS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("its output is still held by {}{more}", names.join(", "))
    }
}

/// Writes `exit code 3` or `signal 9 (SIGKILL)`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal { signal: number, .. } => match signal::name(number) {
            Some(name) => format!("signal {number} ({name})"),
            None => format!("signal {number}"),
        },
        ExitStatus::Unknown => "exit status unknown: the host reaped it".to_owned(),
    }
}

/// Says what the library did and why; nothing if it did nothing.
fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Natural => "",
        Cause::Stopped => "it was stopped",
        Cause::Killed => "it was killed",
        Cause::Timeout => "its time was over",
        Cause::Cancelled => "its run was cancelled",
        Cause::StartTimeout => "it wrote nothing in time",
        Cause::Silence => "it was silent for too long",
        Cause::CpuTime => "it used too much CPU time",
        Cause::OutputLimit => "it wrote too much",
    }
}

fn used(usage: ResourceUsage) -> String {
    let bound = if usage.max_rss_is_exact { "" } else { "at most " };
    let (user, system) = (shown(usage.user), shown(usage.system));
    format!("CPU time {user} user, {system} system; peak memory {bound}{}", size(usage.max_rss_bytes))
}

/// Tells the figures of a cgroup that are known.
fn of_tree(usage: Usage) -> Option<String> {
    let mut figures = Vec::new();
    figures.extend(usage.cpu_time.map(|time| format!("CPU time {}", shown(time))));
    figures.extend(usage.memory_peak.map(|bytes| format!("peak memory {}", size(bytes))));
    figures.extend(usage.processes_peak.map(|count| format!("at most {count} processes at once")));
    let killed = usage.oom_kills.filter(|kills| *kills > 0);
    figures.extend(killed.map(|kills| format!("{kills} killed by the kernel for want of memory")));
    (!figures.is_empty()).then(|| format!("with all that it started: {}", figures.join(", ")))
}

/// Writes a number of bytes: `17 bytes`, `1.5 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 10_240 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns the last bytes of an output that are held without a gap.
fn ending_of(output: &Captured) -> Cow<'_, [u8]> {
    if output.gap == 0 && !output.head.is_empty() {
        return Cow::Owned([&output.head[..], &output.tail].concat());
    }
    Cow::Borrowed(&output.tail)
}

/// Returns the last lines of an output, as text without control characters, each cut if it is long.
fn last_lines(output: &[u8]) -> Vec<String> {
    /// More than the lines that are shown can have.
    const WINDOW: usize = OUTPUT_LINES * LINE * 4;
    let window = &output[output.len().saturating_sub(WINDOW)..];
    let text = String::from_utf8_lossy(window.strip_suffix(b"\n").unwrap_or(window));
    let lines: Vec<&str> = text.split('\n').collect();
    let shown = lines[lines.len().saturating_sub(OUTPUT_LINES)..].iter();
    let shown = shown.map(|line| cut(&clean(line.trim_end_matches('\r'))));
    if text.is_empty() { Vec::new() } else { shown.collect() }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((end, _)) => line[..end].to_owned() + "…",
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(10_239), "10239 bytes");
        assert_eq!(size(10_240), "10.0 KiB");
        assert_eq!(size(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn figures_of_a_tree_are_told_as_far_as_they_are_known() {
        assert_eq!(of_tree(Usage::default()), None);
        let usage = Usage { cpu_time: Some(Duration::from_secs(2)), memory_peak: Some(1 << 20), ..Usage::default() };
        assert_eq!(of_tree(usage).as_deref(), Some("with all that it started: CPU time 2.00 s, peak memory 1.0 MiB"));
        let usage = Usage { oom_kills: Some(2), processes_peak: Some(7), ..Usage::default() };
        let told = "with all that it started: at most 7 processes at once, 2 killed by the kernel for want of memory";
        assert_eq!(of_tree(usage).as_deref(), Some(told));
    }

    #[test]
    fn the_last_lines_are_text_and_few() {
        assert_eq!(last_lines(b""), [""; 0]);
        assert_eq!(last_lines(b"\n"), [""; 0]);
        assert_eq!(last_lines(b"a\r\n\x1b[8mb\xff"), ["a", "\\u{1b}[8mb\u{fffd}"]);
        assert_eq!(last_lines(b"1\n2\n3\n4\n5\n6\n7\n"), ["3", "4", "5", "6", "7"]);
        let long = last_lines(&b"x".repeat(1_000_000));
        assert_eq!(long, [format!("{}…", "x".repeat(LINE))]);
    }
}
