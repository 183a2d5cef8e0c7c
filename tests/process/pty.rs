//! Pseudo-terminals of ours, with programs that behave as on any terminal.

use coreproc::{
    Command, Delivery, Drain, ErrorKind, EventKind, Group, Output, Process, PtyMode, PtyOptions, Service, Size, Stdin,
    StopOptions, Stream, Subscription, SubscriptionOptions,
};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use support::census::Census;
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::seccomp::{Refusal, Test, install, refuse, refuse_if};
use support::*;

fn mode(mode: PtyMode) -> PtyOptions {
    PtyOptions { mode, ..PtyOptions::default() }
}

/// Returns the command, on a terminal.
fn on_terminal(mut command: Command, with: PtyMode) -> Command {
    command.pty(mode(with)).env("TERM", "dumb").env("PS1", "$ ");
    command
}

fn program<const N: usize>(name: &str, arguments: [&str; N]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// A process on a terminal, and what it has written that was not expected yet.
pub(crate) struct Dialog {
    process: Process,
    events: Subscription,
    seen: Vec<u8>,
    is_over: bool,
}

impl Dialog {
    pub(crate) fn start(service: &Service, command: &Command) -> Dialog {
        let options = SubscriptionOptions { delivery: Delivery::Chunks, ..SubscriptionOptions::default() };
        let events = service.subscribe(options).expect("subscribe");
        let process = command.spawn(service).expect("spawn");
        Dialog { process, events, seen: Vec::new(), is_over: false }
    }

    fn take(&mut self) {
        let batch = self.events.take(0, GUARDED).unwrap_or_else(|error| panic!("{error}: {:?}", lossy(&self.seen)));
        for event in batch.events() {
            match event.kind {
                EventKind::Output { .. } => self.seen.extend(event.data),
                EventKind::Closed { .. } => self.is_over = true,
                _ => {}
            }
        }
    }

    /// Waits for a text, and returns what came before it.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        loop {
            let place = self.seen.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(at) = place {
                let before = self.seen.drain(..at + text.len()).take(at).collect::<Vec<u8>>();
                return lossy(&before);
            }
            assert!(!self.is_over, "no {text:?} in {:?}", lossy(&self.seen));
            self.take();
        }
    }

    pub(crate) fn send(&self, text: &str) {
        write_all(&self.process, text.as_bytes(), GUARDED).expect("write");
    }

    /// Reads to the end. Returns what came, and the exit.
    pub(crate) fn end(mut self) -> (String, Ended) {
        while !self.is_over {
            self.take();
        }
        (lossy(&self.seen), finish(&self.process))
    }
}

#[test]
fn a_process_has_its_terminal_as_all_standard_streams_in_a_session_of_its_own() {
    let service = service();
    for rest in ["text 1 one\\n text 2 two\\n", "text 2 one\\n text 0 two\\n"] {
        let command = on_terminal(script(&format!("terminal 0 terminal 1 terminal 2 {rest} exit 7")), PtyMode::Cooked);
        let ended = run(&service, &command);
        let line = "terminal 1 session 1 leader 1 foreground 1 controlling 1 size 80x24\r\n";
        assert_eq!((ended.code(), ended.text()), (7, format!("{line}{line}{line}one\r\ntwo\r\n")));
        assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (ended.output.len() as u64, 0));
    }
    let ended = run(&service, &on_terminal(program("tty", []), PtyMode::Cooked));
    assert!(ended.text().starts_with("/dev/pts/"), "{}", ended.text());
    let ended = run(&service, &on_terminal(script("fds"), PtyMode::Cooked));
    assert_eq!(ended.text().lines().count(), 3, "{}", ended.text());
}

#[test]
fn what_a_terminal_shows_comes_in_lines_as_well() {
    let service = service();
    let events = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    run(&service, &on_terminal(script("text 1 one\\ntwo\\nrest"), PtyMode::Cooked));
    let log = events::until_closed(&events, 1);
    let lines = events::lines_of(log.values().next().expect("one"), Stream::Stdout);
    assert_eq!(lines, [&b"one\r\n"[..], b"two\r\n", b"rest"]);
}

#[test]
fn a_new_size_is_known_at_once_and_told_by_a_signal() {
    let mut talk = Talk::new();
    let service = service();
    let shell = "for at in 1 2 3; do stty size; read -r line; done";
    let mut command = on_terminal(program("sh", ["-c", shell]), PtyMode::NoEcho);
    command.pty(PtyOptions { columns: 132, rows: 50, mode: PtyMode::NoEcho });
    let mut dialog = Dialog::start(&service, &command);
    dialog.expect("50 132\r\n");
    for (columns, rows, want) in [(100, 30, "30 100\r\n"), (u16::MAX, 1, "1 65535\r\n")] {
        dialog.process.resize(columns, rows).expect("resize");
        dialog.send("\n");
        assert_eq!(dialog.expect(want), "");
    }
    assert_eq!(kind_of(dialog.process.resize(0, 1)), ErrorKind::InvalidArgument);
    assert_eq!(dialog.process.resize(1, 0).expect_err("zero").to_string(), "resize: rows: is zero");
    dialog.send("\n");
    let process = dialog.process.clone();
    dialog.end();
    assert_eq!(kind_of(process.resize(80, 24)), ErrorKind::NotRunning);
    let plain = script("exit 0").spawn(&service).expect("spawn");
    plain.wait(GUARDED).expect("closed");
    assert_eq!(kind_of(plain.resize(80, 24)), ErrorKind::NotRunning);
    let told = on_terminal(talk.tool("on 28 33 notify INBOX up await GATE"), PtyMode::Cooked);
    let told = told.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    told.resize(100, 30).expect("resize");
    assert_eq!(finish(&told).code(), 33);
    let plain = talk.tool("await GATE").spawn(&service).expect("spawn");
    assert_eq!(kind_of(plain.resize(80, 24)), ErrorKind::InvalidArgument);
    talk.gate.open(1);
    finish(&plain);
}

#[test]
fn what_is_typed_is_echoed_or_not() {
    let service = service();
    for (mode, want) in [(PtyMode::Cooked, "hello\r\nhello\r\n"), (PtyMode::NoEcho, "hello\r\n")] {
        let dialog = Dialog::start(&service, &on_terminal(program("cat", []), mode));
        dialog.send("hello\n");
        dialog.process.close_stdin().expect("close");
        let (text, ended) = dialog.end();
        assert_eq!((ended.code(), text.as_str()), (0, want), "{mode:?}");
    }
}

#[test]
fn a_raw_terminal_passes_every_byte_both_ways() {
    let service = service();
    let all: Vec<u8> = (0..=255).collect();
    let command = on_terminal(program("head", ["-c", "256"]), PtyMode::Raw);
    let process = command.spawn(&service).expect("spawn");
    write_all(&process, &all, GUARDED).expect("write");
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.output), (0, all));
}

#[test]
fn ctrl_c_is_a_signal_to_the_foreground_group() {
    let mut talk = Talk::new();
    let service = service();
    let command =
        on_terminal(talk.tool("fork plain notify INBOX up await GATE end notify INBOX up await GATE"), PtyMode::Cooked);
    let process = command.spawn(&service).expect("spawn");
    let members = talk.inbox.expect_many("up", 2);
    write_all(&process, b"\x03", GUARDED).expect("write");
    let ended = finish(&process);
    assert_eq!((ended.signal(), ended.text().as_str()), (libc::SIGINT, "^C"));
    members.iter().for_each(os::assert_ends);
}

#[test]
fn the_end_of_input_is_typed_after_what_is_on_the_way() {
    let service = service();
    for (input, want) in
        [("", ""), ("one\n", "one\r\n"), ("one\ntwo", "one\r\ntwo"), ("\r", "\r\n"), ("\u{e4}", "\u{e4}")]
    {
        let process = on_terminal(program("cat", []), PtyMode::NoEcho).spawn(&service).expect("spawn");
        write_all(&process, input.as_bytes(), GUARDED).expect("write");
        process.close_stdin().expect("close");
        process.close_stdin().expect("again");
        let ended = finish(&process);
        assert_eq!((ended.code(), ended.text().as_str()), (0, want), "{input:?}");
        assert_eq!(ended.info.unwritten_bytes, 0);
    }
}

#[test]
fn a_terminal_that_is_full_takes_more_when_it_is_read_and_the_end_after_all_of_it() {
    let talk = Talk::new();
    let service = service();
    let mut command = on_terminal(talk.tool("await GATE cat exit 4"), PtyMode::NoEcho);
    command.capture(Size::Bytes(16 << 20)).stdout(Output::Pipe);
    let process = command.spawn(&service).expect("spawn");
    let line = format!("{}\n", "x".repeat(99));
    let mut sent = 0;
    let full = loop {
        match process.write_stdin(&line.as_bytes()[sent % 100..], Some(Duration::ZERO)) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    assert!(sent > 4096, "{sent}");
    process.close_stdin().expect("close");
    assert_eq!(kind_of(process.write_stdin(b"x", GUARDED)), ErrorKind::StdinClosed);
    assert_eq!(process.info().expect("info").unwritten_bytes, 0);
    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.output.len()), (4, sent));
}

#[test]
fn megabytes_go_in_with_backpressure() {
    let service = service();
    let mut command = on_terminal(script("text 1 ready cat"), PtyMode::Raw);
    command.capture(Size::Bytes(16 << 20));
    let mut dialog = Dialog::start(&service, &command);
    dialog.expect("ready");
    let data = pattern(2 << 20, 5);
    let process = dialog.process.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| write_all(&process, &data, GUARDED).expect("write"));
        while dialog.seen.len() < data.len() {
            dialog.take();
        }
    });
    assert_same(&dialog.seen, &data);
    dialog.process.stop(None).expect("stop");
    dialog.end();
}

#[test]
fn all_that_was_written_before_the_exit_is_read() {
    let service = service();
    for round in 0..count("terminals that a megabyte comes from", 20) {
        let mut command = on_terminal(script(&format!("pattern 1 1048576 {round} exit 3")), PtyMode::Raw);
        command.capture(Size::Bytes(2 << 20));
        let ended = run(&service, &command);
        assert_eq!(ended.code(), 3);
        assert_same(&ended.output, &pattern(1 << 20, round));
    }
}

#[test]
fn output_of_a_cooked_terminal_has_carriage_returns() {
    let service = service();
    let mut command = on_terminal(program("seq", ["100000"]), PtyMode::Cooked);
    command.capture(Size::Bytes(2 << 20));
    let want: String = (1..=100_000).map(|number| format!("{number}\r\n")).collect();
    assert_same(&run(&service, &command).output, want.as_bytes());
}

#[test]
fn a_password_is_asked_for_at_the_terminal_wherever_the_streams_go() {
    let service = service();
    let mut dialog = Dialog::start(&service, &on_terminal(script("password"), PtyMode::Cooked));
    assert_eq!(dialog.expect("Password: "), "");
    dialog.send("secret\n");
    let (text, ended) = dialog.end();
    assert_eq!((ended.code(), text.as_str()), (0, "\r\npassword secret\r\n"));

    // Its data come from a pipe and go to one, and only the prompt is at the terminal.
    let mut command = on_terminal(script("cat password"), PtyMode::Cooked);
    command.stdin(Stdin::Data(Arc::new(b"data\n".to_vec()))).stdout(Output::Pipe);
    let process = command.spawn(&service).expect("spawn");
    assert_eq!(kind_of(process.write_descriptor(1, b"x", GUARDED)), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(process.write_stdin(b"x", GUARDED)), ErrorKind::StdinClosed);
    eventually("the prompt", || process.info().expect("info").stderr_bytes == 10);
    assert_eq!(process.write_descriptor(2, b"secret\n", GUARDED).expect("write"), 7);
    let ended = finish(&process);
    // The two streams come in any order.
    assert!(ended.text().starts_with("data\nPassword: "), "{}", ended.text());
    assert!(ended.text().contains("password secret\n"), "{}", ended.text());
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (21, 12));
}

#[test]
fn each_stream_can_be_elsewhere() {
    let service = service();
    let mut command = on_terminal(script("terminal 0 text 2 err cat"), PtyMode::Cooked);
    command.stdout(Output::Pipe).stderr(Output::Pipe);
    let process = command.spawn(&service).expect("spawn");
    write_all(&process, b"typed\n", GUARDED).expect("write");
    process.close_stdin().expect("close");
    let ended = finish(&process);
    // The outputs are two pipes; what the terminal shows, here the echo, is a stream of its own.
    assert_eq!(
        ended.text().replace("err", ""),
        "terminal 1 session 1 leader 1 foreground 1 controlling 1 size 80x24\ntyped\n"
    );
    assert_eq!(process.captured(Some(Stream::Descriptor(0))).expect("output").tail, b"typed\r\n");
    assert_eq!(kind_of(process.captured(Some(Stream::Descriptor(1)))), ErrorKind::InvalidArgument);

    let mut command = on_terminal(script("terminal 0 terminal 1 terminal 2"), PtyMode::Cooked);
    command.stdin(Stdin::Null).stderr(Output::Null);
    let text = run(&service, &command).text();
    let terminals: Vec<_> = text.lines().map(|line| &line[..10]).collect();
    assert_eq!(terminals, ["terminal 0", "terminal 1", "terminal 0"]);
}

#[test]
fn bash_is_interactive_with_job_control() {
    let service = service();
    let mut dialog =
        Dialog::start(&service, &on_terminal(program("bash", ["--norc", "--noprofile", "-i"]), PtyMode::Cooked));
    dialog.expect("$ ");
    dialog.send("echo $((6*7)); [[ $- == *i* ]] && echo inter\"\"active\n");
    assert!(dialog.expect("interactive\r\n").contains("\n42\r\n"));
    dialog.expect("$ ");
    // What the shell itself types back has the quotes.
    dialog.send("echo \"ru\"nning; cat\n");
    dialog.expect("running\r\n");
    dialog.send("line\n");
    dialog.expect("line\r\nline\r\n");
    dialog.send("\x1a");
    dialog.expect("Stopped");
    dialog.expect("$ ");
    dialog.send("fg\n");
    dialog.expect("cat\r\n");
    dialog.send("again\n");
    dialog.expect("again\r\nagain\r\n");
    dialog.send("\x03");
    dialog.expect("$ ");
    dialog.send("exit 9\n");
    assert_eq!(dialog.end().1.code(), 9);
}

#[test]
fn python_is_interactive_and_ends_with_its_input() {
    if !program("python3", ["-c", ""])
        .spawn(&service())
        .is_ok_and(|python| finish(&python).info.status() == Some(coreproc::ExitStatus::Code(0)))
    {
        println!("NOT TESTED: there is no python3");
        return;
    }
    let service = service();
    let mut dialog = Dialog::start(&service, &on_terminal(program("python3", ["-q", "-i"]), PtyMode::Cooked));
    dialog.expect(">>> ");
    dialog.send("print(6 * 7)\n");
    dialog.expect("42\r\n");
    dialog.expect(">>> ");
    dialog.process.close_stdin().expect("close");
    assert_eq!(dialog.end().1.code(), 0);
}

#[test]
fn a_grandchild_that_keeps_the_terminal_is_named_and_read_on() {
    let mut talk = Talk::new();
    let service = service();
    let verbs = "ignore 1 fork plain notify INBOX up await GATE text 1 late\\n end await LAST exit 5";
    let last = fifo::Gate::new(talk.dir.path(), "last");
    let mut command = on_terminal(talk.tool(verbs), PtyMode::Cooked);
    command.drain(Drain { silence: Duration::from_millis(50), total: Duration::from_secs(60) });
    let process = command.spawn(&service).expect("spawn");
    let pid = talk.inbox.expect("up");
    let member = os::pidfd(pid).expect("it lives");
    last.open(1);
    let info = process.wait(GUARDED).expect("closed");
    assert!(info.drain_bound);
    let holders: Vec<_> = process.holders().expect("holders").iter().map(|holder| holder.pid).collect();
    assert_eq!(holders, [Some(pid)]);
    process.resize(90, 20).expect("the terminal is there");
    talk.gate.open(1);
    os::assert_ends(&member);
    eventually("it is read and discarded", || process.info().expect("info").discarded_bytes == 6);
    eventually("the terminal is closed", || process.resize(80, 24).is_err());
}

#[test]
fn the_end_of_the_session_leader_hangs_up_its_foreground_group() {
    let mut talk = Talk::new();
    let service = service();
    let last = fifo::Gate::new(talk.dir.path(), "last");
    let command = on_terminal(talk.tool("fork plain notify INBOX up await GATE end await LAST"), PtyMode::Cooked);
    let process = command.spawn(&service).expect("spawn");
    let members = talk.inbox.expect_many("up", 1);
    last.open(1);
    assert_eq!(finish(&process).code(), 0);
    members.iter().for_each(os::assert_ends);
    assert!(!process.info().expect("info").drain_bound);
}

#[test]
fn a_terminal_that_nobody_has_open_for_a_moment_goes_on() {
    let mut talk = Talk::new();
    let service = service();
    let verbs = "text 1 before close 0 close 1 close 2 notify INBOX closed await GATE reopen text 0 after exit 6";
    let dialog = Dialog::start(&service, &on_terminal(talk.tool(verbs), PtyMode::Raw));
    talk.inbox.expect("closed");
    while !dialog
        .events
        .take(0, Some(Duration::from_millis(20)))
        .is_err_and(|error| error.kind() == ErrorKind::TimedOut)
    {}
    talk.gate.open(1);
    let ended = finish(&dialog.process);
    assert_eq!((ended.code(), ended.text().as_str()), (6, "beforeafter"));
}

#[test]
fn closing_the_output_hangs_the_terminal_up() {
    let mut talk = Talk::new();
    let service = service();
    for stream in [Stream::Stdout, Stream::Stderr] {
        let mut command = on_terminal(talk.tool("notify INBOX up await GATE"), PtyMode::Cooked);
        if stream == Stream::Stderr {
            command.stdout(Output::Null);
        }
        let process = command.spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        process.close_output(stream).expect("close");
        assert!(process.resize(80, 24).is_err());
        assert_eq!(finish(&process).signal(), libc::SIGHUP);
    }
}

#[test]
fn a_session_without_a_terminal_has_pipes_and_is_stopped_as_a_group() {
    let mut talk = Talk::new();
    let service = service();
    let verbs = "ids terminal 0 fork plain notify INBOX up await GATE end notify INBOX up await GATE";
    let mut command = talk.tool(verbs);
    let process = command.group(Group::Session).spawn(&service).expect("spawn");
    let members = talk.inbox.expect_many("up", 2);
    process.stop(Some(&StopOptions::default())).expect("stop");
    let ended = finish(&process);
    assert_eq!(ended.signal(), libc::SIGTERM);
    members.iter().for_each(os::assert_ends);
    let pid = process.pid();
    assert!(ended.text().starts_with(&format!("pid {pid}\npgid {pid}\nsid {pid}\n")), "{}", ended.text());
    assert!(ended.text().contains("leader 1 foreground 0 controlling 0"), "{}", ended.text());
}

#[test]
fn contradictions_are_refused_before_anything_is_started() {
    type Change = fn(&mut Command) -> &mut Command;
    let cases: [(Change, &str, &str); 8] = [
        (|command| command.detach(), "pty", "contradicts detach"),
        (|command| command.group(Group::Inherit), "group", "inherit contradicts pty"),
        (|command| command.stderr(Output::Merge), "stderr", "merge contradicts pty"),
        (
            |command| command.stdin(Stdin::Null).stdout(Output::Null).stderr(Output::Null),
            "pty",
            "none of the standard streams",
        ),
        (
            |command| command.stdin(Stdin::Pipe).stdout(Output::Pipe).stderr(Output::Merge),
            "pty",
            "none of the standard",
        ),
        (|command| command.pty(PtyOptions { columns: 0, ..PtyOptions::default() }), "", "pty columns: is zero"),
        (|command| command.pty(PtyOptions { rows: 0, ..PtyOptions::default() }), "", "pty rows: is zero"),
        (|command| command.group(Group::Inherit).stop_options(StopOptions::default()), "group", "inherit"),
    ];
    let service = service();
    for (change, stage, what) in cases {
        // The order of the setters does not matter.
        for first in [true, false] {
            let mut command = script("exit 0");
            if first {
                command.pty(PtyOptions::default());
            }
            change(&mut command);
            if !first {
                command.pty(PtyOptions::default());
            }
            let error = refused(&service, &command);
            assert_eq!((error.kind(), error.stage()), (ErrorKind::InvalidArgument, stage), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    let mut fine = on_terminal(script("exit 0"), PtyMode::Cooked);
    fine.stdout(Output::Pipe).stderr(Output::Merge).group(Group::Session);
    assert_eq!(run(&service, &fine).code(), 0);
}

hosted! {
    fn a_system_without_pseudo_terminals_says_so() {
        let call = |request: u64, errno| refuse_if(libc::SYS_ioctl, 1, Test::Bits(request as u32), errno);
        let service = service();
        let census = Census::take();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                install(&[call(libc::TIOCGPTPEER, libc::ENOTTY)]);
                let error = refused(&service, &on_terminal(script("exit 0"), PtyMode::Cooked));
                assert_eq!((error.kind(), error.stage()), (ErrorKind::Unsupported, "pty"), "{error}");
            });
        });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                install(&[call(libc::TIOCSCTTY, libc::EPERM)]);
                let error = refused(&service, &on_terminal(script("exit 0"), PtyMode::Cooked));
                assert_eq!((error.errno(), error.stage()), (Some(libc::EPERM), "pty"), "{error}");
            });
        });
        census.assert_restored("refusals");
    }

    fn every_way_to_start_a_child_gives_it_its_terminal() {
        let no_clone3 = refuse(libc::SYS_clone3, libc::ENOSYS);
        let no_vfork = refuse_if(libc::SYS_clone, 0, Test::Bits(libc::CLONE_VFORK as u32), libc::EPERM);
        let no_pidfd = refuse_if(libc::SYS_clone, 0, Test::Bits(libc::CLONE_PIDFD as u32), libc::EINVAL);
        let rungs: [Vec<Refusal>; 4] =
            [vec![], vec![no_clone3], vec![no_clone3, no_vfork], vec![no_clone3, no_vfork, no_pidfd]];
        for rung in rungs {
            std::thread::spawn(move || {
                install(&rung);
                let ended = run(&service(), &on_terminal(script("terminal 0 exit 7"), PtyMode::Cooked));
                let line = "terminal 1 session 1 leader 1 foreground 1 controlling 1 size 80x24\r\n";
                assert_eq!((ended.code(), ended.text().as_str()), (7, line));
            }).join().expect("rung");
        }
    }

    fn a_thousand_terminals_leave_nothing() {
        let service = service();
        let command = on_terminal(script("text 1 hello\\n cat exit 3"), PtyMode::NoEcho);
        let once = || {
            let process = command.spawn(&service).expect("spawn");
            write_all(&process, b"typed\n", GUARDED).expect("write");
            process.close_stdin().expect("close");
            let ended = finish(&process);
            assert_eq!((ended.code(), ended.text().as_str()), (3, "hello\r\ntyped\r\n"));
        };
        once();
        let census = Census::take();
        for _ in 0..count("terminals, one after another", 1000) {
            once();
        }
        census.assert_restored("terminals");
    }

    fn a_fork_of_the_host_keeps_no_side_of_a_terminal() {
        let mut talk = Talk::new();
        let service = service();
        let process =
            on_terminal(talk.tool("notify INBOX up await GATE"), PtyMode::Cooked).spawn(&service).expect("spawn");
        talk.inbox.expect("up");
        let (end, hold) = os::pipe();
        os::fork_off(|| {
            let mut byte = [0];
            let _ = (&end).read(&mut byte);
        });
        process.close_output(Stream::Stdout).expect("close");
        assert_eq!(finish(&process).signal(), libc::SIGHUP);
        (&hold).write_all(b"!").expect("let it go");
    }
}

hosted_part! {
    fn a_host_with_a_terminal() {
        let path = std::env::var("COREPROC_TEST_INBOX").expect("a path");
        let gate = std::env::var("COREPROC_TEST_GATE").expect("a path");
        let service = service();
        let command = on_terminal(tool(["notify", &path, "up", "await", &gate]), PtyMode::Cooked);
        let process = command.spawn(&service).expect("spawn");
        process.wait(GUARDED).expect("closed");
    }
}

#[test]
fn the_end_of_the_host_hangs_the_terminal_up() {
    let mut talk = Talk::new();
    let mut command = host::command(test_path!("a_host_with_a_terminal"));
    command.env("COREPROC_TEST_INBOX", talk.inbox.path()).env("COREPROC_TEST_GATE", talk.gate.path());
    command.stdout(std::process::Stdio::null());
    let running = host::Running(command.spawn().expect("host"));
    let members = talk.inbox.expect_many("up", 1);
    drop(running);
    members.iter().for_each(os::assert_ends);
}
