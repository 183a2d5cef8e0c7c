//! [`ProgressView`]: a run under way, for people: at a terminal, or in a log.
//!
//! The library prints nothing by itself. A view gets the events of a run through a subscription of its own, and
//! writes to what it was given, on the thread of whoever watches; it has no thread and, but for a clock that
//! turns on a terminal, no wake-ups.

mod controls;
mod order;
mod renderer;
mod screen;

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use renderer::{Place, Renderer};
use screen::{Kind, Screen, Target};

use super::result::RunReport;
use super::run::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Subscription, SubscriptionOptions, SubscriptionScope};
use crate::process::Service;
use crate::runtime::Deadline;
use crate::sys::outlet::Outlet;
use crate::sys::{descriptor, terminal};

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressStyle {
    /// As on a terminal if it is one, `NO_COLOR` is not set (or empty) and `TERM` is not `dumb`; else plain.
    #[default]
    Auto,
    /// Lines that stay, and below them what runs, how much is done, and how long it will take.
    Terminal,
    /// Lines that stay, alone, without control sequences.
    Plain,
}

/// How the output of specs is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressOutput {
    /// Line by line, as it comes: `name | line`.
    #[default]
    Prefixed,
    /// Of each attempt at once, when it has ended; the last mebibyte. What follows more than ten seconds after the end,
    /// as something holds the output open, comes below a line of its own.
    Grouped,
    /// Not at all.
    None,
}

/// How to show a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressOptions {
    /// Where lines are replaced.
    pub style: ProgressStyle,
    /// What becomes of output.
    pub output: ProgressOutput,
}

/// Shows one run. Made before the run, which gets its subscription
/// ([`RunOptions::subscriptions`](crate::RunOptions)); then [`ProgressView::watch`] writes until the run has ended.
///
/// A run that has a view, and output that nobody watches, waits for the view once its queue is full, as every
/// subscription's, also when it is cancelled; watching goes on with it, and dropping the view lifts that.
///
/// Lines come in the order in which things happened, and times are those of the report. The end of an attempt is shown
/// behind its last line of output, and what happened after it behind that, output too; where something holds the
/// output open, at most two seconds later (grouped: ten), and what comes then follows.
///
/// A terminal that was stopped (Ctrl-S), or a pipe that nobody reads, keeps no call beyond its timeout. Its children are slowed
/// meanwhile, as soon as their queues are full, and everything is shown once it goes on. From when the run is cancelled,
/// by whatever, a watch does not slow them any more, so that the run can end: a mebibyte of lines is kept, and how many more there were
/// is shown.
///
/// Names are shown with control characters escaped. Output lines lose their control sequences, so that a child can
/// neither move the cursor nor hide what it says nor talk to the terminal; colours are kept on a terminal. In plain lines, which
/// often become the log of a system that reads commands in it (`::error`, `##[group]`, `##vso[…]`), a space makes those
/// text. Reports have what was written.
pub struct ProgressView {
    subscription: Subscription,
    renderer: Renderer,
}

impl ProgressView {
    /// A view that writes to a duplicate of this descriptor. A pipe or a terminal is opened again, by way of /proc, so that
    /// writing to it never waits. Where that cannot be done (no /proc, another user's terminal) it is written to in
    /// small pieces that it has room for: a write can wait only if another process takes that room in the same moment.
    ///
    /// # Errors
    /// [`ErrorKind::System`]: fcntl(2); those of a subscription.
    pub fn to_fd(service: &Service, fd: impl AsFd, options: ProgressOptions) -> Result<ProgressView> {
        let fd = descriptor::duplicate(fd.as_fd()).map_err(|errno| Error::system(OPEN, "fd", errno))?;
        ProgressView::to_owned_fd(service, fd, options)
    }

    pub(crate) fn to_owned_fd(service: &Service, fd: OwnedFd, options: ProgressOptions) -> Result<ProgressView> {
        let kind = match options.style {
            ProgressStyle::Auto if terminal::is_terminal(&fd) && !plain_is_wanted() => Kind::Terminal,
            ProgressStyle::Terminal => Kind::Terminal,
            ProgressStyle::Auto | ProgressStyle::Plain => Kind::Plain,
        };
        ProgressView::new(service, Screen::new(Target::Outlet(Outlet::new(fd)), kind), options)
    }

    /// A view that writes to this; plain unless told otherwise, and then 80 columns wide. A writer that waits keeps
    /// [`ProgressView::watch`] as long as it does.
    ///
    /// # Errors
    /// Those of a subscription.
    pub fn to_writer(
        service: &Service,
        writer: impl Write + Send + 'static,
        options: ProgressOptions,
    ) -> Result<ProgressView> {
        let kind = if options.style == ProgressStyle::Terminal { Kind::Terminal } else { Kind::Plain };
        ProgressView::new(service, Screen::new(Target::Writer(Box::new(writer)), kind), options)
    }

    fn new(service: &Service, screen: Screen, options: ProgressOptions) -> Result<ProgressView> {
        let delivery = match options.output {
            ProgressOutput::None => crate::Delivery::None,
            ProgressOutput::Prefixed | ProgressOutput::Grouped => crate::Delivery::Lines,
        };
        let wanted =
            SubscriptionOptions { scope: SubscriptionScope::Named, delivery, ..SubscriptionOptions::default() };
        let subscription = service.subscribe(wanted)?;
        Ok(ProgressView { subscription, renderer: Renderer::new(screen, options.output) })
    }

    /// What the run's options are to name.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Shows the run, on this thread, until it has ended and all of it is shown, or up to `timeout` (None: for
    /// ever, also for a terminal that stands still), after which it can be called again. A view shows one run: the first it watched.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; [`ErrorKind::InvalidState`] if the run does not have the view's subscription, or is not
    /// the one that it shows; [`ErrorKind::System`] when writing failed, after which it shows nothing, and waits; those
    /// of [`Run::wait`].
    pub fn watch(&mut self, run: &Run, timeout: Option<Duration>) -> Result<Arc<RunReport>> {
        self.watch_until(run, Deadline::after(timeout))
    }

    pub(crate) fn watch_until(&mut self, run: &Run, deadline: Deadline) -> Result<Arc<RunReport>> {
        const OPERATION: &str = "watch";
        /// How often the clock of a terminal turns.
        const TICK: Duration = Duration::from_millis(100);
        let timed_out = |what| Error::new(ErrorKind::TimedOut, OPERATION, what);
        let refused = |what: String| Err(Error::new(ErrorKind::InvalidState, OPERATION, what));
        if !run.has_subscription(&self.subscription) {
            return refused("the run was started without the view".to_owned());
        }
        let shown = self.renderer.shows(run);
        if shown != run.id() {
            return refused(format!("the view shows run {shown}"));
        }
        let is_terminal = self.renderer.is_terminal();
        while !self.renderer.has_ended() {
            let left = deadline.left();
            let stands_still = self.renderer.stands_still();
            if run.is_halted() {
                self.renderer.may_omit();
            } else if stands_still {
                // Nothing is taken meanwhile: queues fill, and children are slowed rather than lines lost.
                self.renderer.wait_until_it_moves(left.map_or(TICK, |left| left.min(TICK)));
                self.renderer.draw(&place(run)?);
                if self.renderer.stands_still() && deadline.left() == Some(Duration::ZERO) {
                    return Err(timed_out("what it is shown on takes nothing").on(format!("run {}", run.id())));
                }
                continue;
            }
            let due = Deadline::at(self.renderer.due()).left();
            let patience = [left, (is_terminal || stands_still).then_some(TICK), due].into_iter().flatten().min();
            match self.subscription.take_whole(patience) {
                Ok(batch) => {
                    batch.events().for_each(|event| self.renderer.event(&event, run));
                    // Many small batches make one frame.
                    while let Ok(batch) = self.subscription.take_whole(Some(Duration::ZERO)) {
                        batch.events().for_each(|event| self.renderer.event(&event, run));
                        if self.renderer.is_full() {
                            break;
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    if left.is_some_and(|left| left.is_zero()) || deadline.left() == Some(Duration::ZERO) {
                        self.renderer.draw(&place(run)?);
                        return Err(timed_out("it has not ended in time").on(format!("run {}", run.id())));
                    }
                }
                // The run broke, or its service did: it knows why.
                Err(_) => return run.wait(deadline.left()),
            }
            self.renderer.draw(&place(run)?);
        }
        // All events were queued before the last one of the run.
        let mut report = None;
        loop {
            if self.renderer.stands_still() && (report.is_some() || !run.is_halted()) {
                let left = deadline.left();
                if left == Some(Duration::ZERO) {
                    let what = "it has ended, but what it is shown on takes nothing";
                    return Err(timed_out(what).on(format!("run {}", run.id())));
                }
                self.renderer.wait_until_it_moves(left.unwrap_or(Duration::MAX));
                self.renderer.write_on();
            } else if let Ok(batch) = self.subscription.take_whole(Some(Duration::ZERO)) {
                batch.events().for_each(|event| self.renderer.event(&event, run));
            } else if report.is_none() {
                self.renderer.finish(report.insert(run.wait(None)?));
            } else if self.renderer.is_behind() {
                self.renderer.write_on();
            } else {
                break;
            }
        }
        let report = run.wait(None)?;
        match self.renderer.take_error() {
            Some(error) => Err(Error::system(OPERATION, "write", error.raw_os_error().unwrap_or(libc::EIO))),
            None => Ok(report),
        }
    }
}

const OPEN: &str = "open progress view";

fn place(run: &Run) -> Result<Place> {
    Ok(Place { progress: run.progress()?, left: run.time_left() })
}

/// Does the environment ask for plain lines? (<https://no-color.org>)
fn plain_is_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb")
}
