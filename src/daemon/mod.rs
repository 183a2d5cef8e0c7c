//! Layer 2: the life of a daemon. PID file, registry, health server, and the order in which they start and stop.

#[cfg(feature = "health")]
mod address;
mod client;
mod health;
#[cfg(feature = "health")]
mod http;

pub(crate) use client::{Endpoint, probe, wait_for};
pub use client::{Probe, probe_health, probe_ready, wait_for_health, wait_for_ready};
pub use health::{HealthOptions, HealthServer};
