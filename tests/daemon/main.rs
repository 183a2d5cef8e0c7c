//! Daemons: the PID file, the registry, the health server and its client, and a daemon's life with all of them.
//!
//! Tests that fork, change the user, the umask, the directory or the environment, or count descriptors do so in a host
//! of their own (`support::host`).

#[cfg(feature = "health")]
mod health;
mod life;
mod pid_file;
mod registry;

/// No kernel gives this PID (PID_MAX_LIMIT is 2^22).
const NOBODY: i32 = 999_999_999;

fn own_pid() -> i32 {
    std::process::id() as i32
}
