//! Starts several commands and shows their lines as they come, from one loop on one thread.
//!
//! ```sh
//! cargo run --example stream_lines
//! ```

use std::collections::HashMap;

use coreproc::{CloseMode, Command, ErrorKind, EventKind, Service, ServiceOptions, Stream, SubscriptionOptions};

fn main() -> coreproc::Result<()> {
    let service = Service::new(ServiceOptions::default())?;
    // A subscription sees the processes that are spawned after it was opened, so it comes first.
    let events = service.subscribe(SubscriptionOptions::default())?;

    let mut names = HashMap::new();
    for name in ["north", "east", "south"] {
        let script = format!("for i in 1 2 3; do echo {name} $i; done; echo {name} is done >&2");
        let process = Command::new("sh").args(["-c", &script]).spawn(&service)?;
        names.insert(process.id(), name);
    }
    // Nothing more will be spawned. So the events end after those of the last process.
    service.close(CloseMode::Leave)?;

    loop {
        // A batch holds events of one process, in order. Dropping it lets the next one of that process come.
        let batch = match events.take(0, None) {
            Ok(batch) => batch,
            Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
            Err(error) => return Err(error),
        };
        let name = names[&batch.process_id()];
        for event in batch.events() {
            let text = String::from_utf8_lossy(event.data);
            match event.kind {
                EventKind::Output { stream: Stream::Stdout, .. } => println!("{name:5} | {text}"),
                EventKind::Output { stream: Stream::Stderr, .. } => println!("{name:5} ! {text}"),
                EventKind::Closed { ending, .. } => println!("{name:5} ended: {:?}", ending.status),
                _ => {}
            }
        }
    }
}
