//! The pseudo-terminal of a child: its size, and the end of what is typed at it.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::{Child, Inner};
use crate::error::{Error, Result};
use crate::process::descriptor::FIRST;
use crate::process::input::{Fed, Input};
use crate::runtime::lock;
use crate::sys::deliver::Target;
use crate::sys::poller::Interest;
use crate::sys::{descriptor, pidfd, pty, thread};

impl Child {
    /// Changes the size of its terminal.
    pub(crate) fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        const OPERATION: &str = "resize";
        let inner = lock(&self.inner);
        match inner.outputs.terminal() {
            Some(terminal) => pty::resize(terminal, columns, rows)
                .map_err(|errno| Error::system(OPERATION, "TIOCSWINSZ", errno).on(format!("process {}", self.id))),
            None if inner.life.has_ended() => Err(self.not_running(OPERATION)),
            None => Err(Error::invalid(OPERATION, "it has no pseudo-terminal").on(format!("process {}", self.id))),
        }
    }

    /// Brings it to the foreground of the host's terminal again, and has it go on.
    pub(crate) fn to_foreground(&self) -> Result<()> {
        const OPERATION: &str = "foreground";
        let mut inner = lock(&self.inner);
        if inner.life.has_ended() {
            return Err(self.not_running(OPERATION));
        }
        let on = |error: Error| error.on(format!("process {}", self.id));
        match inner.outputs.extra().and_then(|extra| extra.foreground.as_mut()) {
            Some(foreground) => foreground.give(self.pid).map_err(on)?,
            None => return Err(on(Error::invalid(OPERATION, "its command did not ask for the foreground"))),
        }
        self.send(&inner, OPERATION, libc::SIGCONT, Target::Group)
    }

    /// Gives the foreground back to the host, if the child has it.
    pub(super) fn take_foreground_back(&self, inner: &mut Inner, may_go_on: bool) {
        if let Some(foreground) = inner.outputs.extra().and_then(|extra| extra.foreground.as_mut()) {
            foreground.take_back(may_go_on);
        }
    }

    /// Gives the foreground back to the host if the child has been stopped, and not been brought to the foreground again
    /// since. Under the lock, so that it comes before or after a call that does that.
    pub(super) fn see_stop(self: &Arc<Self>, inner: &mut Inner) {
        if inner.outputs.extra().is_none_or(|extra| extra.foreground.is_none()) {
            return;
        }
        if inner.outputs.stops().is_some() {
            self.take_changes(inner);
        } else if inner.life.pidfd().is_some_and(pidfd::take_stop) {
            self.take_foreground_back(inner, true);
        }
    }

    /// Has a thread give the foreground back to the host whenever the child is stopped, of which no descriptor tells.
    pub(super) fn watch_stops(self: &Arc<Self>, inner: &mut Inner) -> std::result::Result<(), i32> {
        if inner.outputs.extra().is_none_or(|extra| extra.foreground.is_none()) {
            return Ok(());
        }
        let Some(pidfd) = inner.life.pidfd().filter(|_| !inner.life.has_ended()) else { return Ok(()) };
        let pidfd = descriptor::duplicate(pidfd.as_fd())?;
        let (child, owner) = (Arc::downgrade(self), Arc::clone(&self.owner));
        let watch = move || {
            loop {
                let is_stopped = pidfd::await_stop(&pidfd);
                if owner.reactor().check_descriptors(&*owner, "watch stops").is_err() {
                    // The number may be another file's.
                    std::mem::forget(pidfd);
                    return;
                }
                let Some(child) = child.upgrade().filter(|_| is_stopped) else { return };
                child.see_stop(&mut lock(&child.inner));
            }
        };
        thread::start("coreproc-fg", watch).map(|_| ()).map_err(|error| error.errno().unwrap_or(libc::EAGAIN))
    }

    /// Types the end of input at a terminal, if this input is one, and closes the input. If the terminal cannot take it
    /// now, it follows what waits there. False if nothing is to be typed.
    pub(super) fn close_by_typing(&self, inner: &mut Inner, number: u16) -> bool {
        let token = inner.slot_of_input(number).token(self.id);
        let Some(input) = inner.input(number) else { return false };
        if !input.can_type_end() {
            return matches!(input, Input::Feeding(feed) if feed.closes);
        }
        input.type_end();
        let poller = &self.reactor().poller;
        if let Input::Feeding(feed) = input {
            let is_done = feed.write() == Fed::Done;
            feed.watched = feed.watched || !is_done && poller.watch(&feed.fd, token, Interest::Writable).is_ok();
            if is_done || !feed.watched {
                self.end_input(inner, number, Input::Closed);
            }
        }
        self.wake_waiters();
        true
    }

    /// Closes the input that is the terminal, because the terminal is to be hung up.
    pub(super) fn end_typing(&self, inner: &mut Inner) {
        for number in 0..FIRST {
            if inner.input(number).is_some_and(|input| input.is_terminal()) {
                self.end_input(inner, number, Input::Closed);
            }
        }
    }
}
