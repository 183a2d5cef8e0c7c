//! Kill, wait, exit and close at once: one exit each, and no signal ever reaches a foreign process.
//!
//! A binary of its own: it sets the number of the next PID of the whole machine, so that PIDs are used again at once.
//! Tests beside it that look at the PIDs of ended processes would see other processes.

use coreproc::{Cause, CloseMode, ErrorKind, ExitStatus, Process, Scope, Service, StopOptions};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, RwLock};
use std::thread;
use std::time::Duration;
use support::*;

/// Makes calls that race, one kind for each thread.
fn hammer(kind: u64, process: &Process) {
    let options = StopOptions { grace: Some(Duration::from_millis(1)), ..Default::default() };
    let result = match kind {
        0 => process.kill(Scope::Process),
        1 => process.kill(Scope::Default),
        2 => process.signal(libc::SIGTERM, Scope::Process),
        3 => process.signal(libc::SIGUSR1, Scope::Group),
        4 => process.stop(Some(&options)),
        5 => process.stop(None),
        _ => process.close_stdin(),
    };
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    }
    process.info().expect("info");
    process.output().expect("output");
}

/// Starts a process of the host's own under the PID of one that has just been reaped, if the kernel lets us choose.
fn successor(pid: i32) -> Option<Child> {
    let mut last = OpenOptions::new().write(true).open("/proc/sys/kernel/ns_last_pid").ok()?;
    last.write_all((pid - 1).to_string().as_bytes()).ok()?;
    let mut child = std::process::Command::new(child())
        .arg("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("successor");
    if child.id() as i32 == pid {
        return Some(child);
    }
    drop(child.stdin.take());
    assert!(child.wait().expect("wait").success());
    None
}

/// Runs lives with seven hammering threads and one that waits, and then puts a foreign process in the place of each.
fn rounds(total: u64) -> (u64, u64) {
    let service = service();
    let slot: RwLock<Option<Process>> = RwLock::new(None);
    let (start, end) = (Barrier::new(8), Barrier::new(8));
    let over = AtomicBool::new(false);
    let (reused, natural) = (AtomicU64::new(0), AtomicU64::new(0));
    let spare = |i: u64| i.is_multiple_of(8);
    thread::scope(|scope| {
        for kind in 0..7 {
            let (slot, start, end, over) = (&slot, &start, &end, &over);
            scope.spawn(move || {
                for _ in 0..total {
                    start.wait();
                    let process = slot.read().expect("slot").clone().expect("process");
                    // Some calls come before, some during, some after its end, and not so many that only they run.
                    for _ in 0..24 {
                        if over.load(Ordering::Acquire) {
                            break;
                        }
                        hammer(kind, &process);
                    }
                    drop(process);
                    end.wait();
                }
            });
        }
        for i in 0..total {
            let body = if spare(i) { "exit 3" } else { "pause" };
            let process = script(body).spawn(&service).expect("spawn");
            *slot.write().expect("slot") = Some(process.clone());
            over.store(false, Ordering::Release);
            start.wait();
            let info = process.wait_exit(GUARDED).expect("exited");
            match (info.status().expect("status"), info.cause().expect("cause")) {
                (ExitStatus::Code(3), _) if spare(i) => drop(natural.fetch_add(1, Ordering::Relaxed)),
                (ExitStatus::Signal { .. }, cause) => {
                    assert!(matches!(cause, Cause::Killed | Cause::Stopped | Cause::Natural));
                }
                other => panic!("{other:?}"),
            }
            // The others still hold the handle and go on; the number now belongs to another process.
            if let Some(mut foreigner) = successor(info.pid) {
                reused.fetch_add(1, Ordering::Relaxed);
                for _ in 0..3 {
                    hammer(i % 7, &process);
                }
                drop(foreigner.stdin.take());
                let status = foreigner.wait().expect("wait");
                assert!(status.success(), "a signal reached a foreign process: {status}");
            }
            let closed = process.wait(GUARDED).expect("closed");
            assert_eq!((closed.status(), closed.cause(), closed.exited.is_some()), (info.status(), info.cause(), true));
            over.store(true, Ordering::Release);
            end.wait();
            *slot.write().expect("slot") = None;
        }
    });
    (reused.into_inner(), natural.into_inner())
}

hosted! {
    fn kill_stop_signal_wait_and_exit_race_and_no_foreign_process_is_hit() {
        let total = count("races of eight threads over one process", 100_000);
        let (reused, natural) = rounds(total);
        println!("{total} races: PIDs reused at once {reused}, own exits {natural}, foreign processes hit 0");
        if os::is_root() {
            assert!(reused > 0, "no PID was reused: nothing was proven");
        }
        census::wait_childless();
    }

    fn closing_a_service_races_with_spawning_waiting_and_killing() {
        for round in 0..count("services closed under load", 2_000) {
            let service = service();
            let refusals = AtomicU64::new(0);
            thread::scope(|scope| {
                for caller in 0..7 {
                    let (service, refusals) = (&service, &refusals);
                    scope.spawn(move || loop {
                        match script("exit 1").spawn(service) {
                            Ok(process) if caller % 2 == 0 => drop(finish(&process)),
                            Ok(process) => hammer(caller, &process),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                                refusals.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                        }
                    });
                }
                let close = |service: &Service| {
                    let mode = [CloseMode::Leave, CloseMode::Stop, CloseMode::Kill][round as usize % 3];
                    service.close(mode).expect("close");
                    service.wait_idle(GUARDED).expect("idle");
                };
                eventually("somebody spawned", || service.count() > 0 || refusals.load(Ordering::Relaxed) > 0);
                close(&service);
            });
            assert_eq!(service.count(), 0);
            assert_eq!(refusals.into_inner(), 7);
        }
        census::wait_childless();
    }

    fn nobody_who_waits_is_forgotten_when_the_service_is_dropped() {
        for _ in 0..count("services dropped while eight wait", 5_000) {
            let service = service();
            let options = coreproc::SubscriptionOptions::default;
            let listener = service.listen(options(), |_| {}).expect("listen");
            let subscription = service.subscribe(options()).expect("subscribe");
            let start = Barrier::new(10);
            thread::scope(|scope| {
                for i in 0..8 {
                    let process = script("exit 3").spawn(&service).expect("spawn");
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        let info = if i % 2 == 0 { process.wait(GUARDED) } else { process.wait_exit(GUARDED) };
                        assert_eq!(info.expect("ended").status(), Some(ExitStatus::Code(3)));
                    });
                }
                scope.spawn(|| {
                    start.wait();
                    events::until_closed(&subscription, 8);
                });
                start.wait();
                drop((listener, service));
            });
        }
        census::wait_childless();
        census::wait_serviceless();
    }

    fn handles_that_are_dropped_during_the_end_lose_nothing() {
        let service = service();
        let options = coreproc::SubscriptionOptions { delivery: coreproc::Delivery::None, ..Default::default() };
        let subscription = service.subscribe(options).expect("subscribe");
        let total = count("handles dropped during the end", 10_000);
        let log = thread::scope(|scope| {
            let log = scope.spawn(|| events::until_closed(&subscription, total as usize));
            in_parallel(8, total, |_, i| {
                let process = script("text 1 x exit 3").spawn(&service).expect("spawn");
                match i % 4 {
                    0 => drop(process),
                    1 => drop(process.wait_exit(GUARDED)),
                    2 => hammer(i % 6, &process),
                    _ => drop(service.process(process.id())),
                }
            });
            log.join().expect("events")
        });
        assert_eq!(log.len() as u64, total);
        log.values().for_each(|events| events::assert_whole(events));
        service.wait_idle(GUARDED).expect("idle");
        census::wait_childless();
    }
}
