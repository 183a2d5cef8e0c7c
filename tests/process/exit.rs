//! The truth about exits: codes, signals, waiting.

use coreproc::{Cause, ErrorKind, ExitStatus, Scope, State};
use std::os::unix::process::ExitStatusExt;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;
use support::fifo::Talk;
use support::*;

/// Returns the signals whose default action ends the process (signal(7)).
fn fatal_signals() -> impl Iterator<Item = i32> {
    let others = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    (1..=64).filter(move |signal| !others.contains(signal))
}

#[test]
fn every_exit_code_is_exact() {
    let service = service();
    in_parallel(4, 256, |_, code| {
        let ended = run(&service, &script(&format!("exit {code}")));
        assert_eq!(ended.info.status(), Some(ExitStatus::Code(code as i32)));
        assert_eq!(ended.info.cause(), Some(Cause::Natural));
    });
    println!("count: exit codes: 256 of 256");
}

#[test]
fn every_signal_that_ends_a_process_is_exact_and_no_exit_code() {
    let service = service();
    let mut tried = 0;
    for signal in fatal_signals() {
        let ended = run(&service, &script(&format!("raise {signal}")));
        let want = ExitStatus::Signal { signal, core_dumped: false };
        assert_eq!(ended.info.status(), Some(want));
        tried += 1;
    }
    println!("count: signals: {tried} of {tried}");
}

#[test]
fn a_code_above_128_is_not_taken_for_a_signal() {
    let service = service();
    let killed = run(&service, &sh("kill -9 $$"));
    let exited = run(&service, &sh("exit 137"));
    assert_eq!(killed.signal(), 9);
    assert_eq!(exited.code(), 137);
}

#[test]
fn a_core_dump_is_reported_where_there_is_one() {
    let dir = tempfile::tempdir().expect("tempdir");
    let service = service();
    for verb in ["dump", "raise"] {
        let mut peer = std::process::Command::new(child());
        let truth = peer.args([verb, "6"]).current_dir(&dir).status().expect("peer");
        let mut command = script(&format!("{verb} 6"));
        command.cwd(dir.path());
        let ended = run(&service, &command);
        let want = ExitStatus::Signal { signal: 6, core_dumped: truth.core_dumped() };
        assert_eq!(ended.info.status(), Some(want), "{verb}");
    }
}

#[test]
fn a_signal_from_elsewhere_is_a_natural_end() {
    let talk = Talk::new();
    let service = service();
    let process = talk.tool("notify INBOX up await GATE").spawn(&service).expect("spawn");
    let mut inbox = talk.inbox;
    inbox.expect("up");
    os::kill(process.pid(), libc::SIGTERM).expect("kill");
    let ended = finish(&process);
    assert_eq!(ended.signal(), libc::SIGTERM);
    assert_eq!(ended.info.cause(), Some(Cause::Natural));
}

#[test]
fn a_running_process_has_no_status_and_waiting_for_it_times_out() {
    let talk = Talk::new();
    let service = service();
    let process = talk.tool("await GATE exit 5").spawn(&service).expect("spawn");

    for look in [Some(Duration::ZERO), Some(Duration::from_millis(5))] {
        assert_eq!(kind_of(process.wait(look)), ErrorKind::TimedOut);
        assert_eq!(kind_of(process.wait_exit(look)), ErrorKind::TimedOut);
    }
    let info = process.info().expect("info");
    assert_eq!((info.state, info.status(), info.cause()), (State::Running, None, None));
    assert!(info.exited.is_none() && info.closed.is_none());

    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!(ended.code(), 5);
    assert_eq!(ended.info.state, State::Closed);
    // The process has ended, so every later wait returns at once.
    assert!(process.wait(Some(Duration::ZERO)).is_ok());
    assert!(process.wait_exit(Some(Duration::ZERO)).is_ok());
}

#[test]
fn the_stamps_of_a_life_are_in_order_on_both_clocks() {
    let before = std::time::SystemTime::now();
    let service = service();
    let info = run(&service, &script("exit 0")).info;
    let after = std::time::SystemTime::now();

    let stamps = [info.started, info.exited.expect("exited"), info.closed.expect("closed")];
    assert!(stamps.is_sorted_by_key(|stamp| stamp.monotonic_ns), "{stamps:?}");
    let epoch =
        |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    for stamp in stamps {
        assert!((epoch(before)..=epoch(after)).contains(&stamp.realtime_ns), "{stamp:?}");
    }
}

#[test]
fn every_waiter_gets_the_same_answer() {
    let talk = Talk::new();
    let service = service();
    let process = talk.tool("text 1 bye await GATE exit 42").spawn(&service).expect("spawn");
    let waiters = 64;
    let ready = Barrier::new(waiters + 1);

    let answers = thread::scope(|scope| {
        let handles: Vec<_> = (0..waiters)
            .map(|i| {
                let (process, ready) = (process.clone(), &ready);
                scope.spawn(move || {
                    ready.wait();
                    if i % 2 == 0 { process.wait(GUARDED) } else { process.wait_exit(GUARDED) }
                })
            })
            .collect();
        ready.wait();
        talk.gate.open(1);
        handles.into_iter().map(|h| h.join().expect("waiter")).collect::<Vec<_>>()
    });

    for answer in answers {
        let info = answer.expect("answer");
        assert_eq!(info.status(), Some(ExitStatus::Code(42)));
        assert_eq!((info.id, info.pid), (process.id(), process.pid()));
    }
}

#[test]
fn the_longest_waits_are_waits_for_ever() {
    let service = service();
    for timeout in [None, Some(Duration::MAX), Some(Duration::from_secs(u64::MAX / 1_000_000_000))] {
        let mut command = script("exit 9");
        command.timeout(Duration::MAX);
        let process = command.spawn(&service).expect("spawn");
        let info = process.wait(timeout).expect("closed");
        assert_eq!((info.status(), info.cause()), (Some(ExitStatus::Code(9)), Some(Cause::Natural)));
        service.wait_idle(timeout).expect("idle");
    }
}

#[test]
fn a_handle_keeps_status_and_output_when_the_service_is_gone() {
    let service = service();
    let process = script("text 1 kept exit 6").spawn(&service).expect("spawn");
    drop(service);
    let ended = finish(&process);
    assert_eq!((ended.text().as_str(), ended.code()), ("kept", 6));
    assert_eq!(process.output().expect("output"), b"kept");
    assert_eq!(process.info().expect("info"), ended.info);
}

#[test]
fn ids_count_from_one_in_each_service_and_are_never_reused() {
    let (one, other) = (service(), service());
    let mut last = 0;
    for _ in 0..20 {
        let process = script("exit 0").spawn(&one).expect("spawn");
        assert!(process.id() > last);
        last = process.id();
        process.wait(GUARDED).expect("closed");
    }
    assert_eq!(script("exit 0").spawn(&other).expect("spawn").id(), 1);
}

#[test]
fn a_signal_to_an_ended_process_is_refused() {
    let service = service();
    let process = script("exit 0").spawn(&service).expect("spawn");
    process.wait(GUARDED).expect("closed");
    for result in [
        process.signal(0, Scope::Process),
        process.signal(libc::SIGTERM, Scope::Default),
        process.kill(Scope::Process),
        process.kill(Scope::Default),
        process.kill(Scope::Group),
    ] {
        assert_eq!(kind_of(result), ErrorKind::NotRunning);
    }
}

#[test]
fn one_process_in_thousands_neither_lost_nor_doubled() {
    let service = service();
    let subscription = service
        .subscribe(coreproc::SubscriptionOptions { delivery: coreproc::Delivery::None, ..Default::default() })
        .expect("subscribe");
    let total = count("exits", 20_000);

    let (log, mut codes) = thread::scope(|scope| {
        let log = scope.spawn(|| events::until_closed(&subscription, total as usize));
        let codes = std::sync::Mutex::new(Vec::new());
        in_parallel(16, total, |_, i| {
            let code = (i % 256) as i32;
            let process = script(&format!("exit {code}")).spawn(&service).expect("spawn");
            assert_eq!(finish(&process).code(), code);
            codes.lock().expect("codes").push((process.id(), code));
        });
        (log.join().expect("events"), codes.into_inner().expect("codes"))
    });

    codes.sort_unstable();
    assert_eq!(log.len(), codes.len());
    for ((id, events), (want_id, code)) in log.iter().zip(&codes) {
        assert_eq!(id, want_id);
        events::assert_whole(events);
        for event in events {
            match event.kind {
                coreproc::EventKind::Exited(ending) | coreproc::EventKind::Closed { ending, .. } => {
                    assert_eq!(ending.status, ExitStatus::Code(*code));
                }
                _ => {}
            }
        }
    }
    assert_eq!(service.count(), 0);
    println!("exits lost 0, doubled 0");
}
