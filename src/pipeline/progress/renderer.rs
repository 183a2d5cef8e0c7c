//! [`Renderer`]: makes lines of the events of a run.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::controls::{Colours, line};
use super::options::ProgressOutput;
use super::order::{AttemptId, Order, Verdict};
use super::screen::{Kind, Paint, Screen};
use crate::event::{Event, EventKind, SpecState};
use crate::pipeline::result::RunReport;
use crate::pipeline::run::Run;
use crate::pipeline::snapshot::Progress;
use crate::pipeline::text;
use crate::sys::clock::monotonic_ns;

/// The state of the run, and how much longer it will take.
pub(super) struct Place {
    pub(super) progress: Progress,
    pub(super) left: Option<Duration>,
}

/// The most columns of a prefix.
const PREFIX: usize = 24;
/// The most lines for running specs on a terminal.
const RUNNING: usize = 8;

pub(super) struct Renderer {
    screen: Screen,
    output: ProgressOutput,
    order: Order,
    total: usize,
    /// The names of specs as they are shown, for specs with events so far.
    names: HashMap<usize, Arc<str>>,
    /// The columns to which prefixes are filled.
    prefix: usize,
    /// When the run was started, on CLOCK_MONOTONIC.
    started: u64,
    /// How many lines were added since the last frame.
    fresh: usize,
    /// Whether the run has told its end.
    ended: bool,
    /// The id of the run, once it is known.
    run: Option<u64>,
    /// Whether the last line was added.
    finished: bool,
}

impl Renderer {
    pub(super) fn new(screen: Screen, output: ProgressOutput) -> Renderer {
        Renderer {
            screen,
            output,
            order: Order::new(output),
            total: 0,
            names: HashMap::new(),
            prefix: 0,
            started: 0,
            fresh: 0,
            ended: false,
            run: None,
            finished: false,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.screen.kind == Kind::Terminal
    }

    /// Returns the id of the run that it shows: this run, unless it shows another already.
    pub(super) fn shows(&mut self, run: &Run) -> u64 {
        *self.run.get_or_insert(run.id())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns whether there are enough lines for a frame.
    pub(super) fn is_full(&self) -> bool {
        self.fresh >= 1000 || self.ended || self.stands_still()
    }

    /// See [`Screen::stands_still`].
    pub(super) fn stands_still(&self) -> bool {
        self.screen.stands_still()
    }

    /// Allows lines to be omitted, from now on, while the screen stands still.
    pub(super) fn may_omit(&mut self) {
        self.screen.may_omit = true;
    }

    /// See [`Screen::is_behind`].
    pub(super) fn is_behind(&self) -> bool {
        self.screen.is_behind()
    }

    /// See [`Screen::wait_until_it_moves`].
    pub(super) fn wait_until_it_moves(&self, patience: Duration) {
        self.screen.wait_until_it_moves(patience);
    }

    /// Writes what was not written yet, after the last line.
    pub(super) fn write_on(&mut self) {
        self.screen.draw(&[]);
    }

    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.screen.take_error()
    }

    /// Takes an event of the run.
    pub(super) fn event(&mut self, event: &Event<'_>, run: &Run) {
        let Some(part) = event.part.filter(|part| part.run_id == run.id()) else { return };
        match (event.kind, part.spec) {
            (EventKind::RunStarted, _) => self.begin(event, run),
            (EventKind::RunEnded { .. }, _) => self.ended = true,
            (kind, Some(spec)) => {
                let known = self.names.entry(spec);
                let name = known.or_insert_with(|| text::short(run.spec_name(spec).unwrap_or_default()).into());
                let name = Arc::clone(name);
                self.spec_event(kind, event, (spec, part.attempt), &name);
            }
            _ => {}
        }
    }

    fn begin(&mut self, event: &Event<'_>, run: &Run) {
        self.total = run.spec_count();
        self.order.begin(self.total);
        self.started = event.time.monotonic_ns;
        let names = (0..self.total).filter_map(|index| run.spec_name(index));
        self.prefix = names.map(|name| text::columns(&text::short(name))).max().unwrap_or(0).min(PREFIX);
    }

    fn spec_event(&mut self, kind: EventKind, event: &Event<'_>, id: AttemptId, name: &str) {
        match kind {
            EventKind::SpecStarted => {
                let line = self.start_line(id.1, name);
                self.order.started(id, line);
            }
            EventKind::SpecRetrying { status } => {
                let reason = text::clean(&String::from_utf8_lossy(event.data));
                let what = format!("{}: {reason}, another attempt follows", took(event));
                let line = self.verdict_line("retry", Paint::Colour(33), name, &what);
                let verdict = Verdict { line, is_last: false, had_process: status.is_some() };
                self.order.ended(id, verdict, monotonic_ns());
            }
            EventKind::SpecEnded { state, status } => {
                let line = self.ended_line(state, name, event);
                let verdict = Verdict { line, is_last: true, had_process: status.is_some() };
                self.order.ended(id, verdict, monotonic_ns());
            }
            EventKind::Started => self.order.opened(id),
            EventKind::Output { .. } => {
                let line = self.output_line(id.0, name, event.data);
                self.order.wrote(id, &line);
            }
            EventKind::Closed { .. } => {
                let more = self.verdict_line("more", Paint::Dim, name, "");
                self.order.closed(id, &more);
            }
            _ => return,
        }
        self.put_ready();
    }

    /// Makes the line about the start of an attempt. It is empty on a terminal, which shows the specs that run below.
    fn start_line(&self, attempt: u32, name: &str) -> String {
        if self.is_terminal() {
            return String::new();
        }
        let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        self.verdict_line("start", Paint::None, name, &again)
    }

    fn ended_line(&self, state: SpecState, name: &str, event: &Event<'_>) -> String {
        let (word, paint) = match state {
            SpecState::Passed => ("pass", Paint::Colour(32)),
            SpecState::Failed => ("FAIL", Paint::Colour(31)),
            SpecState::TimedOut => ("TIME", Paint::Colour(31)),
            SpecState::Cancelled => ("stop", Paint::Colour(35)),
            SpecState::Skipped => ("skip", Paint::Colour(36)),
        };
        let mut what = String::new();
        if state != SpecState::Skipped {
            what = took(event);
        }
        let reason = text::clean(&String::from_utf8_lossy(event.data));
        // The line says already that the spec was skipped.
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

    /// Makes a line of output: after the name of its spec, or below the line of its attempt.
    fn output_line(&self, spec: usize, name: &str, bytes: &[u8]) -> String {
        let shown = line(bytes, self.colours());
        if self.output == ProgressOutput::Prefixed {
            format!("{} {shown}", self.prefixed(spec, name))
        } else {
            format!("    {shown}")
        }
    }

    /// Writes `name |`, filled to equal width and, on a terminal, in a colour of its own.
    fn prefixed(&self, spec: usize, name: &str) -> String {
        const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];
        let cut = text::cut(name, PREFIX);
        let room = self.prefix.saturating_sub(text::columns(&cut));
        let prefix = format!("{cut}{} |", " ".repeat(room));
        if self.is_terminal() { Paint::Colour(COLOURS[spec % COLOURS.len()]).on(&prefix) } else { prefix }
    }

    fn put_ready(&mut self) {
        for line in self.order.take_lines() {
            self.put(&line);
        }
    }

    /// Returns when there is something to show even if no event comes.
    pub(super) fn due(&self) -> Option<u64> {
        self.order.due()
    }

    /// Writes the lines that have come and, on a terminal, the specs that run.
    pub(super) fn draw(&mut self, place: &Place) {
        self.order.pass_time(monotonic_ns());
        self.put_ready();
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

    /// Adds the last line, once, after the rest of the output.
    pub(super) fn finish(&mut self, report: &RunReport) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.order.finish();
        self.put_ready();
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
        self.screen.last_line(&format!("{} in {}: {what}", paint.on(word), text::duration(report.duration)));
        self.screen.draw(&[]);
    }
}

/// Returns how long a spec or an attempt took, as its report says.
fn took(event: &Event<'_>) -> String {
    format!(" {}", text::duration(Duration::from_nanos(event.took_ns)))
}

/// Writes `[=====> ] 3 of 12 done, 1 failed, 2 running, 12 s, about 30 s left`; narrow terminals get no bar.
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

/// Writes a time that changes on the screen. It has whole seconds, because smaller digits would flicker.
fn whole_seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}
