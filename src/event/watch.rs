//! What a host's event loop watches for a subscription: nothing, a pipe of the subscription's own, or, if the host
//! turns the loop itself, a window on the poller of the service.

use std::os::fd::{AsRawFd, RawFd};

use crate::runtime::Reactor;
use crate::sys::bell::Bell;
use crate::sys::window::Window;

/// Rings once for all events that come until the host's loop has looked.
#[derive(Default)]
pub(super) struct Watch {
    what: What,
    /// Whether the host's loop has been told, and has not looked since.
    rung: bool,
    /// How many takers will look once more, so that the host's loop need not be told meanwhile.
    looking: usize,
}

#[derive(Default)]
enum What {
    #[default]
    Nothing,
    Bell(Bell),
    Window(Window),
}

impl Watch {
    /// Returns the pipe, which is made when it is first asked for; `ready` says whether there is something to look at
    /// already.
    pub(super) fn pipe(&mut self, ready: bool, over: bool) -> std::result::Result<RawFd, i32> {
        if let What::Bell(bell) = &self.what {
            return Ok(bell.reader().as_raw_fd());
        }
        let mut bell = Bell::new()?;
        if ready {
            bell.ring();
        }
        if over {
            bell.end();
        }
        let fd = bell.reader().as_raw_fd();
        *self = Watch { what: What::Bell(bell), rung: ready, looking: 0 };
        Ok(fd)
    }

    pub(super) fn has_pipe(&self) -> bool {
        matches!(self.what, What::Bell(_))
    }

    /// Watches the poller from now on, through `window`; `ready` and `over` as for the pipe.
    pub(super) fn poller(&mut self, window: Window, ready: bool, over: bool, reactor: &Reactor) -> RawFd {
        let fd = window.fd().as_raw_fd();
        *self = Watch { what: What::Window(window), rung: false, looking: 0 };
        if ready {
            self.ring(reactor);
        }
        if over {
            self.end(reactor);
        }
        fd
    }

    /// Returns the window, once there is one.
    pub(super) fn window(&self) -> Option<RawFd> {
        match &self.what {
            What::Window(window) => Some(window.fd().as_raw_fd()),
            _ => None,
        }
    }

    /// Tells the host's loop that there is something to look at.
    pub(super) fn ring(&mut self, reactor: &Reactor) {
        if self.looking > 0 || std::mem::replace(&mut self.rung, true) {
            return;
        }
        match &self.what {
            What::Nothing => self.rung = false,
            What::Bell(bell) => bell.ring(),
            What::Window(_) => reactor.poller.wake(),
        }
    }

    /// Notes that a taker turns the loop, and will look at what that brings: [`Watch::leave`] follows.
    pub(super) fn enter(&mut self) {
        self.looking += 1;
    }

    /// Notes that the taker has looked; `more` says whether it leaves something to others, such as the host's loop
    /// beside it.
    pub(super) fn leave(&mut self, more: bool, reactor: &Reactor) {
        self.looking -= 1;
        if more {
            self.ring(reactor);
        }
    }

    /// Notes that a turn of the loop has taken the wake-up of the last ring, perhaps before the host's loop saw it.
    pub(super) fn taken(&mut self) {
        self.rung = false;
    }

    /// Forgets the descriptors without closing them: their numbers may be the host's.
    pub(super) fn lose(&mut self) {
        std::mem::forget(std::mem::take(self));
    }

    /// Makes whatever comes now ring: a taker has looked and found nothing.
    pub(super) fn arm(&mut self) {
        if std::mem::replace(&mut self.rung, false)
            && let What::Bell(bell) = &self.what
        {
            bell.hush();
        }
    }

    /// Notes that nothing more will come, which a loop that looks finds out.
    pub(super) fn end(&mut self, reactor: &Reactor) {
        match &mut self.what {
            What::Nothing => {}
            What::Bell(bell) => bell.end(),
            What::Window(window) => window.end(&reactor.poller),
        }
    }
}
