//! Idle services: no thread wakes up.

use crate::Fallible;
use crate::row::Rows;
use coreproc::ExitStatus;
use std::thread;
use std::time::Duration;
use support::census::switches;
use support::{eventually, fifo::Talk, finish, os, service};

const CHILDREN: usize = 1_000;
const WATCHED: Duration = Duration::from_secs(5);

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    os::raise_file_limit();
    let talk = Talk::new();
    let service = service();
    let spawn = |_| talk.tool("text 1 asleep\\n await GATE exit 3").spawn(&service);
    let processes = (0..CHILDREN).map(spawn).collect::<Result<Vec<_>, _>>()?;
    let asleep = |process: &coreproc::Process| process.info().is_ok_and(|info| info.stdout_bytes == 7);
    eventually("all are asleep", || processes.iter().all(asleep));
    rows.none(format!("{CHILDREN} sleeping children: wake-ups in {WATCHED:?}"), wake_ups());
    talk.gate.open(CHILDREN);
    let wrong = processes.iter().filter(|process| finish(process).info.status() != Some(ExitStatus::Code(3))).count();
    rows.none(format!("{CHILDREN} sleeping children: exits missed afterwards"), wrong);
    #[cfg(feature = "health")]
    {
        let server = support::net::serve();
        server.add_check("x", || Ok(()))?;
        support::net::get(&server, "/health");
        rows.none(format!("health server: wake-ups in {WATCHED:?}"), wake_ups());
        server.stop(support::GUARD)?;
    }
    Ok(())
}

/// Returns the context switches of the library's threads, once they have come to rest.
fn wake_ups() -> u64 {
    eventually("the threads have come to rest", || {
        let now = switches();
        thread::sleep(Duration::from_millis(1200));
        switches() == now
    });
    let sum = || -> u64 {
        let counts = switches().into_values().flat_map(|(voluntary, other)| [voluntary, other]);
        counts.filter_map(|count| count.parse::<u64>().ok()).sum()
    };
    let before = sum();
    thread::sleep(WATCHED);
    sum().saturating_sub(before)
}
