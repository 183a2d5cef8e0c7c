//! Code that the tests of coreproc share: the child program, handshakes, hosts of their own, the census of what a host
//! holds.

mod commands;
mod counts;
mod ending;
mod parallel;
mod waiting;

pub mod c_program;
pub mod census;
pub mod events;
pub mod fifo;
pub mod host;
pub mod net;
pub mod os;
pub mod pattern;
pub mod seccomp;
pub mod trace;
pub mod tree;

pub use commands::*;
pub use counts::*;
pub use ending::*;
pub use parallel::*;
pub use waiting::*;

use std::time::Duration;

/// A guard against hanging: no test passes or fails by how fast something was.
pub const GUARD: Duration = Duration::from_secs(120);
pub const GUARDED: Option<Duration> = Some(GUARD);
