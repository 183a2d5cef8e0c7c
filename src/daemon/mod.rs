//! The life of a daemon: PID file, registry, health server, and the order in which they start and stop.
//!
//! `daemon` is what callers hold, `options` its parts, `life` its states, and `holdings` what it takes and gives back.
//! `pid_file`, `registry` and `health` also work alone. `client` asks the health of others. `signals` turns SIGTERM and
//! SIGINT into requests to stop, which `stop_handle` makes. `address` and `lock_file` serve several of them.

#[cfg(feature = "health")]
mod address;
mod client;
#[allow(clippy::module_inception, reason = "the file is named like the type in it")]
mod daemon;
mod health;
mod holdings;
mod life;
mod lock_file;
mod options;
mod pid_file;
mod registry;
mod signals;
mod stop_handle;

pub(crate) use client::{Endpoint, probe, wait_for};
pub use client::{Probe, probe_health, probe_ready, wait_for_health, wait_for_ready};
pub use daemon::Daemon;
pub use health::{HealthOptions, HealthServer};
pub use options::DaemonOptions;
pub use pid_file::{PidFile, PidRead, PidState, read_pid};
pub use registry::{DaemonEntry, Listing, Registry, RegistryNames, RegistryProblem};
#[cfg(feature = "fuzzing")]
pub(crate) use registry::{parse_entry, write_entry};
pub use stop_handle::StopHandle;
