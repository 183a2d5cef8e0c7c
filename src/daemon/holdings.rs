//! [`Holdings`]: what a daemon that runs holds, taken and given back in order.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::health::HealthServer;
use super::options::DaemonOptions;
use super::pid_file::PidFile;
use super::registry::{DaemonEntry, PATIENCE, Registry};
use crate::error::{Error, Result};
use crate::runtime::Deadline;

/// The things that a daemon holds; each is None until it is taken.
#[derive(Default)]
pub(super) struct Holdings {
    pid_file: Option<PidFile>,
    health: Option<HealthServer>,
    /// The registry, and the entry that was written.
    registered: Option<(Registry, DaemonEntry)>,
}

impl Holdings {
    /// Takes the PID file, starts the health server, and registers. After an error, what was taken before is still
    /// held.
    pub(super) fn take(&mut self, options: &DaemonOptions, health: Option<&HealthServer>) -> Result<()> {
        if let Some(path) = &options.pid_file {
            let pid_file = PidFile::new(path);
            pid_file.acquire()?;
            self.pid_file = Some(pid_file);
        }
        if let Some(health) = health {
            // It is not ready until everything is taken.
            health.set_ready(false);
            health.start()?;
            self.health = Some(health.clone());
        }
        if let Some(registry) = &options.registry {
            let entry = registry.register(&filled_in(&options.entry, health))?;
            self.registered = Some((registry.clone(), entry));
        }
        Ok(())
    }

    /// Gives everything back, in the order of a stop. Returns the errors of the steps that failed.
    pub(super) fn give_back(self, deadline: Deadline) -> Vec<Error> {
        let left = || deadline.left().unwrap_or(Duration::MAX);
        let mut errors = Vec::new();
        if let Some(health) = self.health {
            health.set_ready(false);
            errors.extend(health.stop(left()).err());
        }
        if let Some(pid_file) = self.pid_file {
            errors.extend(pid_file.release().err());
        }
        if let Some((registry, entry)) = self.registered {
            errors.extend(registry.unregister_own_within(&entry, left().min(PATIENCE)).err());
        }
        errors
    }

    /// Gives everything back without waiting for requests, for the directory's lock or for the disk. If the entry
    /// stays, it is dead once this process has ended.
    pub(super) fn abandon(self) {
        drop(self.health);
        drop(self.pid_file);
        if let Some((registry, entry)) = self.registered {
            let _ = registry.unregister_own_within(&entry, Duration::ZERO);
        }
    }
}

/// Fills in the PID, the start and the health address of an entry, and its project and binary if they are empty.
fn filled_in(given: &DaemonEntry, health: Option<&HealthServer>) -> DaemonEntry {
    let text = |path: std::io::Result<PathBuf>| path.map_or(String::new(), |path| path.to_string_lossy().into());
    let mut entry = given.clone();
    entry.pid = std::process::id().cast_signed();
    entry.started = Some(SystemTime::now());
    if let Some(health) = health {
        entry.health = health.address();
    }
    if entry.project.is_empty() {
        entry.project = text(std::env::current_dir());
    }
    if entry.binary.is_empty() {
        entry.binary = text(std::env::current_exe());
    }
    entry
}
