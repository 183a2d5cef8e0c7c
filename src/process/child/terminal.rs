//! The pseudo-terminal of a child: its size, and the end of what is typed at it.

use super::{Child, Inner};
use crate::error::{Error, Result};
use crate::process::descriptor::FIRST;
use crate::process::input::{Fed, Input};
use crate::runtime::lock;
use crate::sys::poller::Interest;
use crate::sys::pty;

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
