//! The two-step end: `exited` at once, `closed` when the output is read or the drain bound is reached.

use coreproc::{
    Command, Delivery, Drain, EventKind, ExitStatus, Process, Service, Size, State, Stdin, SubscriptionOptions,
};
use std::time::Duration;
use support::events::{assert_whole, until_closed};
use support::fifo::{Gate, Talk};
use support::os::Fd;
use support::pattern::{assert_same, pattern};
use support::*;

/// A way to leave a descendant behind that keeps the pipes; "$@" is the child program and its verbs. The shell exits at the
/// end of its standard input.
struct Way {
    name: &'static str,
    program: &'static str,
    script: &'static str,
}

const WAYS: [Way; 9] = [
    Way { name: "sh", program: "sh", script: "\"$@\" & read go; exit 7" },
    Way { name: "bash", program: "bash", script: "\"$@\" & read go; exit 7" },
    Way { name: "dash", program: "dash", script: "\"$@\" & read go; exit 7" },
    Way { name: "sh, setsid", program: "sh", script: "setsid \"$@\" & read go; exit 7" },
    Way { name: "bash, setsid", program: "bash", script: "setsid \"$@\" & read go; exit 7" },
    Way { name: "dash, setsid", program: "dash", script: "setsid \"$@\" & read go; exit 7" },
    Way { name: "sh, subshell", program: "sh", script: "(\"$@\" &) ; read go; exit 7" },
    Way { name: "bash, subshell, setsid", program: "bash", script: "(setsid \"$@\" &) ; read go; exit 7" },
    Way { name: "dash, subshell, setsid", program: "dash", script: "(setsid \"$@\" &) ; read go; exit 7" },
];

fn behind(way: &Way, verbs: &[String]) -> Command {
    let mut command = Command::new(way.program);
    command.args(["-c", way.script, way.program]).arg(child()).args(verbs).stdin(Stdin::Pipe);
    command
}

fn short_drain(command: &mut Command) -> &mut Command {
    command.drain(Drain { silence: Duration::from_millis(100), total: Duration::from_millis(400) })
}

/// Waits for `exited` while the descendant cannot go on: only the exit itself can bring it.
fn exited(process: &Process) {
    let info = process.wait_exit(GUARDED).expect("exited");
    assert_eq!(info.status(), Some(ExitStatus::Code(7)));
}

fn names(process: &Process, pid: i32) -> bool {
    process.holders().expect("holders").iter().any(|holder| holder.pid == Some(pid) && holder.command.contains("child"))
}

#[test]
fn grandchild_holding_stdout_does_not_delay_exit_and_is_named_and_not_killed() {
    for way in &WAYS {
        let mut talk = Talk::new();
        let service = service();
        let verbs = talk.verbs(
            "text 1 before text 2 also notify INBOX holding \
             await GATE pattern 1 1000000 5 notify INBOX alive await GATE notify INBOX over",
        );
        let process = short_drain(&mut behind(way, &verbs)).spawn(&service).expect("spawn");
        let pid = talk.inbox.expect("holding");
        let grandchild = os::pidfd(pid).expect("grandchild");

        // Not before the grandchild has written: on a busy machine that takes it longer than the drain bound.
        process.close_stdin().expect("close");
        exited(&process);
        // The gate was not opened, so this end comes while the grandchild lives.
        let ended = finish(&process);
        assert!(os::lives(&grandchild), "{}", way.name);
        assert!(ended.info.drain_bound, "{}", way.name);
        assert_eq!(ended.info.state, State::Closed);
        // The output is in order of arrival, which is either way round with two pipes.
        let text = ended.text();
        assert!(["beforealso", "alsobefore"].contains(&text.as_str()), "{}: {text}", way.name);
        assert!(names(&process, pid), "{}: {:?}", way.name, process.holders().expect("holders"));

        // It goes on to write more than a pipe holds, which is still read, so it is neither blocked nor killed by
        // SIGPIPE.
        talk.gate.open(1);
        assert_eq!(talk.inbox.expect("alive"), pid);
        assert_eq!(finish(&process).output, ended.output, "what comes after closed is discarded");
        talk.gate.open(1);
        talk.inbox.expect("over");
        os::assert_ends(&grandchild);
        eventually("what was discarded is counted", || process.info().expect("info").discarded_bytes == 1_000_000);
        println!("{}: closed while PID {pid} lived, which was named", way.name);
    }
}

#[test]
fn a_descendant_in_its_own_session_or_forked_twice_is_named_too() {
    for mode in ["plain", "setsid", "double"] {
        let mut talk = Talk::new();
        let service = service();
        let body = format!("fork {mode} notify INBOX holding await GATE end exit 7");
        let process = short_drain(&mut talk.tool(&body)).spawn(&service).expect("spawn");
        let pid = talk.inbox.expect("holding");

        exited(&process);
        assert!(finish(&process).info.drain_bound);
        assert!(names(&process, pid), "{mode}: {:?}", process.holders().expect("holders"));
        talk.gate.open(1);
    }
}

#[test]
fn every_holder_is_named() {
    let mut talk = Talk::new();
    let service = service();
    let body = "fork setsid notify INBOX a await GATE end fork double notify INBOX b await GATE end \
                fork plain notify INBOX c close 1 await GATE end exit 7";
    let process = short_drain(&mut talk.tool(body)).spawn(&service).expect("spawn");
    let mut pids: Vec<i32> = (0..3).map(|_| talk.inbox.message().1).collect();
    pids.sort_unstable();

    exited(&process);
    finish(&process);
    let mut named: Vec<i32> = process.holders().expect("holders").iter().filter_map(|holder| holder.pid).collect();
    named.sort_unstable();
    assert_eq!(named, pids, "one holds stderr alone, and counts");
    talk.gate.open(3);
}

#[test]
fn a_holder_cannot_forge_lines_or_talk_to_the_terminal() {
    let mut talk = Talk::new();
    let service = service();
    let subscription = service.subscribe(Default::default()).expect("subscribe");
    let name = "x\n1 init\r2 a\u{1b}[8m\u{202e}\u{85}";
    let mut verbs = talk.verbs("fork setsid notify INBOX holding await GATE text 1");
    verbs.extend([name, "end", "exit", "7"].map(str::to_owned));
    let process = short_drain(&mut tool(verbs)).spawn(&service).expect("spawn");
    let pid = talk.inbox.expect("holding");
    finish(&process);

    let holders = process.holders().expect("holders");
    assert_eq!(holders.len(), 1);
    let shown = "x\\n1 init\\r2 a\\u{1b}[8m\\u{202e}\\u{85} end exit 7";
    assert!(holders[0].command.ends_with(shown), "{}", holders[0].command);
    let events = events::until_closed(&subscription, 1).remove(&process.id()).expect("events");
    let told = lossy(&events.last().expect("closed").data);
    assert!(told.starts_with(&format!("{pid} ")) && told.ends_with(&format!("{shown}\n")), "{told:?}");
    assert_eq!(told.lines().count(), 1);
    talk.gate.open(1);
}

#[test]
fn a_noisy_grandchild_cannot_put_off_the_end() {
    for mode in ["plain", "setsid", "double"] {
        let mut talk = Talk::new();
        let service = service();
        let body = format!("fork {mode} notify INBOX noisy noise 1 GATE notify INBOX over end exit 7");
        // The output is never silent for this long, so only the total bound can end it.
        let drain = Drain { silence: Duration::from_secs(3600), total: Duration::from_millis(300) };
        let process = talk.tool(&body).drain(drain).spawn(&service).expect("spawn");
        let pid = talk.inbox.expect("noisy");

        exited(&process);
        let ended = finish(&process);
        assert!(ended.info.drain_bound && names(&process, pid), "{mode}");
        assert!(ended.text().starts_with("noise\n"));
        eventually("it goes on and is read", || process.info().expect("info").discarded_bytes > 100);
        talk.gate.open(1);
        assert_eq!(talk.inbox.expect("over"), pid, "not killed");
    }
}

#[test]
fn a_silent_grandchild_is_waited_for_as_long_as_silence_may_last() {
    let mut talk = Talk::new();
    let service = service();
    let body = "fork setsid notify INBOX up await GATE text 1 late end exit 7";
    let forever = Drain { silence: Duration::MAX, total: Duration::MAX };
    let process = talk.tool(body).drain(forever).spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    exited(&process);
    assert_eq!(process.info().expect("info").state, State::Exited);

    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!(ended.text(), "late");
    assert!(!ended.info.drain_bound && process.holders().expect("holders").is_empty());
}

#[test]
fn what_the_pipe_holds_at_the_bound_is_there() {
    // The grandchild fills the pipe, and a subscriber that takes nothing keeps it full.
    let mut talk = Talk::new();
    let service = service();
    let subscription = service
        .subscribe(SubscriptionOptions { delivery: Delivery::Chunks, queue_bytes: 4096, ..Default::default() })
        .expect("subscribe");
    let leader = Gate::new(talk.dir.path(), "leader");
    let mut command = talk.tool("fork setsid fill 1 8 INBOX await GATE end await");
    short_drain(command.arg(leader.path()).args(["exit", "7"])).capture(Size::Bytes(16 << 20));
    let process = command.spawn(&service).expect("spawn");
    let (written, pid) = talk.inbox.message();
    let written: usize = written.parse().expect("a number");
    leader.open(1);
    exited(&process);

    // The clocks stand still while backpressure keeps the library from reading.
    assert_eq!(kind_of(process.wait(Some(Duration::from_secs(1)))), coreproc::ErrorKind::TimedOut);

    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_whole(&events);
    let want = pattern(written, 8);
    assert_same(&events::bytes_of(&events, coreproc::Stream::Stdout), &want);
    let ended = finish(&process);
    assert_same(&ended.output, &want);
    assert!(ended.info.drain_bound && names(&process, pid));
    talk.gate.open(1);
}

#[test]
fn the_events_of_a_two_step_end_come_in_order_and_closed_names_the_holder() {
    let mut talk = Talk::new();
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let body = "fork setsid notify INBOX up await GATE text 1 after\\n notify INBOX wrote await GATE end exit 7";
    // The silence is long enough for this test to let the grandchild write in between.
    let drain = Drain { silence: Duration::from_secs(5), total: Duration::from_secs(3600) };
    let process = talk.tool(body).drain(drain).spawn(&service).expect("spawn");
    let pid = talk.inbox.expect("up");
    exited(&process);
    talk.gate.open(1);
    talk.inbox.expect("wrote");

    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_whole(&events);
    let kinds: Vec<_> = events.iter().map(|e| e.kind).collect();
    let EventKind::Closed { ending, drain_bound } = kinds[3] else { panic!("{kinds:?}") };
    assert!(matches!(kinds[1], EventKind::Exited(first) if first == ending), "{kinds:?}");
    assert_eq!(events[2].data, b"after");
    assert_eq!((ending.status, drain_bound), (ExitStatus::Code(7), true));
    let holders = lossy(&events[3].data);
    assert!(holders.starts_with(&format!("{pid} ")) && holders.ends_with('\n'), "{holders}");
    talk.gate.open(1);
}

#[test]
fn a_background_server_outlives_the_service_without_sigpipe() {
    let mut talk = Talk::new();
    let service = service();
    let body = "fork setsid notify INBOX up await GATE pattern 1 500000 1 notify INBOX served await GATE end exit 7";
    let process = short_drain(&mut talk.tool(body)).spawn(&service).expect("spawn");
    let server: Fd = os::pidfd(talk.inbox.expect("up")).expect("server");
    finish(&process);
    drop((process, service));

    talk.gate.open(1);
    talk.inbox.expect("served");
    assert!(os::lives(&server));
    talk.gate.open(1);
    os::assert_ends(&server);
}

#[test]
fn one_process_drains_while_others_come_and_go() {
    let mut talk = Talk::new();
    let service: Service = service();
    let body = "fork setsid notify INBOX up await GATE end exit 7";
    let forever = Drain { silence: Duration::MAX, total: Duration::MAX };
    let held = talk.tool(body).drain(forever).spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    exited(&held);
    for i in 0..50 {
        assert_eq!(run(&service, &script(&format!("text 1 x exit {i}"))).code(), i);
    }
    assert_eq!(held.info().expect("info").state, State::Exited);
    talk.gate.open(1);
    assert!(!finish(&held).info.drain_bound);
}

/// A holder that /proc does not show to this user still counts.
#[test]
fn a_holder_that_cannot_be_looked_at_is_an_unknown_holder() {
    const PROGRAM: &str = "COREPROC_TEST_PROGRAM";
    let name = test_path!("a_holder_that_cannot_be_looked_at_is_an_unknown_holder");
    if host::inside(name) {
        // Root sees everything.
        if os::is_root() {
            os::set_real_user_for_good(48_213);
        }
        let mut talk = Talk::new();
        let service = service();
        let verbs = talk.verbs("fork setsid hide notify INBOX up await GATE notify INBOX on end exit 7");
        let mut command = Command::new(std::env::var_os(PROGRAM).expect(PROGRAM));
        let process = short_drain(command.args(verbs)).spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        exited(&process);
        assert!(finish(&process).info.drain_bound);
        let holders = process.holders().expect("holders");
        assert!(holders.iter().any(|holder| holder.pid.is_none()), "{holders:?}");
        talk.gate.open(1);
        talk.inbox.expect("on");
        return host::done();
    }
    // The directory is one in which that user may run it.
    let dir = tempfile::tempdir().expect("tempdir");
    let program = dir.path().join("child");
    std::fs::copy(child(), &program).expect("copy");
    for path in [dir.path(), &program] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).expect("chmod");
    }
    let mut command = host::command(name);
    command.env(PROGRAM, &program);
    host::run_command(command);
}
