//! [`Order`]: the order in which lines are shown.
//!
//! The events of a run come in the order in which things happened, but those of its processes come apart from them:
//! output usually comes after the run has told the end of the attempt, and may come before the run has told its start.
//! So everything that the run tells is a step in a queue. The end of an attempt waits for its last output, later steps
//! wait behind it, and the output of an attempt waits for its start. So everything is shown in the order in which it
//! happened, and counts only grow.

use std::collections::{HashMap, VecDeque};

use super::options::ProgressOutput;

/// The index of a spec, and the number of its attempt.
pub(super) type AttemptId = (usize, u32);

/// How many bytes of an attempt's output are kept until they are shown; and how many bytes of prefixed output, of all
/// attempts, may wait for other specs' last lines.
const KEPT: usize = 1024 * 1024;
const MS: u64 = 1_000_000;

/// The output of an attempt that is not shown yet.
#[derive(Default)]
struct Attempt {
    lines: String,
    /// How many bytes were dropped because there were too many.
    dropped: usize,
    process: Process,
    phase: Phase,
}

/// The known state of the process of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Process {
    /// No event of the process has come.
    #[default]
    Unknown,
    /// More output may follow.
    Open,
    /// No more output follows.
    Closed,
}

/// The part of an attempt that was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing: its start waits in the queue, or is not known yet.
    #[default]
    Held,
    /// Its start.
    Begun,
    /// Its end, although output may follow, because the wait for that took too long.
    Told,
}

/// The line about the end of an attempt, or of a spec.
pub(super) struct Verdict {
    pub(super) line: String,
    /// Whether the spec has ended, and is counted.
    pub(super) is_last: bool,
    /// Whether the attempt had a process.
    pub(super) had_process: bool,
}

/// Something that the run has told.
enum Step {
    /// The start of an attempt. The line is empty if starts are not shown.
    Start(AttemptId, String),
    /// The end of an attempt, or of a spec.
    End {
        id: AttemptId,
        line: String,
        is_last: bool,
        /// Whether it waits for the last output.
        waits: bool,
        /// When it was told, on CLOCK_MONOTONIC.
        since: u64,
    },
}

pub(super) struct Order {
    output: ProgressOutput,
    /// How many specs there are.
    total: usize,
    /// How many specs' ends were shown.
    done: usize,
    steps: VecDeque<Step>,
    attempts: HashMap<AttemptId, Attempt>,
    /// By spec, the last attempt whose start was told.
    started: HashMap<usize, u32>,
    /// By spec, the last attempt whose end was told.
    ended: HashMap<usize, u32>,
    /// How many bytes of prefixed output wait.
    held: usize,
    /// The lines to be shown next.
    lines: Vec<String>,
}

impl Order {
    pub(super) fn new(output: ProgressOutput) -> Order {
        Order {
            output,
            total: 0,
            done: 0,
            steps: VecDeque::new(),
            attempts: HashMap::new(),
            started: HashMap::new(),
            ended: HashMap::new(),
            held: 0,
            lines: Vec::new(),
        }
    }

    /// Sets how many specs there are.
    pub(super) fn begin(&mut self, total: usize) {
        self.total = total;
    }

    /// Takes the lines that can be shown by now.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    // Events of the run.

    pub(super) fn started(&mut self, id: AttemptId, line: String) {
        // The start of an attempt that found no memory or descriptors is told again.
        if self.started.insert(id.0, id.1) != Some(id.1) {
            self.steps.push_back(Step::Start(id, line));
        }
        self.advance(None);
    }

    pub(super) fn ended(&mut self, id: AttemptId, verdict: Verdict, now: u64) {
        let Verdict { line, is_last, had_process } = verdict;
        // A spec that is cancelled between two attempts ends with an attempt that has ended before.
        let is_new = self.ended.insert(id.0, id.1) != Some(id.1);
        let waits = is_new && self.output != ProgressOutput::None;
        if waits && had_process {
            // The process may be closed already.
            let attempt = self.attempts.entry(id).or_default();
            if attempt.process == Process::Unknown {
                attempt.process = Process::Open;
            }
        }
        self.steps.push_back(Step::End { id, line, is_last, waits, since: now });
        self.advance(None);
    }

    // Events of its processes.

    pub(super) fn opened(&mut self, id: AttemptId) {
        if self.output != ProgressOutput::None {
            self.attempts.entry(id).or_default().process = Process::Open;
        }
    }

    pub(super) fn wrote(&mut self, id: AttemptId, line: &str) {
        let attempt = self.attempts.entry(id).or_default();
        if self.output == ProgressOutput::Prefixed && attempt.phase != Phase::Held {
            self.lines.push(line.to_owned());
            return;
        }
        attempt.lines.push_str(line);
        attempt.lines.push('\n');
        if self.output == ProgressOutput::Prefixed {
            self.held += line.len() + 1;
            self.advance(None);
        } else {
            attempt.shorten();
        }
    }

    /// Notes that the process of an attempt is closed. `more` is the line above output that comes after the end was
    /// shown.
    pub(super) fn closed(&mut self, id: AttemptId, more: &str) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        attempt.process = Process::Closed;
        if attempt.phase == Phase::Told
            && let Some(attempt) = self.attempts.remove(&id)
            && !attempt.lines.is_empty()
        {
            self.lines.push(more.to_owned());
            self.show(attempt);
        }
        self.advance(None);
    }

    // The passing of time.

    /// Returns when the next end has waited long enough for its last output, which a process may hold open without
    /// limit.
    pub(super) fn due(&self) -> Option<u64> {
        let patience = if self.output == ProgressOutput::Grouped { 10_000 * MS } else { 2_000 * MS };
        match self.steps.front()? {
            Step::End { since, .. } => Some(since.saturating_add(patience)),
            Step::Start(..) => None,
        }
    }

    /// Shows ends that are due.
    pub(super) fn pass_time(&mut self, now: u64) {
        self.advance(Some(now));
    }

    /// Shows the rest as it is, because nothing follows.
    pub(super) fn finish(&mut self) {
        self.pass_time(u64::MAX);
        let mut left: Vec<(AttemptId, Attempt)> = self.attempts.drain().collect();
        left.sort_by_key(|(id, _)| *id);
        left.into_iter().for_each(|(_, attempt)| self.show(attempt));
    }

    /// Takes the steps that need not wait.
    fn advance(&mut self, now: Option<u64>) {
        loop {
            let is_overdue = self.held > KEPT || self.due().zip(now).is_some_and(|(due, now)| due <= now);
            let is_ready = match self.steps.front() {
                None => return,
                Some(Step::Start(..)) => true,
                Some(Step::End { id, waits, .. }) => {
                    !waits || is_overdue || self.attempts.get(id).is_none_or(|attempt| attempt.process != Process::Open)
                }
            };
            if !is_ready {
                return;
            }
            match self.steps.pop_front() {
                Some(Step::Start(id, line)) => self.show_start(id, line),
                Some(Step::End { id, line, is_last, .. }) => self.show_end(id, line, is_last),
                None => return,
            }
        }
    }

    fn show_start(&mut self, id: AttemptId, line: String) {
        if !line.is_empty() {
            self.lines.push(line);
        }
        if self.output != ProgressOutput::Prefixed {
            return;
        }
        let attempt = self.attempts.entry(id).or_default();
        attempt.phase = Phase::Begun;
        let held = std::mem::take(&mut attempt.lines);
        self.held -= held.len();
        self.lines.extend(held.lines().map(str::to_owned));
    }

    fn show_end(&mut self, id: AttemptId, line: String, is_last: bool) {
        if is_last {
            self.done += 1;
            self.lines.push(format!("{line} ({} of {})", self.done, self.total));
        } else {
            self.lines.push(line);
        }
        let Some(attempt) = self.attempts.remove(&id) else { return };
        if attempt.process == Process::Open {
            let process = attempt.process;
            self.attempts.insert(id, Attempt { process, phase: Phase::Told, ..Attempt::default() });
        }
        self.show(attempt);
    }

    fn show(&mut self, attempt: Attempt) {
        if attempt.dropped > 0 {
            self.lines.push(format!("    … {} bytes before this are not shown", attempt.dropped));
        }
        self.lines.extend(attempt.lines.lines().map(str::to_owned));
    }
}

impl Attempt {
    /// Drops the beginning of output that is too much.
    fn shorten(&mut self) {
        if self.lines.len() <= KEPT {
            return;
        }
        // Whole lines are dropped, and half of the room at once, so that the rest is not moved for every line.
        let from = self.lines.len() - KEPT / 2;
        let end = memchr::memchr(b'\n', &self.lines.as_bytes()[from..]).map_or(self.lines.len(), |at| from + at + 1);
        self.dropped += end;
        self.lines.drain(..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AttemptId = (0, 1);
    const B: AttemptId = (1, 1);

    fn verdict(line: &str, had_process: bool) -> Verdict {
        Verdict { line: line.to_owned(), is_last: true, had_process }
    }

    fn order(output: ProgressOutput) -> Order {
        let mut order = Order::new(output);
        order.begin(3);
        order
    }

    /// Makes an order in which `a` has ended and its dependent has started, but the last line of `a` has not come.
    fn waiting(output: ProgressOutput) -> Order {
        let mut order = order(output);
        order.started(A, "start a".to_owned());
        order.opened(A);
        order.ended(A, verdict("FAIL  a", true), 0);
        order.ended((2, 0), verdict("skip  c", false), 0);
        order.started(B, "start b".to_owned());
        order.opened(B);
        order.wrote(B, "b 1");
        assert_eq!(order.take_lines(), ["start a"]);
        order
    }

    #[test]
    fn what_comes_after_a_spec_waits_for_its_end_and_that_for_its_last_line() {
        let mut order = waiting(ProgressOutput::Prefixed);
        order.wrote(A, "a last");
        order.closed(A, "more a");
        order.wrote(B, "b 2");
        let expected = ["a last", "FAIL  a (1 of 3)", "skip  c (2 of 3)", "start b", "b 1", "b 2"];
        assert_eq!(order.take_lines(), expected);

        let mut order = waiting(ProgressOutput::Grouped);
        order.wrote(A, "a last");
        order.closed(A, "more a");
        assert_eq!(order.take_lines(), ["FAIL  a (1 of 3)", "a last", "skip  c (2 of 3)", "start b"]);
        order.ended(B, verdict("pass  b", true), 0);
        assert!(order.take_lines().is_empty());
        order.closed(B, "more b");
        assert_eq!(order.take_lines(), ["pass  b (3 of 3)", "b 1"]);
    }

    #[test]
    fn a_process_that_is_over_before_its_run_tells_of_it_waits_for_its_start() {
        for output in [ProgressOutput::Prefixed, ProgressOutput::Grouped] {
            let mut order = order(output);
            order.opened(A);
            order.wrote(A, "a 1");
            order.closed(A, "more a");
            assert!(order.take_lines().is_empty());
            order.started(A, "start a".to_owned());
            order.ended(A, verdict("pass  a", true), 0);
            let mut lines = order.take_lines();
            assert_eq!(lines.remove(0), "start a");
            lines.sort();
            assert_eq!(lines, ["a 1", "pass  a (1 of 3)"]);
        }
    }

    #[test]
    fn an_end_of_which_no_event_of_its_process_came_waits_for_them() {
        for output in [ProgressOutput::Prefixed, ProgressOutput::Grouped] {
            let mut order = order(output);
            order.started(A, "start a".to_owned());
            order.ended(A, verdict("pass  a", true), 0);
            assert_eq!(order.take_lines(), ["start a"]);
            order.opened(A);
            order.closed(A, "more a");
            assert_eq!(order.take_lines(), ["pass  a (1 of 3)"]);
        }
    }

    #[test]
    fn a_spec_that_is_cancelled_between_two_attempts_waits_for_nothing_more() {
        let mut order = order(ProgressOutput::Prefixed);
        order.started(A, "start a".to_owned());
        order.opened(A);
        order.closed(A, "more a");
        order.ended(A, Verdict { line: "retry a".to_owned(), is_last: false, had_process: true }, 0);
        order.ended(A, verdict("stop  a", true), 0);
        assert_eq!(order.take_lines(), ["start a", "retry a", "stop  a (1 of 3)"]);
    }

    #[test]
    fn an_end_whose_last_line_does_not_come_is_told_in_time() {
        for (output, more) in [(ProgressOutput::Prefixed, &[][..]), (ProgressOutput::Grouped, &["more a"])] {
            let mut order = waiting(output);
            let due = order.due().expect("something waits");
            order.pass_time(due - 1);
            assert!(order.take_lines().is_empty());
            order.pass_time(due);
            assert_eq!(order.take_lines()[..3], ["FAIL  a (1 of 3)", "skip  c (2 of 3)", "start b"]);
            assert_eq!(order.due(), None);
            order.wrote(A, "a last");
            order.closed(A, "more a");
            assert_eq!(order.take_lines(), [more, &["a last"]].concat());
        }
    }

    #[test]
    fn live_output_that_waits_takes_no_more_than_a_mebibyte() {
        let mut order = waiting(ProgressOutput::Prefixed);
        let line = "x".repeat(1023);
        let before = (0..).take_while(|_| {
            order.wrote(B, &line);
            order.lines.is_empty()
        });
        assert_eq!(before.count(), 1023);
        assert_eq!(order.take_lines()[..4], ["FAIL  a (1 of 3)", "skip  c (2 of 3)", "start b", "b 1"]);
        assert_eq!(order.held, 0);
    }

    #[test]
    fn at_the_end_all_is_shown() {
        let mut order = waiting(ProgressOutput::Grouped);
        order.finish();
        assert_eq!(order.take_lines(), ["FAIL  a (1 of 3)", "skip  c (2 of 3)", "start b", "b 1"]);
    }
}
