//! Events of a run in, lines out.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::ProgressOutput;
use super::controls::{Colours, line};
use super::screen::{Kind, Paint, Screen};
use crate::event::{Event, EventKind, RunPart, SpecState};
use crate::pipeline::result::RunReport;
use crate::pipeline::run::{Progress, Run};
use crate::pipeline::text;
use crate::sys::clock::monotonic_ns;

/// Where the run is, and how much longer it will take.
pub(super) struct Place {
    pub(super) progress: Progress,
    pub(super) left: Option<Duration>,
}

/// Columns of a prefix.
const PREFIX: usize = 24;
/// Bytes of an attempt's output that are kept until it is shown.
const GROUP: usize = 1024 * 1024;
/// Lines for running specs on a terminal.
const RUNNING: usize = 8;

/// What is to be shown of an attempt once all of its output is there: how it ended, and, grouped, its output.
#[derive(Default)]
struct Group {
    lines: String,
    dropped: usize,
    /// How it ended, once that is known.
    verdict: Option<Verdict>,
    /// There is, or was, a process; it is not closed.
    open: bool,
}

/// The line about an attempt's end.
struct Verdict {
    line: String,
    /// Was it the spec's last one?
    is_last: bool,
}

pub(super) struct Renderer {
    screen: Screen,
    output: ProgressOutput,
    total: usize,
    /// Specs whose end was shown.
    done: usize,
    /// Of the specs that something was told of, as they are shown.
    names: HashMap<usize, Arc<str>>,
    /// Columns to which prefixes are filled.
    prefix: usize,
    started: u64,
    /// The last attempt of a spec that was announced, and when it was started.
    starts: HashMap<usize, (u32, u64)>,
    groups: HashMap<(usize, u32), Group>,
    /// Lines since the last frame.
    fresh: usize,
    ended: bool,
    /// The run, once it is known.
    run: Option<u64>,
    /// The last words were said.
    finished: bool,
}

impl Renderer {
    pub(super) fn new(screen: Screen, output: ProgressOutput) -> Renderer {
        Renderer {
            screen,
            output,
            total: 0,
            done: 0,
            names: HashMap::new(),
            prefix: 0,
            started: 0,
            starts: HashMap::new(),
            groups: HashMap::new(),
            fresh: 0,
            ended: false,
            run: None,
            finished: false,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.screen.kind == Kind::Terminal
    }

    /// The run that it shows: from now on this one, unless there is one already.
    pub(super) fn shows(&mut self, run: &Run) -> u64 {
        *self.run.get_or_insert(run.id())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Has enough come for a frame?
    pub(super) fn is_full(&self) -> bool {
        self.fresh >= 1000 || self.ended
    }

    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.screen.take_error()
    }

    pub(super) fn event(&mut self, event: &Event<'_>, run: &Run) {
        let Some(part) = event.part.filter(|part| part.run_id == run.id()) else { return };
        match (event.kind, part.spec) {
            (EventKind::RunStarted, _) => self.begin(event, run),
            (EventKind::RunEnded { .. }, _) => self.ended = true,
            (kind, Some(spec)) => {
                let known = self.names.entry(spec);
                let name = known.or_insert_with(|| text::short(run.spec_name(spec).unwrap_or_default()).into());
                let name = Arc::clone(name);
                self.spec_event(kind, event, part, spec, &name);
            }
            _ => {}
        }
    }

    fn begin(&mut self, event: &Event<'_>, run: &Run) {
        self.total = run.spec_count();
        self.started = event.time.monotonic_ns;
        let names = (0..self.total).filter_map(|index| run.spec_name(index));
        self.prefix = names.map(|name| text::columns(&text::short(name))).max().unwrap_or(0).min(PREFIX);
    }

    fn spec_event(&mut self, kind: EventKind, event: &Event<'_>, part: RunPart, spec: usize, name: &str) {
        let attempt = (spec, part.attempt);
        match kind {
            EventKind::Started => {
                self.announce(event, attempt, name);
                if self.output != ProgressOutput::None {
                    self.groups.entry(attempt).or_default().open = true;
                }
            }
            EventKind::Output { .. } => self.show_output(attempt, name, event.data),
            EventKind::Closed { .. } => {
                if let Some(group) = self.groups.get_mut(&attempt) {
                    group.open = false;
                    self.show_group(attempt);
                }
            }
            EventKind::SpecStarted => self.announce(event, attempt, name),
            EventKind::SpecRetrying { status } => {
                let reason = text::clean(&String::from_utf8_lossy(event.data));
                let what = format!("{}: {reason}, another attempt follows", self.took(spec, event));
                let line = self.verdict_line("retry", Paint::Colour(33), name, &what);
                self.end_attempt(attempt, status.is_some(), Verdict { line, is_last: false });
            }
            EventKind::SpecEnded { state, status } => {
                let line = self.ended_line(state, spec, name, event);
                self.end_attempt(attempt, status.is_some(), Verdict { line, is_last: true });
            }
            _ => {}
        }
    }

    /// An attempt was started, as its process or its run says, whose events come apart: the first one counts.
    fn announce(&mut self, event: &Event<'_>, (spec, attempt): (usize, u32), name: &str) {
        let known = self.starts.get(&spec).is_some_and(|(announced, _)| *announced >= attempt);
        if known {
            return;
        }
        self.starts.insert(spec, (attempt, event.time.monotonic_ns));
        if !self.is_terminal() {
            let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let line = self.verdict_line("start", Paint::None, name, &again);
            self.put(&line);
        }
    }

    fn took(&self, spec: usize, event: &Event<'_>) -> String {
        let start = self.starts.get(&spec).map_or(event.time.monotonic_ns, |(_, start)| *start);
        format!(" {}", text::duration(Duration::from_nanos(event.time.monotonic_ns.saturating_sub(start))))
    }

    fn ended_line(&self, state: SpecState, spec: usize, name: &str, event: &Event<'_>) -> String {
        let (word, paint) = match state {
            SpecState::Passed => ("pass", Paint::Colour(32)),
            SpecState::Failed => ("FAIL", Paint::Colour(31)),
            SpecState::TimedOut => ("TIME", Paint::Colour(31)),
            SpecState::Cancelled => ("stop", Paint::Colour(35)),
            SpecState::Skipped => ("skip", Paint::Colour(36)),
        };
        let mut what = String::new();
        if state != SpecState::Skipped {
            what = self.took(spec, event);
        }
        let reason = text::clean(&String::from_utf8_lossy(event.data));
        // The line says already that it was skipped.
        let reason = reason.strip_prefix("skipped: ").unwrap_or(&reason);
        if !reason.is_empty() {
            what.push_str(": ");
            what.push_str(reason);
        }
        self.verdict_line(word, paint, name, &what)
    }

    fn verdict_line(&self, word: &str, paint: Paint, name: &str, what: &str) -> String {
        let paint = if self.is_terminal() { paint } else { Paint::None };
        format!("{} {name}{what}", paint.on(&format!("{word:<5}")))
    }

    fn put(&mut self, line: &str) {
        self.fresh += 1;
        self.screen.line(line);
    }

    fn colours(&self) -> Colours {
        if self.is_terminal() { Colours::Kept } else { Colours::Cut }
    }

    /// A line of output: at once behind its name, or kept with the others of its attempt.
    fn show_output(&mut self, attempt: (usize, u32), name: &str, bytes: &[u8]) {
        let shown = line(bytes, self.colours());
        if self.output == ProgressOutput::Prefixed {
            let prefix = self.prefixed(attempt.0, name);
            self.put(&format!("{prefix} {shown}"));
            return;
        }
        let group = self.groups.entry(attempt).or_default();
        group.lines.push_str("    ");
        group.lines.push_str(&shown);
        group.lines.push('\n');
        if group.lines.len() > GROUP {
            // A whole line, and half of the room at once: it is not moved for every line.
            let from = group.lines.len() - GROUP / 2;
            let end =
                memchr::memchr(b'\n', &group.lines.as_bytes()[from..]).map_or(group.lines.len(), |at| from + at + 1);
            group.dropped += end;
            group.lines.drain(..end);
        }
    }

    /// `name |`, of equal width, in a colour of its own on a terminal.
    fn prefixed(&self, spec: usize, name: &str) -> String {
        const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];
        let cut = text::cut(name, PREFIX);
        let room = self.prefix.saturating_sub(text::columns(&cut));
        let prefix = format!("{cut}{} |", " ".repeat(room));
        if self.is_terminal() { Paint::Colour(COLOURS[spec % COLOURS.len()]).on(&prefix) } else { prefix }
    }

    /// An attempt ended: its line is written once its output is complete, which in the stream of its process mostly
    /// comes later.
    fn end_attempt(&mut self, attempt: (usize, u32), had_process: bool, verdict: Verdict) {
        if self.output == ProgressOutput::None {
            self.put_verdict(&verdict);
            return;
        }
        // The events of a process come apart from those of the run: it may have begun, and even be closed.
        let known = self.groups.contains_key(&attempt);
        let group = self.groups.entry(attempt).or_default();
        group.verdict = Some(verdict);
        group.open |= had_process && !known;
        self.show_group(attempt);
    }

    fn show_group(&mut self, attempt: (usize, u32)) {
        let complete = |group: &&mut Group| !group.open && group.verdict.is_some();
        if self.groups.get_mut(&attempt).filter(complete).is_some()
            && let Some(group) = self.groups.remove(&attempt)
        {
            self.put_group(group);
        }
    }

    fn put_verdict(&mut self, Verdict { line, is_last }: &Verdict) {
        if !is_last {
            return self.put(line);
        }
        self.done += 1;
        self.put(&format!("{line} ({} of {})", self.done, self.total));
    }

    fn put_group(&mut self, group: Group) {
        if let Some(verdict) = &group.verdict {
            self.put_verdict(verdict);
        }
        if group.dropped > 0 {
            self.put(&format!("    … {} bytes before this are not shown", group.dropped));
        }
        for line in group.lines.lines() {
            self.put(line);
        }
    }

    /// Writes what came, and on a terminal what is going on.
    pub(super) fn draw(&mut self, place: &Place) {
        self.fresh = 0;
        let status = if self.is_terminal() && !self.ended { self.status(place) } else { Vec::new() };
        self.screen.draw(&status);
    }

    fn status(&self, place: &Place) -> Vec<(String, Paint)> {
        let (columns, rows) = self.screen.size();
        let progress = &place.progress;
        let now = monotonic_ns();
        let room = RUNNING.min(rows.saturating_sub(3));
        let mut status = Vec::new();
        for spec in progress.now.iter().take(room) {
            let took = Duration::from_nanos(now.saturating_sub(spec.started.monotonic_ns));
            let again = if spec.attempt > 1 { format!(", attempt {}", spec.attempt) } else { String::new() };
            let line = format!("  {} {}{again}", text::short(&spec.name), whole_seconds(took));
            status.push((line, Paint::Dim));
        }
        if progress.now.len() > room && room > 0 {
            status.push((format!("  and {} more", progress.now.len() - room), Paint::Dim));
        }
        status.push((summary(place, self.total, columns, self.started, now), Paint::Bold));
        status
    }

    /// The last words, once. What never became complete is shown as it is.
    pub(super) fn finish(&mut self, report: &RunReport) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let mut left: Vec<((usize, u32), Group)> = self.groups.drain().collect();
        left.sort_by_key(|(attempt, _)| *attempt);
        left.into_iter().for_each(|(_, group)| self.put_group(group));
        let counts = [
            (SpecState::Passed, "passed"),
            (SpecState::Failed, "failed"),
            (SpecState::TimedOut, "timed out"),
            (SpecState::Cancelled, "cancelled"),
            (SpecState::Skipped, "skipped"),
        ];
        let mut parts: Vec<String> = counts
            .iter()
            .map(|(state, word)| (report.count(*state), word))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let allowed = report.specs.iter().filter(|spec| spec.is_allowed_failure()).count();
        if allowed > 0 {
            parts.push(format!("{allowed} of the failures allowed"));
        }
        let (word, paint) = if report.success() { ("done", Paint::Colour(32)) } else { ("FAILED", Paint::Colour(31)) };
        let paint = if self.is_terminal() { paint } else { Paint::None };
        let what = if parts.is_empty() { "no specs".to_owned() } else { parts.join(", ") };
        self.put(&format!("{} in {}: {what}", paint.on(word), text::duration(report.duration)));
        self.screen.draw(&[]);
    }
}

/// `[=====>    ] 3 of 12 done, 1 failed, 2 running, 12 s, about 30 s left`; narrow terminals get no bar.
fn summary(place: &Place, total: usize, columns: usize, started: u64, now: u64) -> String {
    const BAR: usize = 20;
    let progress = &place.progress;
    let mut parts = vec![format!("{} of {total} done", progress.done())];
    let failed = progress.failed + progress.timed_out;
    for (count, word) in [(failed, "failed"), (progress.running, "running"), (progress.retrying, "to be repeated")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    parts.push(whole_seconds(Duration::from_nanos(now.saturating_sub(started))));
    if let Some(left) = place.left.filter(|left| !left.is_zero()) {
        parts.push(format!("about {} left", whole_seconds(left)));
    }
    let words = parts.join(", ");
    if columns < words.len() + BAR + 4 {
        return words;
    }
    let filled = (BAR * progress.done()).checked_div(total).unwrap_or(0);
    let head = if filled < BAR { ">" } else { "" };
    format!("[{:<BAR$}] {words}", format!("{}{head}", "=".repeat(filled)))
}

/// Times that change on the screen have whole seconds: they would flicker.
fn whole_seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}
