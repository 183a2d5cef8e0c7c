//! [`Window`]: the descriptor that a host's event loop watches in place of a wait of ours.
//!
//! System calls: epoll_create1(2), epoll_ctl(2), eventfd(2), write(2).

use std::os::fd::{AsFd, BorrowedFd};

use super::descriptor::Result;
use super::epoll::{Epoll, READABLE};
use super::eventfd::EventFd;
use super::poller::Poller;

/// A descriptor that is readable while a [`Poller::wait`] would bring something, and for ever after [`Window::end`]. It
/// is an epoll of its own around the poller's, because the supervisor could take an end that the poller itself reports
/// before the host's loop has seen it.
pub(crate) struct Window {
    epoll: Epoll,
    end: EventFd,
}

impl Window {
    pub(crate) fn on(poller: &Poller) -> Result<Window> {
        let window = Window { epoll: Epoll::new()?, end: EventFd::new()? };
        window.epoll.add(poller.epoll(), 0, READABLE)?;
        window.epoll.add(&window.end, 1, READABLE)?;
        Ok(window)
    }

    /// Ends the window: what comes to the poller from now on is not for the host.
    pub(crate) fn end(&self, poller: &Poller) {
        if poller.is_lost() {
            return;
        }
        self.end.raise();
        self.epoll.remove(poller.epoll());
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
