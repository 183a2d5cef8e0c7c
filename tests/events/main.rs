//! Events and output on their way to the host: subscriptions, listeners, lines, a host's own event loop.
//!
//! What must have a process of its own has one (`support::host`).

mod drive;
mod lines;
mod listen;
mod subscription;

use std::time::Duration;

/// No time to wait: a look at what is there.
const LOOK: Option<Duration> = Some(Duration::ZERO);
