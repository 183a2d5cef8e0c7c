//! Waiting for several processes, by threads and by descriptors.

use coreproc::{Cancel, Drain, ErrorKind, Process, Scope, Service, State, SubscriptionOptions, wait_all, wait_any};
use std::fs::{self, File};
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::census::{fds, thread_count};
use support::fifo::{Gate, Talk};
use support::*;

const LOOK: Option<Duration> = Some(Duration::ZERO);

/// Spawns a process for each gate, which ends when that is opened.
fn behind(service: &Service, gates: &[Gate]) -> Vec<Process> {
    let spawn = |gate: &Gate| tool(["await", gate.path(), "exit", "3"]).spawn(service).expect("spawn");
    gates.iter().map(spawn).collect()
}

fn gates(talk: &Talk, count: usize) -> Vec<Gate> {
    (0..count).map(|index| Gate::new(talk.dir.path(), &format!("gate-{index}"))).collect()
}

fn handles(processes: &[Process]) -> Vec<&Process> {
    processes.iter().collect()
}

#[test]
fn any_returns_the_one_that_ends_and_all_the_last() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 3);
    let processes = behind(&service, &gates);
    let all = handles(&processes);
    assert_eq!(kind_of(wait_any(&all, State::Exited, LOOK, None)), ErrorKind::TimedOut);
    gates[1].open(1);
    assert_eq!(wait_any(&all, State::Closed, GUARDED, None).expect("any"), 1);
    assert_eq!(processes[1].info().expect("info").state, State::Closed);
    assert_eq!(kind_of(wait_any(&[all[0], all[2]], State::Closed, LOOK, None)), ErrorKind::TimedOut);
    assert_eq!(kind_of(wait_all(&all, State::Closed, LOOK, None)), ErrorKind::TimedOut);
    gates[2].open(1);
    assert_eq!(wait_any(&[all[0], all[2]], State::Closed, GUARDED, None).expect("any"), 1);
    gates[0].open(1);
    wait_all(&all, State::Closed, GUARDED, None).expect("all");
    // What has ended is seen at once.
    assert_eq!(wait_any(&all, State::Closed, LOOK, None).expect("any"), 0);
    wait_all(&all, State::Exited, LOOK, None).expect("all");
    wait_all(&[], State::Closed, LOOK, None).expect("none");
}

#[test]
fn a_waiting_thread_is_woken_by_any_of_them_whoever_turns_the_loop() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 4);
    let processes = behind(&service, &gates);
    let (any, one) = (handles(&processes[..3]), &processes[3]);
    thread::scope(|scope| {
        // Only one of them has the seat.
        let waits: Vec<_> =
            (0..4).map(|_| scope.spawn(|| wait_any(&any, State::Closed, GUARDED, None).expect("any"))).collect();
        let single = scope.spawn(|| one.wait(GUARDED).expect("closed"));
        let all = scope.spawn(|| wait_all(&handles(&processes), State::Closed, GUARDED, None).expect("all"));
        gates[2].open(1);
        for wait in waits {
            assert_eq!(wait.join().expect("thread"), 2);
        }
        assert!(!all.is_finished() && !single.is_finished());
        [0, 1, 3].iter().for_each(|gate| gates[*gate].open(1));
        single.join().expect("thread");
        all.join().expect("thread");
    });
}

#[test]
fn processes_of_several_services_are_waited_for_together() {
    let (talk, first, second) = (Talk::new(), service(), service());
    let gates = gates(&talk, 2);
    let (mut processes, others) = (behind(&first, &gates[..1]), behind(&second, &gates[1..]));
    processes.extend(others);
    let all = handles(&processes);
    thread::scope(|scope| {
        let any = scope.spawn(|| wait_any(&all, State::Closed, GUARDED, None).expect("any"));
        gates[1].open(1);
        assert_eq!(any.join().expect("thread"), 1);
        let rest = scope.spawn(|| wait_all(&all, State::Closed, GUARDED, None).expect("all"));
        gates[0].open(1);
        rest.join().expect("thread");
    });
}

/// Returns whether a thread of this process sleeps in a wait for a poller.
fn waits_in_poller(thread: i32) -> bool {
    waits_in(thread, libc::SYS_ppoll)
}

fn waits_in(thread: i32, call: libc::c_long) -> bool {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).expect("syscall");
    text.split(' ').next() == Some(&call.to_string())
}

/// Each seat has a thread, so that the end is seen by one that sits in another seat than the thread that it wakes.
#[test]
fn a_thread_in_the_seat_of_one_service_wakes_that_of_another() {
    let (talk, first, second) = (Talk::new(), service(), service());
    let gates = gates(&talk, 2);
    let (mut processes, others) = (behind(&first, &gates[..1]), behind(&second, &gates[1..]));
    processes.extend(others);
    let all = &handles(&processes);
    thread::scope(|scope| {
        let (send, threads) = mpsc::channel();
        let tell = send.clone();
        let any = scope.spawn(move || {
            tell.send(os::own_thread()).expect("receiver");
            wait_any(all, State::Closed, GUARDED, None).expect("any")
        });
        let one = scope.spawn(move || {
            send.send(os::own_thread()).expect("receiver");
            all[1].wait(GUARDED).expect("closed")
        });
        for _ in 0..2 {
            let thread = threads.recv().expect("thread");
            eventually("it sits in a poller", || waits_in_poller(thread));
        }
        gates[1].open(1);
        one.join().expect("thread");
        assert_eq!(any.join().expect("thread"), 1);
    });
    gates[0].open(1);
}

#[test]
fn exited_comes_before_closed() {
    let (talk, service) = (Talk::new(), service());
    let mut command = talk.tool("fork plain await GATE end exit 3");
    command.drain(Drain { silence: Duration::MAX, total: Duration::MAX });
    let process = command.spawn(&service).expect("spawn");
    let (exited, closed) = (process.wait_fd(State::Exited).expect("fd"), process.wait_fd(State::Closed).expect("fd"));
    assert_eq!(wait_any(&[&process], State::Exited, GUARDED, None).expect("any"), 0);
    assert!(os::readable(&exited, GUARD));
    assert_eq!(kind_of(wait_any(&[&process], State::Closed, LOOK, None)), ErrorKind::TimedOut);
    assert!(!os::readable(&closed, Duration::ZERO));
    talk.gate.open(1);
    assert_eq!(wait_any(&[&process], State::Closed, GUARDED, None).expect("any"), 0);
    assert!(os::readable(&closed, GUARD));
}

#[test]
fn a_process_may_be_named_twice() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 1);
    let processes = behind(&service, &gates);
    let twice = [&processes[0], &processes[0]];
    assert_eq!(kind_of(wait_all(&twice, State::Closed, LOOK, None)), ErrorKind::TimedOut);
    processes[0].kill(Scope::Default).expect("kill");
    wait_all(&twice, State::Closed, GUARDED, None).expect("all");
    assert_eq!(wait_any(&twice, State::Closed, LOOK, None).expect("any"), 0);
}

#[test]
fn a_wait_is_cancelled_from_another_thread_before_during_and_after_it() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 2);
    let processes = behind(&service, &gates);
    let all = handles(&processes);
    let cancel = Cancel::new();
    thread::scope(|scope| {
        let (began, begins) = mpsc::channel();
        let waits: Vec<_> = (0..3)
            .map(|_| {
                let (began, all, cancel) = (began.clone(), &all, &cancel);
                scope.spawn(move || {
                    began.send(()).expect("channel");
                    kind_of(wait_any(all, State::Closed, GUARDED, Some(cancel)))
                })
            })
            .collect();
        begins.iter().take(3).for_each(drop);
        cancel.cancel().expect("cancel");
        for wait in waits {
            assert_eq!(wait.join().expect("thread"), ErrorKind::Closed);
        }
    });
    assert_eq!(kind_of(wait_all(&all, State::Closed, GUARDED, Some(&cancel))), ErrorKind::Closed);
    assert!(processes.iter().all(|process| process.info().expect("info").state == State::Running));
    processes.iter().for_each(|process| process.kill(Scope::Default).expect("kill"));
    wait_all(&all, State::Closed, GUARDED, None).expect("all");
    // What has come is told, cancelled or not.
    wait_all(&all, State::Closed, GUARDED, Some(&cancel)).expect("all");
}

#[test]
fn mistakes_are_refused() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 1);
    let processes = behind(&service, &gates);
    assert_eq!(kind_of(wait_any(&[], State::Closed, None, None)), ErrorKind::InvalidArgument);
    {
        let until = State::Running;
        assert_eq!(kind_of(wait_any(&handles(&processes), until, None, None)), ErrorKind::InvalidArgument);
        assert_eq!(kind_of(wait_all(&handles(&processes), until, None, None)), ErrorKind::InvalidArgument);
        assert_eq!(kind_of(processes[0].wait_fd(until)), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_wait_inside_a_callback_is_refused() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 1);
    let processes = behind(&service, &gates);
    let (sender, kinds) = mpsc::channel();
    let waited = processes[0].clone();
    let tell = move |_: &coreproc::Batch| {
        let _ = sender.send(kind_of(wait_any(&[&waited], State::Closed, None, None)));
    };
    let _listener = service.listen(SubscriptionOptions::default(), tell).expect("listen");
    run(&service, &script("exit 0"));
    assert_eq!(kinds.recv_timeout(GUARD).expect("callback"), ErrorKind::Deadlock);
}

#[test]
fn a_descriptor_becomes_readable_with_the_end_although_the_host_calls_nothing() {
    let (talk, service) = (Talk::new(), service());
    let gates = gates(&talk, 2);
    let processes = behind(&service, &gates);
    let fds: Vec<_> = processes.iter().map(|process| process.wait_fd(State::Closed).expect("fd")).collect();
    assert!(fds.iter().all(|fd| !os::readable(fd, Duration::ZERO)));
    gates[1].open(1);
    assert!(os::readable(&fds[1], GUARD) && !os::readable(&fds[0], Duration::ZERO));
    assert_eq!(processes[1].info().expect("info").state, State::Closed);
    // A byte, and then the end, once no child between clone and exec has a copy of the other side.
    let mut file = File::from(fds.into_iter().nth(1).expect("fd"));
    let mut bytes = [0; 2];
    assert_eq!((file.read(&mut bytes).expect("read"), bytes[0]), (1, b'!'));
    assert!(os::readable(&file, GUARD));
    assert_eq!(file.read(&mut bytes).expect("read"), 0);
    // One that is asked for later, and one whose reader has gone.
    assert!(os::readable(&processes[1].wait_fd(State::Closed).expect("fd"), Duration::ZERO));
    drop(processes[0].wait_fd(State::Closed).expect("fd"));
    gates[0].open(1);
    assert_eq!(finish(&processes[0]).code(), 3);
}

hosted! {
    fn many_processes_are_waited_for_without_a_thread_or_a_wake_up_for_each() {
        let (talk, service) = (Talk::new(), service());
        let count = 300;
        let processes: Vec<_> =
            (0..count).map(|_| talk.tool("await GATE exit 3").spawn(&service).expect("spawn")).collect();
        let before = thread_count();
        thread::scope(|scope| {
            let all = scope.spawn(|| wait_all(&handles(&processes), State::Closed, GUARDED, None).expect("all"));
            let any = scope.spawn(|| wait_any(&handles(&processes), State::Closed, GUARDED, None).expect("any"));
            // The two, and none of the library.
            eventually("both wait", || thread_count() == before + 2);
            talk.gate.open(count);
            any.join().expect("thread");
            all.join().expect("thread");
        });
        assert!(processes.iter().all(|process| process.info().expect("info").state == State::Closed));
    }
}

hosted! {
    fn a_wait_that_is_told_of_one_lost_service_does_not_lock_itself_out_at_another() {
        let talk = Talk::new();
        let gates = gates(&talk, 2);
        let before = fds();
        let first = service();
        let between = fds();
        let second = service();
        let of_second: Vec<i32> = fds().into_keys().filter(|fd| !between.contains_key(fd)).collect();
        let of_first: Vec<i32> = between.into_keys().filter(|fd| !before.contains_key(fd)).collect();
        let (mut processes, others) = (behind(&first, &gates[..1]), behind(&second, &gates[1..]));
        processes.extend(others);
        let all = &handles(&processes);
        thread::scope(|scope| {
            let (send, seated) = mpsc::channel();
            let sits = scope.spawn(move || {
                send.send(os::own_thread()).expect("receiver");
                all[0].wait(GUARDED).map(drop)
            });
            let thread = seated.recv().expect("thread");
            eventually("it has the seat", || waits_in_poller(thread));
            let (send, asleep) = mpsc::channel();
            let any = scope.spawn(move || {
                send.send(os::own_thread()).expect("receiver");
                wait_any(all, State::Closed, GUARDED, None).map(drop)
            });
            let thread = asleep.recv().expect("thread");
            eventually("it sleeps", || waits_in(thread, libc::SYS_futex));
            let close = |fds: &[i32]| fds.iter().for_each(|fd| os::close_any(*fd));
            // While its pipes are held open, nothing tells of the first service until it is looked at.
            let held: Vec<_> = of_first.iter().map(|fd| os::duplicate(*fd)).collect();
            close(&of_first);
            close(&of_second);
            assert_eq!(any.join().expect("thread").expect_err("lost").errno(), Some(libc::EBADF));
            drop(held);
            assert_eq!(sits.join().expect("thread").expect_err("lost").errno(), Some(libc::EBADF));
        });
    }
}
