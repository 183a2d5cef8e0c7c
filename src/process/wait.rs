//! Waiting for several processes, and for one by a descriptor.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::child::{Call, State};
use super::process::Process;
use super::round::Round;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Deadline, lock};
use crate::sys::fork::Generation;
use crate::sys::{descriptor, fork, pipe};

/// Ends waits from another thread: [`wait_any`], [`wait_all`]. Cheap to clone; thread-safe. Once cancelled, it stays so.
///
/// ```
/// use coreproc::{Cancel, Command, ErrorKind, Scope, Service, ServiceOptions, State, wait_any};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("sleep").arg("60").spawn(&service)?;
/// let cancel = Cancel::new();
/// let other = cancel.clone();
/// let thread = std::thread::spawn(move || other.cancel());
/// let error = wait_any(&[&process], State::Closed, None, Some(&cancel)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Closed);
/// # thread.join().unwrap();
/// # process.kill(Scope::Default)?;
/// # process.wait(None)?;
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Cancel(Arc<Mutex<Cancelling>>, Generation);

#[derive(Default)]
struct Cancelling {
    is_cancelled: bool,
    /// The waits that it ends.
    rounds: Vec<Weak<Round>>,
}

impl Default for Cancel {
    fn default() -> Cancel {
        Cancel(Arc::default(), Generation::now())
    }
}

impl Cancel {
    /// Makes one that is not cancelled.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Fails in a child of fork of the process that made it.
    pub(crate) fn check_fork(&self, operation: &'static str) -> Result<()> {
        self.1.check(operation)
    }

    /// Ends the waits that were called with it, and those that will be: they fail with
    /// [`Closed`](crate::ErrorKind::Closed), unless what they wait for has come.
    ///
    /// # Errors
    ///
    /// `Forked` in a child of `fork`.
    pub fn cancel(&self) -> Result<()> {
        self.1.check("cancel")?;
        let mut state = lock(&self.0);
        state.is_cancelled = true;
        std::mem::take(&mut state.rounds).iter().filter_map(Weak::upgrade).for_each(|round| round.cancel());
        Ok(())
    }

    fn add(&self, round: &Arc<Round>) {
        let mut state = lock(&self.0);
        if state.is_cancelled {
            return round.cancel();
        }
        state.rounds.retain(|round| round.strong_count() > 0);
        state.rounds.push(Arc::downgrade(round));
    }
}

/// Waits until one of several processes, of one service or of several, has come so far: exited or closed. Returns its
/// index; if several have, that of the first to do so, as far as that is known. None waits for ever, zero only looks.
///
/// The thread works for the service of the first process meanwhile, as in [`Process::wait`], and is woken by any of them:
/// no thread is made, and nothing polled.
///
/// # Errors
///
/// `InvalidArgument` for no process, and for [`State::Running`]. `TimedOut` if none has come so far in time. `Closed` if
/// the wait was cancelled. `Deadlock` inside a callback, if it would wait. `Panic` or `System` if a service is broken.
///
/// ```
/// use coreproc::{Command, Scope, Service, ServiceOptions, State, wait_all, wait_any};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let slow = Command::new("sleep").arg("60").spawn(&service)?;
/// let quick = Command::new("true").spawn(&service)?;
/// assert_eq!(wait_any(&[&slow, &quick], State::Closed, None, None)?, 1);
/// slow.kill(Scope::Default)?;
/// wait_all(&[&slow, &quick], State::Closed, None, None)?;
/// # Ok::<(), coreproc::Error>(())
/// ```
pub fn wait_any(
    processes: &[&Process],
    until: State,
    timeout: Option<Duration>,
    cancel: Option<&Cancel>,
) -> Result<usize> {
    if processes.is_empty() {
        return Err(Error::invalid(OPERATION, "processes: there is none"));
    }
    wait(processes, until, 1, (timeout, cancel))?
        .ok_or_else(|| Error::new(ErrorKind::TimedOut, OPERATION, "no process has ended in time"))
}

/// Waits until all of several processes have come so far, as [`wait_any`] for one; at once if there is none.
///
/// # Errors
///
/// `TimedOut` if some have not come so far in time; else those of [`wait_any`].
pub fn wait_all(
    processes: &[&Process],
    until: State,
    timeout: Option<Duration>,
    cancel: Option<&Cancel>,
) -> Result<()> {
    wait(processes, until, processes.len(), (timeout, cancel))?
        .map(drop)
        .ok_or_else(|| Error::new(ErrorKind::TimedOut, OPERATION, "some processes have not ended in time"))
}

const OPERATION: &str = "wait";

fn wait(
    processes: &[&Process],
    until: State,
    needed: usize,
    (timeout, cancel): (Option<Duration>, Option<&Cancel>),
) -> Result<Option<usize>> {
    fork::check(OPERATION)?;
    processes.iter().try_for_each(|process| process.child().check_fork(OPERATION))?;
    cancel.map_or(Ok(()), |cancel| cancel.check_fork(OPERATION))?;
    check_state(OPERATION, until)?;
    let Some(first) = processes.first() else { return Ok(Some(0)) };
    let round = Round::new(first.child().handler(), needed);
    if let Some(cancel) = cancel {
        cancel.add(&round);
    }
    let deadline = Deadline::after(timeout);
    let check = || processes.iter().try_for_each(|process| process.child().check_service(OPERATION));
    for (index, process) in processes.iter().enumerate() {
        process.child().tell_at(until, Call::Round(Arc::clone(&round), index));
    }
    // Under the lock of the round, which is told of a service that is found to be lost.
    let check_broken = || processes.iter().try_for_each(|process| process.child().check_broken(OPERATION));
    let result = check().and_then(|()| round.wait(OPERATION, deadline, check_broken));
    processes.iter().for_each(|process| process.child().forget_round(&round));
    result
}

impl Process {
    /// Returns a descriptor that becomes readable when the process has come so far, exited or closed, for event loops that
    /// want no subscription: the read end of a pipe of its own, without blocking and close-on-exec. Its bytes mean
    /// nothing. It stays readable, and is the caller's to close. A broken service makes it readable, too.
    ///
    /// The thread of the service sees the end, so the host need not call the library. Only if the host drives the service
    /// itself ([`Subscription::drive`](crate::Subscription::drive)), its takes have to bring the end about.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for [`State::Running`]. `System` for `pipe2(2)`.
    ///
    /// ```
    /// use coreproc::{Command, Service, ServiceOptions, State};
    /// use std::io::Read;
    ///
    /// let service = Service::new(ServiceOptions::default())?;
    /// let process = Command::new("true").spawn(&service)?;
    /// let fd = process.wait_fd(State::Closed)?;
    /// let mut watched = libc::pollfd { fd: std::os::fd::AsRawFd::as_raw_fd(&fd), events: libc::POLLIN, revents: 0 };
    /// // An event loop would do this.
    /// assert_eq!(unsafe { libc::poll(&mut watched, 1, -1) }, 1);
    /// assert_eq!(process.info()?.state, State::Closed);
    /// # Ok::<(), coreproc::Error>(())
    /// ```
    pub fn wait_fd(&self, until: State) -> Result<OwnedFd> {
        const OPERATION: &str = "wait fd";
        self.child().check_fork(OPERATION)?;
        check_state(OPERATION, until)?;
        self.child().check_service(OPERATION)?;
        let failed = |errno| Error::system(OPERATION, "pipe", errno);
        let (ours, theirs) = pipe::pipe().map_err(failed)?;
        descriptor::set_nonblocking(&ours).map_err(failed)?;
        self.child().tell_at(until, Call::Pipe(theirs));
        // A service that breaks later finds the pipe and makes it readable.
        if let Err(error) = self.child().check_broken(OPERATION) {
            if error.errno() == Some(libc::EBADF) {
                // The host has closed it, and the number may be its own now.
                std::mem::forget(ours);
            }
            return Err(error);
        }
        Ok(ours)
    }
}

fn check_state(operation: &'static str, until: State) -> Result<()> {
    match until {
        State::Running => Err(Error::invalid(operation, "until: running is no end")),
        State::Exited | State::Closed => Ok(()),
    }
}
