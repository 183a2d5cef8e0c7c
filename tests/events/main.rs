//! Events and output on their way to the host: subscriptions, listeners, lines, a host's own event loop.
//!
//! Tests that need a process of their own run in a host (`support::host`).

mod drive;
mod lines;
mod listen;
mod sharing;
mod subscription;
mod whole_lines;

use std::time::Duration;

/// No time to wait: a look at what is there.
const LOOK: Option<Duration> = Some(Duration::ZERO);
