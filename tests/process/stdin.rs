//! Standard input: null, pipe, file, descriptor; backpressure; writes to children that no longer read.

use coreproc::{Command, ErrorKind, Process, Service, Size, Stdin};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::*;

fn spawn_cat(service: &Service, capture: u64) -> Process {
    let mut command = script("cat");
    command.stdin(Stdin::Pipe).capture(Size::Bytes(capture));
    command.spawn(service).expect("spawn")
}

#[test]
fn stdin_is_empty_unless_asked_for() {
    let ended = run(&service(), &script("cat exit 0"));
    assert!(ended.output.is_empty());
}

#[test]
fn stdin_comes_from_a_file_or_a_descriptor() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("input");
    let input = pattern(200_000, 1);
    fs::write(&path, &input).expect("write");
    let service = service();
    let mut command = script("cat");

    command.stdin(Stdin::File(path.clone()));
    assert_same(&run(&service, &command).output, &input);

    command.stdin(Stdin::Fd(Arc::new(OwnedFd::from(File::open(&path).expect("open")))));
    assert_same(&run(&service, &command).output, &input);

    let (reader, mut writer) = os::pipe();
    command.stdin(Stdin::Fd(Arc::new(OwnedFd::from(reader))));
    let process = command.spawn(&service).expect("spawn");
    writer.write_all(b"through a pipe").expect("write");
    drop(writer);
    assert_eq!(finish(&process).text(), "through a pipe");
}

#[test]
fn megabytes_go_in_and_come_out_with_backpressure() {
    let total = 64 << 20;
    let service = service();
    let process = spawn_cat(&service, total as u64);
    let input = pattern(total, 11);
    // This is more than all pipes and buffers hold, so it works only if reading goes on meanwhile.
    write_all(&process, &input, GUARDED).expect("write");
    process.close_stdin().expect("close");
    assert_same(&finish(&process).output, &input);
}

#[test]
fn a_reader_that_does_not_read_lets_a_write_time_out_and_keeps_what_it_took() {
    let talk = Talk::new();
    let service = service();
    let mut command = talk.tool("await GATE cat");
    command.stdin(Stdin::Pipe).capture(Size::Bytes(8 << 20));
    let process = command.spawn(&service).expect("spawn");
    let input = pattern(4 << 20, 2);

    let mut written = 0;
    loop {
        match process.write_stdin(&input[written..], Some(Duration::from_millis(20))) {
            Ok(0) => panic!("neither progress nor an error"),
            Ok(n) => written += n,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                break;
            }
        }
    }
    assert!(written > 0 && written < input.len(), "{written} bytes went into a pipe nobody reads");
    assert_eq!(kind_of(process.write_stdin(&input[written..], Some(Duration::ZERO))), ErrorKind::TimedOut);

    talk.gate.open(1);
    write_all(&process, &input[written..], GUARDED).expect("write");
    process.close_stdin().expect("close");
    assert_same(&finish(&process).output, &input);
}

#[test]
fn closing_stdin_ends_the_input_and_may_be_said_twice() {
    let service = service();
    let process = spawn_cat(&service, 100);
    write_all(&process, b"last words", GUARDED).expect("write");
    process.close_stdin().expect("close");
    process.close_stdin().expect("close again");
    assert_eq!(kind_of(process.write_stdin(b"more", GUARDED)), ErrorKind::StdinClosed);
    assert_eq!(finish(&process).text(), "last words");
    process.close_stdin().expect("close after the end");
}

#[test]
fn closing_stdin_wakes_a_writer_that_waits() {
    let talk = Talk::new();
    let service = service();
    let mut command = talk.tool("await GATE");
    command.stdin(Stdin::Pipe);
    let process = command.spawn(&service).expect("spawn");
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_all(&process, &vec![0; 8 << 20], None));
        eventually(
            "the pipe is full",
            || matches!(process.write_stdin(b"x", Some(Duration::ZERO)), Err(e) if e.kind() == ErrorKind::TimedOut),
        );
        process.close_stdin().expect("close");
        assert_eq!(kind_of(writer.join().expect("writer")), ErrorKind::StdinClosed);
    });
    talk.gate.open(1);
    finish(&process);
}

#[test]
fn a_process_without_a_stdin_pipe_says_so() {
    let talk = Talk::new();
    let service = service();
    let process = talk.tool("await GATE").spawn(&service).expect("spawn");
    assert_eq!(kind_of(process.write_stdin(b"x", GUARDED)), ErrorKind::StdinClosed);
    talk.gate.open(1);
    finish(&process);
}

#[test]
fn input_to_a_child_that_exits_is_not_running_every_time() {
    let service = service();
    let scripts = [
        // Only its end closes its input.
        (script("exit 0"), Some(Duration::ZERO), false),
        (script("exit 0"), GUARDED, false),
        // It closes its input first, as cat and head do, and may then be held up before it ends.
        (script("close 0 exit 0"), GUARDED, true),
    ];
    for round in 0..count("children that exit", 3_000) {
        let (mut command, timeout, closes_first) = scripts[round as usize % scripts.len()].clone();
        command.stdin(Stdin::Pipe);
        let process = command.spawn(&service).expect("spawn");
        let refused = loop {
            match process.write_stdin(b"x", timeout) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(
            refused.kind() == ErrorKind::NotRunning || closes_first && refused.kind() == ErrorKind::StdinClosed,
            "{refused}"
        );
        if refused.kind() == ErrorKind::StdinClosed {
            finish(&process);
        }
        assert_eq!(kind_of(process.write_stdin(b"x", timeout)), ErrorKind::NotRunning);
        finish(&process);
    }
}

#[test]
fn an_end_of_the_reader_does_not_lose_the_count_of_what_it_was_given() {
    let talk = Talk::new();
    let service = service();
    let mut command = talk.tool("await GATE");
    command.stdin(Stdin::Pipe);
    let process = command.spawn(&service).expect("spawn");
    let room = process.write_stdin(&vec![0; 8 << 20], Some(Duration::from_millis(20))).expect("a full pipe");
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // No process reads, so only the end of the process ends this.
            process.write_stdin(b"more", GUARDED)
        });
        talk.gate.open(1);
        assert_eq!(kind_of(writer.join().expect("writer")), ErrorKind::NotRunning);
    });
    assert!(room > 0);

    let mut command = script("cat");
    command.stdin(Stdin::Pipe).capture(Size::Bytes(16 << 20));
    let process = command.spawn(&service).expect("spawn");
    thread::scope(|scope| {
        let writer = scope.spawn(|| process.write_stdin(&vec![b'x'; 1 << 30], GUARDED));
        eventually("it is given something", || process.info().expect("info").stdout_bytes > 1 << 20);
        process.kill(coreproc::Scope::Default).expect("kill");
        let written = writer.join().expect("writer").expect("a count, and no error");
        assert!(written > 1 << 20, "{written}");
    });
    assert_eq!(kind_of(process.write_stdin(b"x", GUARDED)), ErrorKind::NotRunning);
    finish(&process);
}

#[test]
fn an_empty_write_writes_nothing() {
    let service = service();
    let process = spawn_cat(&service, 100);
    assert_eq!(process.write_stdin(b"", GUARDED).expect("write"), 0);
    process.close_stdin().expect("close");
    assert!(finish(&process).output.is_empty());
}

#[test]
fn writers_on_many_threads_lose_nothing() {
    let service = service();
    let process = spawn_cat(&service, 16 << 20);
    let record = |i: u64| format!("{i:0>8}\n");
    in_parallel(8, 20_000, |_, i| write_all(&process, record(i).as_bytes(), GUARDED).expect("write"));
    process.close_stdin().expect("close");
    let mut lines: Vec<String> = finish(&process).text().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert!(lines.iter().enumerate().all(|(i, line)| *line == record(i as u64).trim_end()));
    assert_eq!(lines.len(), 20_000);
}

hosted! {
    /// Forks a process that lives until the end: in a host of its own, so that no other test's pipes are copied.
    fn a_fork_of_the_host_keeps_no_end_of_a_childs_pipes() {
        let service = service();
        let cat = spawn_cat(&service, 100);
        let yes = Command::new("yes").spawn(&service).expect("spawn");
        let (end, hold) = os::pipe();
        os::fork_off(|| {
            let mut byte = [0];
            let _ = (&end).read(&mut byte);
        });
        write_all(&cat, b"last words", GUARDED).expect("write");
        cat.close_stdin().expect("close");
        assert_eq!(finish(&cat).text(), "last words");
        // A process that goes on writing gets a SIGPIPE, as without the fork.
        yes.close_output(coreproc::Stream::Stdout).expect("close");
        assert_eq!(finish(&yes).signal(), libc::SIGPIPE);
        (&hold).write_all(b"!").expect("let it go");
    }

    /// With SIGPIPE at its default and unblocked one stray signal ends this host.
    fn writing_to_a_stdin_that_nobody_reads_is_an_error_and_no_sigpipe() {
        os::set_action(libc::SIGPIPE, libc::SIG_DFL);
        let talk = Talk::new();
        let mut inbox = talk.inbox;
        let service = service();
        let verbs = ["close", "0", "notify", inbox.path(), "shut", "await", talk.gate.path()];
        let mut command = tool(verbs);
        command.stdin(Stdin::Pipe);

        let process = command.spawn(&service).expect("spawn");
        inbox.expect("shut");
        for _ in 0..3 {
            assert_eq!(kind_of(process.write_stdin(b"x", GUARDED)), ErrorKind::StdinClosed);
            assert_eq!(kind_of(write_all(&process, &[0; 1 << 20], GUARDED)), ErrorKind::StdinClosed);
        }
        talk.gate.open(1);
        finish(&process);

        // The reader ends while a writer waits.
        let mut command = Command::new(child());
        command.stdin(Stdin::Pipe).args(["await", talk.gate.path()]);
        let process = command.spawn(&service).expect("spawn");
        thread::scope(|scope| {
            let writer = scope.spawn(|| write_all(&process, &vec![0; 8 << 20], None));
            eventually("the pipe is full", || {
                matches!(process.write_stdin(b"x", Some(Duration::ZERO)), Err(e) if e.kind() == ErrorKind::TimedOut)
            });
            talk.gate.open(1);
            assert_eq!(kind_of(writer.join().expect("writer")), ErrorKind::NotRunning);
        });
        finish(&process);
        assert_eq!(kind_of(process.write_stdin(b"late", GUARDED)), ErrorKind::NotRunning);
    }
}
