//! The loop below everything: waits for descriptors and deadlines, and hands what comes to a [`Handler`]. Knows tokens, and
//! neither processes nor events.

mod callback;
mod deadline;
mod gate;
mod lock;
mod panic;
mod reactor;
mod seat;

pub(crate) use callback::{in_callback, is_in_callback};
pub(crate) use deadline::Deadline;
pub(crate) use gate::{Gate, wait, wait_asleep};
pub(crate) use lock::lock;
pub(crate) use panic::panic_message;
pub(crate) use reactor::{Handler, Reactor, Turn};
pub(crate) use seat::{Seat, Turned};
