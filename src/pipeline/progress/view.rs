//! [`ProgressView`]: shows a run under way to people, at a terminal or in a log.
//!
//! The library prints nothing by itself. A view gets the events of a run through a subscription of its own, and writes
//! to the target that it was given, on the thread that watches. It has no thread and, except for a clock that is shown
//! on a terminal, no wake-ups.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::options::{ProgressOptions, ProgressOutput, ProgressStyle};
use super::renderer::{Place, Renderer};
use super::screen::{Kind, Screen, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Delivery, Subscription, SubscriptionOptions, SubscriptionScope};
use crate::pipeline::result::RunReport;
use crate::pipeline::run::Run;
use crate::process::Service;
use crate::runtime::Deadline;
use crate::sys::outlet::Outlet;
use crate::sys::{descriptor, terminal};

const OPEN: &str = "open progress view";

/// Shows one run. It is made before the run, which gets its subscription
/// ([`RunOptions::subscriptions`](crate::RunOptions::subscriptions)); then [`ProgressView::watch`] writes until the run
/// has ended.
///
/// While no thread watches, the run waits for the view once the view's queue is full, as for every subscription, even
/// if it is cancelled. It goes on when a thread watches or the view is dropped.
///
/// Lines come in the order in which things happened, and times are those of the report. The end of an attempt is shown
/// after its last line of output, and later events and output after that. If a process holds the output open, the end
/// is shown after two seconds (ten if output is grouped), and later output follows.
///
/// A terminal that was stopped (Ctrl-S), or a pipe that is not read, keeps no call beyond its timeout. Meanwhile
/// children are slowed once their queues are full, and everything is shown when the target goes on. Once the run is
/// cancelled, by the host, its deadline or a failure, a watch does not slow children, so that the run can end: a
/// mebibyte of lines is kept, and the number of further lines is shown.
///
/// Names are shown with control characters escaped. Output lines lose their control sequences, so that a child can
/// neither move the cursor nor hide text nor talk to the terminal; colours stay on a terminal. Plain lines often go to
/// the log of a system that reads commands in it (`::error`, `##[group]`, `##vso[…]`): a space in these makes them
/// text. Reports have the output unchanged.
///
/// ```
/// use coreproc::{Command, Pipeline, ProgressOptions, ProgressView, RunOptions, Service, ServiceOptions, Spec};
///
/// # fn main() -> coreproc::Result<()> {
/// let service = Service::new(ServiceOptions::default())?;
/// let mut pipeline = Pipeline::new();
/// pipeline.add(Spec::new("greet", { let mut echo = Command::new("echo"); echo.arg("hello"); echo }));
/// let mut view = ProgressView::to_fd(&service, std::io::stderr(), ProgressOptions::default())?;
/// let options = RunOptions { subscriptions: vec![view.subscription().clone()], ..RunOptions::default() };
/// let run = pipeline.start(&service, options)?;
/// let report = view.watch(&run, None)?;
/// assert!(report.success());
/// # Ok(())
/// # }
/// ```
pub struct ProgressView {
    subscription: Subscription,
    renderer: Renderer,
}

impl ProgressView {
    /// Makes a view that writes to a duplicate of this descriptor. A pipe or a terminal is opened again, by way of
    /// /proc, so that a write to it never waits. If that cannot be done (no /proc, another user's terminal), small
    /// pieces are written when there is room for them: a write can wait only if another process takes that room in the
    /// same moment.
    ///
    /// # Errors
    ///
    /// `System` if the descriptor cannot be duplicated. Those of [`Service::subscribe`].
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

    /// Makes a view that writes to this writer, in plain lines unless the style is `Terminal`; that is then 80 columns
    /// wide. While the writer waits, [`ProgressView::watch`] waits too.
    ///
    /// # Errors
    ///
    /// Those of [`Service::subscribe`].
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
            ProgressOutput::None => Delivery::None,
            ProgressOutput::Prefixed | ProgressOutput::Grouped => Delivery::Lines,
        };
        let wanted =
            SubscriptionOptions { scope: SubscriptionScope::Named, delivery, ..SubscriptionOptions::default() };
        let subscription = service.subscribe(wanted)?;
        Ok(ProgressView { subscription, renderer: Renderer::new(screen, options.output) })
    }

    /// Returns the subscription that the run's options must name.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Shows the run, on this thread, until it has ended and everything is shown, or until `timeout` has passed (None:
    /// no limit, not even for a terminal that stands still); then it can be called again. A view shows one run: the
    /// first that it watched.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the run has not ended in time, or the target took nothing. `InvalidState` if the run does not have
    /// the view's subscription, or is not the run that it shows. `System` if a write failed; the rest of the run is
    /// then waited for without being shown. Those of [`Run::wait`].
    pub fn watch(&mut self, run: &Run, timeout: Option<Duration>) -> Result<Arc<RunReport>> {
        self.watch_until(run, Deadline::after(timeout))
    }

    pub(crate) fn watch_until(&mut self, run: &Run, deadline: Deadline) -> Result<Arc<RunReport>> {
        const OPERATION: &str = "watch";
        /// The time between two drawings of the clock on a terminal.
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
                // No event is taken meanwhile: queues fill, and children are slowed, instead of lines being lost.
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
                // The run or its service broke, and the run has the error.
                Err(_) => return run.wait(deadline.left()),
            }
            self.renderer.draw(&place(run)?);
        }
        // Every event was queued before the last one of the run.
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

fn place(run: &Run) -> Result<Place> {
    Ok(Place { progress: run.progress()?, left: run.time_left() })
}

/// Returns whether the environment asks for plain lines (<https://no-color.org>).
fn plain_is_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb")
}
