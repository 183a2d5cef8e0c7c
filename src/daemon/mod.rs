//! Layer 2: the life of a daemon. PID file, registry, health server, and the order in which they start and stop.
//!
//! `daemon` is what callers hold, `life` its states; `pid_file`, `registry` and `health` stand alone too. `client` asks
//! the health of others, `signals` is the one thing here that touches dispositions.

#[cfg(feature = "health")]
mod address;
mod client;
#[allow(clippy::module_inception)]
mod daemon;
mod entry;
mod entry_file;
mod health;
#[cfg(feature = "health")]
mod http;
mod life;
mod listing;
mod names;
mod pid_file;
mod registry;
mod signals;

pub(crate) use client::{Endpoint, probe, wait_for};
pub use client::{Probe, probe_health, probe_ready, wait_for_health, wait_for_ready};
pub use daemon::{Daemon, DaemonOptions};
pub use entry::DaemonEntry;
pub(crate) use entry::{from_ns, to_ns};
#[cfg(feature = "fuzzing")]
pub(crate) use entry_file::parse as parse_entry;
pub use health::{HealthOptions, HealthServer};
pub use life::StopHandle;
pub use listing::{Listing, Problem as RegistryProblem};
pub use names::RegistryNames;
pub use pid_file::{PidFile, PidRead, PidState, read_pid};
pub use registry::Registry;

/// The text of an entry's file.
#[cfg(feature = "fuzzing")]
pub(crate) fn write_entry(entry: &DaemonEntry) -> std::result::Result<Vec<u8>, String> {
    entry.to_json()
}
