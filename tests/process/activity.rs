//! What processes do and use: whether they wait for input, and what their trees take.

use coreproc::{Activity, AwaitsInput, CloseMode, Command, Doing, ErrorKind, Group, Process, Scope, Service, Stdin};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::fifo::Talk;
use support::*;

fn activity(process: &Process) -> Activity {
    process.activity().expect("activity")
}

/// Waits until an activity is as wanted. What is seen on the way there, such as a program that still starts, does not
/// count.
#[track_caller]
fn becomes(process: &Process, what: &str, mut wanted: impl FnMut(&Activity) -> bool) -> Activity {
    let mut last = activity(process);
    eventually(what, || {
        last = activity(process);
        wanted(&last)
    });
    last
}

#[track_caller]
fn awaits(process: &Process, pid: i32) {
    becomes(process, "it waits for input", |activity| activity.awaits_input == AwaitsInput::Yes(pid));
}

fn piped(script: &str) -> Command {
    let mut command = support::script(script);
    command.stdin(Stdin::Pipe);
    command
}

fn end(service: &Service, processes: &[Process]) {
    service.close(CloseMode::Kill).expect("close");
    processes.iter().for_each(|process| drop(finish(process)));
}

#[test]
fn a_child_that_reads_its_standard_input_waits_for_it_until_it_comes() {
    let mut talk = Talk::new();
    let service = service();
    for call in ["poll", "select", "epoll"] {
        let verbs = talk.verbs(&format!("block {call} 0 notify INBOX on await GATE"));
        let process = tool(verbs).stdin(Stdin::Pipe).spawn(&service).expect("spawn");
        awaits(&process, process.pid());
        assert_eq!(activity(&process).doing, Doing::Sleeping);
        process.write_stdin(b"x", GUARDED).expect("write");
        talk.inbox.expect("on");
        // What it waits for now comes from a FIFO that is not its input.
        becomes(&process, "it waits for something else", |activity| {
            activity.awaits_input == AwaitsInput::No && activity.doing == Doing::Sleeping
        });
        talk.gate.open(1);
        finish(&process);
    }
    let process = piped("cat").spawn(&service).expect("spawn");
    awaits(&process, process.pid());
    process.close_stdin().expect("close");
    finish(&process);
}

#[test]
fn a_descendant_that_reads_the_standard_input_is_named() {
    let mut talk = Talk::new();
    let service = service();
    let process = tool(talk.verbs("fork plain notify INBOX up cat end pause")).stdin(Stdin::Pipe).spawn(&service);
    let process = process.expect("spawn");
    let reader = talk.inbox.expect("up");
    awaits(&process, reader);
    assert_eq!(activity(&process).processes, 2);
    end(&service, &[process]);
}

#[test]
fn a_read_of_a_pipe_between_processes_is_no_wait_for_input() {
    let service = service();
    let process = sh("sleep 1000 | cat").spawn(&service).expect("spawn");
    becomes(&process, "the pipeline waits", |activity| {
        assert!(!matches!(activity.awaits_input, AwaitsInput::Yes(_)));
        activity.processes == 3 && activity.awaits_input == AwaitsInput::No
    });
    end(&service, &[process]);
}

#[test]
fn a_read_of_a_terminal_is_a_wait_for_input() {
    let service = service();
    let (mut host, program) = os::pty(80, 24);
    let mut command = support::script("cat");
    let process = command.stdin(Stdin::Fd(Arc::new(program))).spawn(&service).expect("spawn");
    awaits(&process, process.pid());
    host.write_all(b"\x04").expect("end");
    finish(&process);

    // One that is not its standard input.
    let (_host, program) = os::pty(80, 24);
    let mut command = support::script("copy 5 1");
    command.descriptor(5, coreproc::Descriptor::Fd(Arc::new(program)));
    let process = command.spawn(&service).expect("spawn");
    awaits(&process, process.pid());
    end(&service, &[process]);
}

hosted! {
    fn a_thread_that_reads_the_standard_input_is_seen_beside_others() {
        let service = service();
        let part = host::command(test_path!("a_host_with_a_reading_thread"));
        let mut command = Command::new("/proc/self/exe");
        for (name, value) in part.get_envs() {
            command.env(name, value.expect("set"));
        }
        command.args(part.get_args()).stdin(Stdin::Pipe).stdout(coreproc::Output::Null);
        let process = command.spawn(&service).expect("spawn");
        awaits(&process, process.pid());
        assert!(activity(&process).own.threads >= 2);
        process.close_stdin().expect("close");
        assert_eq!(finish(&process).code(), 0);
    }
}

hosted_part! {
    fn a_host_with_a_reading_thread() {
        std::thread::spawn(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).join().expect("reader").expect("read");
    }
}

#[test]
fn what_runs_sleeps_and_is_stopped_is_told_apart() {
    let mut talk = Talk::new();
    let service = service();
    let spins = script("spin").spawn(&service).expect("spawn");
    let busy = becomes(&spins, "it uses the processor", |activity| activity.own.cpu_ns >= 50_000_000);
    assert_eq!((busy.doing, busy.awaits_input), (Doing::Running, AwaitsInput::No));
    assert!(busy.tree.cpu_ns >= busy.own.cpu_ns);

    let sleeps = talk.tool("notify INBOX up sleep 1000000").spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    let still = becomes(&sleeps, "it sleeps", |activity| activity.doing == Doing::Sleeping);
    assert_eq!(still.awaits_input, AwaitsInput::No);

    for signal in [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN] {
        sleeps.signal(signal, Scope::Process).expect("signal");
        let stopped = becomes(&sleeps, "it is stopped", |activity| activity.doing != Doing::Sleeping);
        assert_eq!(stopped.doing, Doing::Stopped { signal: Some(signal) });
        assert_eq!(stopped.awaits_input, AwaitsInput::No);
        sleeps.signal(libc::SIGCONT, Scope::Process).expect("signal");
        becomes(&sleeps, "it goes on", |activity| activity.doing == Doing::Sleeping);
    }
    end(&service, &[spins, sleeps]);
}

#[test]
fn the_figures_are_those_of_proc() {
    let mut talk = Talk::new();
    let service = service();
    let mut command = talk.tool("pattern 1 100000 1 notify INBOX up await GATE");
    command.descriptor(7, coreproc::Descriptor::ReadFile("/dev/null".into()));
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    let told = becomes(&process, "it waits", |activity| activity.doing == Doing::Sleeping);
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).expect("fd").count() as u64;
    assert_eq!(told.own.descriptors, Some(files));
    assert_eq!((told.id, told.pid), (process.id(), process.pid()));
    assert_eq!((told.own.threads, told.processes, told.own), (1, 1, told.tree));
    assert!((100_000..120_000).contains(&told.own.io.expect("ours").written), "{told:?}");
    assert!((4096..64 << 20).contains(&told.own.rss_bytes), "{told:?}");
    talk.gate.open(1);
    finish(&process);
}

#[test]
fn a_tree_has_descendants_and_members_of_the_group_and_no_one_who_left() {
    let mut talk = Talk::new();
    let service = service();
    let spawn = |talk: &Talk, verbs: &str| talk.tool(verbs).spawn(&service).expect("spawn");
    // With a session of its own, and yet a child.
    let near = spawn(&talk, "fork setsid notify INBOX up pause end pause");
    // Its parent has ended, and it is in the group.
    let orphan = spawn(&talk, "fork plain fork plain notify INBOX up pause end exit 0 end notify INBOX up pause");
    let gone = spawn(&talk, "fork double notify INBOX up await GATE end notify INBOX up pause");
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(talk.inbox.expect("up"));
    }
    for (process, count) in [(&near, 2), (&orphan, 2), (&gone, 1)] {
        let told = becomes(process, "the tree is there", |activity| activity.processes == count);
        assert_eq!(told.tree.threads, count, "{told:?}");
        assert!(told.tree.rss_bytes >= told.own.rss_bytes);
    }
    let all = service.activities().expect("activities");
    assert_eq!(all.iter().map(|one| (one.id, one.processes)).collect::<Vec<_>>(), [(1, 2), (2, 2), (3, 1)]);
    // A host's own group is no tree.
    let mut inherits = talk.tool("pause");
    let inherits = inherits.group(Group::Inherit).spawn(&service).expect("spawn");
    assert_eq!(activity(&inherits).processes, 1);
    talk.gate.open(1);
    near.kill(Scope::Process).expect("kill");
    end(&service, &[near, orphan, gone, inherits]);
    others.iter().for_each(|pid| drop(os::kill(*pid, libc::SIGKILL)));
}

#[test]
fn an_ended_process_has_no_activity() {
    let service = service();
    let process = script("exit 0").spawn(&service).expect("spawn");
    finish(&process);
    assert_eq!(kind_of(process.activity()), ErrorKind::NotRunning);
    assert_eq!(service.activities().expect("activities"), []);
}

#[test]
fn many_are_told_in_one_pass_while_others_come_and_go() {
    let service = service();
    let total = count("idle children", 200);
    let idle: Vec<Process> = (0..total).map(|_| piped("cat").spawn(&service).expect("spawn")).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                run(&service, &script("fork plain exit 0 end exit 0"));
            }
        });
        for process in &idle {
            awaits(process, process.pid());
        }
        for _ in 0..20 {
            let told = service.activities().expect("activities");
            assert!(told.is_sorted_by_key(|one| one.id));
            for process in &idle {
                let one = told.iter().find(|one| one.id == process.id()).expect("it runs");
                assert_eq!((one.pid, one.processes), (process.pid(), 1));
                assert_eq!(one.awaits_input, AwaitsInput::Yes(process.pid()));
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    end(&service, &idle);
}

#[test]
fn what_a_stranger_with_its_number_does_is_not_told() {
    let Some(host) = host::command_with_own_pids(test_path!("a_host_whose_child_has_a_successor")) else { return };
    host::run_command(host);
}

hosted_part! {
    fn a_host_whose_child_has_a_successor() {
        let service = service();
        // Nothing happens to the processes of the service from here on, so that the end stays unseen.
        let subscription = service.subscribe(coreproc::SubscriptionOptions::default()).expect("subscribe");
        subscription.drive().expect("drive");
        let process = tool(["pause"]).spawn(&service).expect("spawn");
        activity(&process);
        os::kill(process.pid(), libc::SIGKILL).expect("kill");
        os::await_zombie(process.pid());
        assert_eq!(activity(&process).doing, Doing::Zombie);
        assert_eq!(activity(&process).processes, 0);
        os::reap(process.pid());
        let start = || {
            let mut stranger = std::process::Command::new(child());
            host::Running(stranger.args(["pause"]).stdin(Stdio::null()).spawn().expect("spawn"))
        };
        let stranger = os::reuse(process.pid(), start, |running| running.0.id() as i32);
        assert_eq!(kind_of(process.activity()), ErrorKind::NotRunning);
        assert_eq!(service.activities().expect("activities"), []);
        drop(stranger);
    }
}

hosted! {
    fn what_may_not_be_traced_is_unknown() {
        const NOBODY: u32 = 65_534;
        if !os::is_root() {
            println!("NOT TESTED: a child of another kind, which only root can make");
            return;
        }
        let mut talk = Talk::new();
        let service = service();
        let mut command = talk.tool("hide notify INBOX up cat");
        let process = command.stdin(Stdin::Pipe).spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        awaits(&process, process.pid());
        os::set_real_user_for_good(NOBODY);
        let told = becomes(&process, "it waits", |activity| activity.doing == Doing::Sleeping);
        assert_eq!(told.awaits_input, AwaitsInput::Unknown);
        assert_eq!((told.own.io, told.tree.io), (None, None));
        process.close_stdin().expect("close");
        finish(&process);
    }
}

#[test]
fn without_proc_it_is_unsupported() {
    let Some(host) = host::command_in_namespaces(test_path!("a_host_without_proc"), &["--mount"]) else { return };
    host::run_command(host);
}

hosted_part! {
    fn a_host_without_proc() {
        let service = service();
        let process = tool(["pause"]).spawn(&service).expect("spawn");
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "none", "/proc"]).status().expect("mount");
        assert!(mounted.success());
        assert_eq!(kind_of(process.activity()), ErrorKind::Unsupported);
        assert_eq!(kind_of(service.activities()), ErrorKind::Unsupported);
        end(&service, &[process]);
    }
}
