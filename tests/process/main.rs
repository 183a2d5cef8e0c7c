//! One process: what it is given, what it reads and writes, how it is stopped, how it ends.
//!
//! Tests run side by side in this process, so none changes or counts what belongs to all of it. One that must does so
//! in a host of its own (`support::host`).

mod activity;
mod bound;
mod command;
mod containment;
mod credentials;
mod deadlines;
mod descriptors;
mod detach;
mod drain;
mod exit;
mod foreground;
mod identity;
mod input;
mod job_control;
mod limits;
mod log;
mod output;
mod pairs;
mod post_mortem;
mod pty;
mod service;
mod spawn_errors;
mod stdin;
mod stdio_files;
mod stop;
mod stop_policy;
mod stops;
mod waiting;

use std::time::Duration;

/// A grace period that is over soon.
const SHORT: Option<Duration> = Some(Duration::from_millis(100));

/// A child that SIGTERM ends.
const OBEDIENT: &str = "notify INBOX up await GATE";
/// A child that ignores SIGTERM.
const STUBBORN: &str = "ignore 15 notify INBOX up await GATE";
