//! Daemons: the PID file, the registry, the health server and its client, and a daemon's life with all of them.
//!
//! Tests that fork, change the user, the umask, the directory or the environment, or count descriptors do so in a host
//! of their own (`support::host`).

#[cfg(feature = "health")]
mod health;
#[cfg(feature = "health")]
mod health_client;
#[cfg(feature = "health")]
mod health_host;
mod life;
mod pid_file;
mod registry;
