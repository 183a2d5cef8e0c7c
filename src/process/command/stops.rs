//! Whether a process is stopped, and told.

use std::time::Duration;

use super::Command;

impl Command {
    /// Has it told when a signal stops the process and when it runs on: by [`EventKind::Stopped`] and
    /// [`EventKind::Continued`], and as [`Info::stopped`]. A process in the background that reads from its terminal, or
    /// writes to one that is set to `tostop`, is stopped by SIGTTIN or SIGTTOU.
    ///
    /// No descriptor tells it and SIGCHLD belongs to the host, so the service looks once in each `interval`, at all such
    /// processes together: by `waitid(2)` with WSTOPPED and WCONTINUED, and by `/proc/PID/stat` for a change that the host
    /// has waited for itself, whose signal is not known any more. Zero is 100 ms. The greatest value looks only when
    /// [`Process::look_for_stops`] asks. A host that waits for such changes itself may miss those that the service has
    /// seen.
    ///
    /// Both events alternate, and a stop that is over when the service looks is not told. They come before
    /// [`EventKind::Exited`], and a process that ends while it is stopped is not told to continue. While more waits for a
    /// subscriber than its queue is to hold, the service does not look. A tree that is frozen
    /// ([`Process::pause`]) is not stopped by a signal.
    ///
    /// ```
    /// use coreproc::{Command, EventKind, Scope, Service, ServiceOptions, SubscriptionOptions};
    /// use std::time::Duration;
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let events = service.subscribe(SubscriptionOptions::default())?;
    /// let process = Command::new("sleep").arg("60").report_stops(Duration::from_millis(10)).spawn(&service)?;
    /// process.pause(Scope::Process)?;
    /// let mut kinds = Vec::new();
    /// while kinds.len() < 2 {
    ///     kinds.extend(events.take(0, None)?.events().map(|event| event.kind));
    /// }
    /// assert_eq!(kinds, [EventKind::Started, EventKind::Stopped { signal: 19 }]);
    /// assert_eq!(process.info()?.stopped, Some(19));
    /// process.stop(None)?;
    /// # process.wait(None)?;
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The spawn fails with `InvalidArgument` if the interval is shorter than a millisecond, and not zero.
    ///
    /// [`EventKind::Stopped`]: crate::EventKind::Stopped
    /// [`EventKind::Continued`]: crate::EventKind::Continued
    /// [`EventKind::Exited`]: crate::EventKind::Exited
    /// [`Info::stopped`]: crate::Info::stopped
    /// [`Process::look_for_stops`]: crate::Process::look_for_stops
    /// [`Process::pause`]: crate::Process::pause
    pub fn report_stops(&mut self, interval: Duration) -> &mut Self {
        const DEFAULT: Duration = Duration::from_millis(100);
        const SHORTEST: Duration = Duration::from_millis(1);
        if !interval.is_zero() && interval < SHORTEST {
            return self.mistaken("report stops", "is shorter than a millisecond");
        }
        self.stops = Some(if interval.is_zero() { DEFAULT } else { interval });
        self
    }
}
