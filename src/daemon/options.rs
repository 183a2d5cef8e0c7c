//! [`DaemonOptions`]: the parts of a daemon, and their options.

use std::path::PathBuf;
use std::time::Duration;

use super::health::HealthOptions;
use super::registry::{DaemonEntry, Registry};

/// The parts of a daemon, and their options.
///
/// ```
/// use std::time::Duration;
///
/// use coreproc::{Daemon, DaemonOptions};
///
/// let daemon = Daemon::new(DaemonOptions {
///     pid_file: Some("/run/mailer.pid".into()),
///     health_address: Some("127.0.0.1:8081".to_owned()),
///     shutdown_timeout: Duration::from_secs(10),
///     ..DaemonOptions::default()
/// });
/// # drop(daemon);
/// ```
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The path of its PID file, if it has one.
    pub pid_file: Option<PathBuf>,
    /// How long a stop may take; [`Duration::MAX`] sets no limit.
    pub shutdown_timeout: Duration,
    /// The address of its health server, if it has one: see [`HealthServer::new`](crate::HealthServer::new).
    pub health_address: Option<String>,
    /// The limits of its health server.
    pub health: HealthOptions,
    /// The registry in which it enters itself, if any.
    pub registry: Option<Registry>,
    /// Its entry in the registry. Code and daemon are needed. The start fills in the PID, the time and the health
    /// address, and also the project (the working directory) and the binary if they are empty.
    pub entry: DaemonEntry,
}

impl Default for DaemonOptions {
    /// Returns options without PID file, health server and registry, and with 30 seconds for a stop.
    fn default() -> DaemonOptions {
        DaemonOptions {
            pid_file: None,
            shutdown_timeout: Duration::from_secs(30),
            health_address: None,
            health: HealthOptions::default(),
            registry: None,
            entry: DaemonEntry::default(),
        }
    }
}
