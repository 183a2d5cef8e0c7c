//! Stops a process together with what it has started: politely first, and for good after a grace period.
//!
//! ```sh
//! cargo run --example stop_tree
//! ```

use std::time::Duration;

use coreproc::{Command, EventKind, Service, ServiceOptions, StopOptions, SubscriptionOptions};

fn main() -> coreproc::Result<()> {
    let service = Service::new(ServiceOptions::default())?;
    let events = service.subscribe(SubscriptionOptions::default())?;

    // A shell and its child, which both ignore SIGTERM. They share a process group: the shell's own, by default.
    let script = "trap '' TERM; sleep 1000 & echo ready; wait";
    let process = Command::new("sh").args(["-c", script]).spawn(&service)?;
    'ready: loop {
        for event in events.take(0, None)?.events() {
            if matches!(event.kind, EventKind::Output { .. }) && event.data == b"ready" {
                break 'ready;
            }
        }
    }

    // SIGTERM to the group, and SIGKILL to all that is left of it after the grace.
    process.stop(Some(&StopOptions { grace: Some(Duration::from_millis(200)), ..StopOptions::default() }))?;
    let info = process.wait(None)?;

    if let Some(ending) = info.ending {
        println!("{:?} by {:?}", ending.cause, ending.status);
    }
    // `wait` has seen the end of the output, so the shell's child, which had it too, is gone as well.
    println!("{} processes still hold its output", process.holders()?.len());
    Ok(())
}
