//! The loop below everything: it waits for descriptors, deadlines and spools, and hands what comes to a [`Handler`]. It
//! knows tokens and keys, and neither processes nor events.
//!
//! - `reactor` is the loop and the supervisor's life in it, `seat` the right of another thread to turn it.
//! - `timers`, `spools` and `groups` are what a reactor owns besides its poller.
//! - `gate` waits for a condition under a mutex, in the seat if it is free; `deadline` says until when.
//! - `callback`, `lock` and `panic` are what all of it needs: whether a user's callback runs here, locks that outlive a
//!   panic, and the text of one.

mod callback;
mod deadline;
mod gate;
mod groups;
mod lock;
mod panic;
mod reactor;
mod seat;
mod spools;
mod timers;

pub(crate) use callback::{in_callback, is_in_callback, leave_callback};
pub(crate) use deadline::Deadline;
pub(crate) use gate::{Gate, wait, wait_asleep};
pub(crate) use lock::lock;
pub(crate) use panic::panic_message;
pub(crate) use reactor::{Handler, Reactor, Turn};
pub(crate) use seat::{Seat, Turned};
pub(crate) use timers::NEVER;
