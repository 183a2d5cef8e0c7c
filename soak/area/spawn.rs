//! Spawning without end: nothing leaks, no exit and no byte is lost.

use crate::Fallible;
use crate::row::{Goal, Rows};
use coreproc::{Delivery, EventKind, ExitStatus, SubscriptionOptions};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use support::census::{Census, memory_kb, warm_up};
use support::{count, eventually, fifo::Talk, finish, in_parallel, os, pattern::pattern, script, service};

const CALLERS: u64 = 16;

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    let total = count("spawns", 100_000);
    let service = service();
    let wrong = AtomicU64::new(0);
    let life = |i: u64| {
        let code = (i % 256) as i32;
        let ended = support::run(&service, &script(&format!("text 1 {i} text 2 e exit {code}")));
        let same = ended.info.status() == Some(ExitStatus::Code(code)) && ended.output.len() == i.to_string().len() + 1;
        wrong.fetch_add(u64::from(!same), Ordering::Relaxed);
    };
    warm_up(&service, &script("exit 0"));
    // Memory that is taken once and kept is no leak, so this measures from a warm start.
    in_parallel(CALLERS, 2_000.min(total), |_, i| life(i));
    eventually("the warm-up is forgotten", || service.count() == 0);
    let (before, memory) = (Census::take(), memory_kb("VmRSS"));
    // The listener counts that each exit is told exactly once.
    let listener = service.subscribe(SubscriptionOptions { delivery: Delivery::None, ..Default::default() })?;
    let exits = thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let mut exits: HashMap<u64, u64> = HashMap::new();
            let mut closed = 0;
            while closed < total {
                let Ok(batch) = listener.take(0, Some(support::GUARD)) else { break };
                for event in batch.events() {
                    match event.kind {
                        EventKind::Exited(_) => *exits.entry(event.process_id).or_default() += 1,
                        EventKind::Closed { .. } => closed += 1,
                        _ => {}
                    }
                }
            }
            exits
        });
        in_parallel(CALLERS, total, |_, i| life(i));
        counting.join()
    });
    let exits = exits.map_err(|_| "the counting thread panicked")?;
    let doubled = exits.values().filter(|times| **times != 1).count();
    let seen = exits.len() as u64;
    drop(exits);
    listener.close()?;
    drop(listener);
    let named = |what: &str| format!("{total} spawns, {CALLERS} at a time: {what}");
    rows.none(named("wrong status or output"), wrong.load(Ordering::Relaxed));
    rows.none(named("exits lost"), total.saturating_sub(seen));
    rows.none(named("exits doubled"), doubled);
    // Things that take a while to end have ended by now, or are leaks.
    let settled = support::settle(|| Census::take() == before);
    let after = Census::take();
    rows.none(named("descriptors leaked"), after.fds.len().saturating_sub(before.fds.len()));
    rows.none(named("threads leaked"), after.threads.saturating_sub(before.threads));
    rows.none(named("zombies"), u32::from(!after.childless));
    if !settled {
        eprintln!("census before {before:?}\ncensus after  {after:?}");
    }
    let growth = memory_kb("VmRSS").saturating_sub(memory);
    rows.add(named("memory grown"), growth as f64, Goal::AtMost(1024.0), "kB");
    Ok(())
}

pub(crate) fn output(rows: &mut Rows) -> Fallible<()> {
    let total = count("exits right after the last write", 10_000);
    let service = service();
    let wrong = AtomicU64::new(0);
    in_parallel(CALLERS, total, |_, i| {
        let length = (i * 7919 % (300 * 1024)) as usize;
        let ended = support::run(&service, &script(&format!("pattern 1 {length} {i} exit 0")));
        let same = Sha256::digest(&ended.output) == Sha256::digest(pattern(length, i));
        wrong.fetch_add(u64::from(!same), Ordering::Relaxed);
    });
    rows.none(format!("{total} exits right after the last write: SHA-256 differs"), wrong.load(Ordering::Relaxed));
    Ok(())
}

pub(crate) fn exits_at_once(rows: &mut Rows) -> Fallible<()> {
    const CHILDREN: usize = 1_000;
    let rounds = count("rounds of 1,000 exits at once", 10);
    os::raise_file_limit();
    let service = service();
    warm_up(&service, &script("exit 0"));
    let before = Census::take();
    let (mut missed, mut threads) = (0, 0);
    for _ in 0..rounds {
        let mut talk = Talk::new();
        let spawn = |i: usize| {
            let mut command = talk.tool("notify INBOX up await GATE exit");
            command.arg((i % 256).to_string()).spawn(&service)
        };
        let processes = (0..CHILDREN).map(spawn).collect::<Result<Vec<_>, _>>()?;
        for _ in 0..CHILDREN {
            talk.inbox.expect("up");
        }
        threads += Census::take().threads.saturating_sub(before.threads);
        talk.gate.open(CHILDREN);
        for (i, process) in processes.iter().enumerate() {
            missed += u32::from(finish(process).info.status() != Some(ExitStatus::Code((i % 256) as i32)));
        }
    }
    rows.none(format!("{rounds} × {CHILDREN} exits in the same moment: missed or wrong"), missed);
    rows.none(format!("{CHILDREN} live children: further threads"), threads);
    Ok(())
}
