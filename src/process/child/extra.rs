//! [`Extra`]: what few children have. It is boxed, so that the others do not pay for it.

use std::time::Duration;

use super::stops::Stops;
use super::watchdog::Watchdog;
use super::watchers::Watchers;
use crate::process::capture::{Capture, Shape};
use crate::process::containment::Contained;
use crate::process::deadlines::Deadlines;
use crate::process::foreground::Foreground;
use crate::process::input::Input;
use crate::process::reader::Reader;
use crate::util::duration::nanoseconds;

#[derive(Default)]
pub(in crate::process) struct Extra {
    /// The deadlines of the child besides its timeout; None if it has none.
    pub(super) watchdog: Option<Watchdog>,
    /// Whether it is stopped, if its command asked for that.
    pub(super) stops: Option<Stops>,
    /// What is to be told that the child has come so far.
    pub(super) watchers: Watchers,
    /// How many bytes were read after the child was closed, or lost from a spool.
    pub(super) discarded: u64,
    /// How many bytes that the command gave as input were not written before the input was closed.
    pub(super) unwritten: u64,
    /// The capture of standard error, if it has one of its own.
    pub(super) stderr: Option<Capture>,
    /// The pipes above standard error that the library reads.
    pub(super) outputs: Vec<ExtraOutput>,
    /// The pipes above standard error that the library writes, while the child runs.
    pub(super) inputs: Vec<(u16, Input)>,
    /// What holds it together with what it starts, if its command asked for that.
    pub(in crate::process) contained: Option<Contained>,
    /// The host's terminal, if its command asked for the foreground.
    pub(in crate::process) foreground: Option<Foreground>,
}

/// An output at a descriptor above 2. It has a capture of its own, because what a program says there is often no text
/// for people and would not be told apart from its standard output.
pub(super) struct ExtraOutput {
    pub(super) number: u16,
    /// None once it has ended.
    pub(super) reader: Option<Reader>,
    pub(super) capture: Capture,
}

impl Extra {
    pub(in crate::process) fn add_output(&mut self, number: u16, reader: Reader, capture: Shape) {
        self.outputs.push(ExtraOutput { number, reader: Some(reader), capture: Capture::new(capture) });
    }

    /// Gives standard error a capture of its own.
    pub(in crate::process) fn capture_stderr(&mut self, capture: Shape) {
        self.stderr = Some(Capture::new(capture));
    }

    pub(in crate::process) fn add_input(&mut self, number: u16, input: Input) {
        self.inputs.push((number, input));
    }

    /// Watches over the deadlines of a child that is started at `now`.
    pub(in crate::process) fn watch(&mut self, deadlines: &Deadlines, now: u64) {
        self.watchdog = Some(Watchdog::new(deadlines, now));
    }

    /// Reports the stops of a child that is started at `now`.
    pub(in crate::process) fn report_stops(&mut self, interval: Duration, now: u64) {
        self.stops = Some(Stops::new(nanoseconds(interval), now));
    }

    pub(super) fn input(&mut self, number: u16) -> Option<&mut Input> {
        self.inputs.iter_mut().find(|(known, _)| *known == number).map(|(_, input)| input)
    }
}
