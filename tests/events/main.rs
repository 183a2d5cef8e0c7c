//! Events and output on their way to the host: subscriptions, listeners, lines, a host's own event loop.
//!
//! Tests that need a process of their own run in a host (`support::host`).

mod drive;
mod lines;
mod listen;
mod overflow;
mod sharing;
mod subscription;
mod whole_lines;

use std::time::Duration;

use coreproc::{Command, Service, Subscription};
use proptest::prelude::*;
use support::events::{Kept, assert_whole, until_closed};
use support::pattern::pattern;
use support::{GUARDED, count};

/// No time to wait: a look at what is there.
const LOOK: Option<Duration> = Some(Duration::ZERO);

/// Returns the events of the one process that `command` makes.
fn events(service: &Service, subscription: &Subscription, command: &Command) -> Vec<Kept> {
    let process = command.spawn(service).expect("spawn");
    let mut log = until_closed(subscription, 1);
    process.wait(GUARDED).expect("closed");
    let events = log.remove(&process.id()).expect("events");
    assert!(log.is_empty());
    assert_whole(&events);
    events
}

/// Makes what a process may write: bytes of any value, sometimes none, sometimes with an end of line. It shrinks by
/// portions, not byte by byte.
fn portions() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let end = prop::sample::select(vec!["", "", "\n", "\r\n", "\n\n", "\r"]);
    let portion = (0_usize..400, any::<u64>(), end)
        .prop_map(|(len, seed, end)| [&pattern(len, seed)[..], end.as_bytes()].concat());
    prop::collection::vec(portion, 0..12)
}

/// Returns the configuration of a test with so many cases at full scale.
fn cases(what: &str, full: u64) -> ProptestConfig {
    ProptestConfig { cases: count(what, full) as u32, failure_persistence: None, ..Default::default() }
}
