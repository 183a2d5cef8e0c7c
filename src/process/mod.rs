//! Layer 1: a [`Service`] spawns [`Command`]s as [`Process`]es, and supervises them.

mod capture;
mod child;
mod command;
mod explain;
mod launch;
pub(crate) mod member;
mod output;
#[allow(clippy::module_inception)]
mod process;
mod ring;
mod scan;
mod service;
mod stop;
mod supervisor;
mod timers;

pub use child::{Info, State};
pub use command::{Command, FileMode, Group, Output, Stdin};
pub(crate) use command::{SPOOL_MAX, duplicate};
pub use process::Process;
pub use ring::Ring;
pub use service::{CloseMode, Drain, Service, ServiceOptions, Size};
pub use stop::{Scope, StopOptions};
pub(crate) use supervisor::Supervisor;
