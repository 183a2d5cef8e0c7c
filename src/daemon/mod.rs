//! Layer 2: the life of a daemon. PID file, registry, health server, and the order in which they start and stop.

mod entry;
mod names;
mod pid_file;
mod registry;
mod rfc3339;

pub use entry::DaemonEntry;
pub use pid_file::{PidFile, PidRead, PidState, read_pid};
pub use registry::{Listing, Problem, Registry};
