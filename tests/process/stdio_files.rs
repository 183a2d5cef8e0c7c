//! Files named as a child's streams: a spawn never waits for the other end of one, whether or not it is there.

use coreproc::{Command, Error, ErrorKind, FileMode, Output, Pipeline, RunOptions, Size, SpecState, Stdin};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use support::fifo::Talk;
use support::seccomp::{Refusal, Test, interrupt_each, refuse_if};
use support::*;

fn output(path: &Path) -> Output {
    Output::File(path.to_owned(), FileMode::Append)
}

#[track_caller]
fn assert_refused(command: &Command, stage: &str, errno: i32, cause: &str) -> Error {
    let error = refused(&service(), command);
    assert_eq!((error.kind(), error.stage(), error.errno()), (ErrorKind::System, stage, Some(errno)), "{error}");
    assert!(error.to_string().ends_with(cause), "{error}");
    error
}

#[test]
fn a_fifo_named_as_stdin_does_not_block_spawn() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("fifo");
    os::mkfifo(&path);
    let mut command = script("cat");
    command.stdin(Stdin::File(path.clone()));
    let cause = format!("stdin: {path:?} is a FIFO that nobody has opened for writing");
    assert_refused(&command, "stdin", libc::ENXIO, &cause);
}

#[test]
fn a_fifo_named_as_an_output_does_not_block_spawn() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("fifo");
    os::mkfifo(&path);
    let cause = format!("{path:?} is a FIFO that nobody has opened for reading");
    for mode in [FileMode::Append, FileMode::Truncate] {
        let file = Output::File(path.clone(), mode);
        assert_refused(script("exit 0").stdout(file.clone()), "stdout", libc::ENXIO, &cause);
        assert_refused(script("exit 0").stderr(file), "stderr", libc::ENXIO, &cause);
    }
}

/// There are as many as the run has workers, each of which would have stood still.
#[test]
fn fifos_in_a_pipeline_from_json_fail_their_specs_and_not_the_run() {
    let dir = tempfile::tempdir().expect("tempdir");
    let program = child().to_str().expect("utf-8");
    let fifo = |name: &str| {
        let path = dir.path().join(name);
        os::mkfifo(&path);
        path.to_str().expect("utf-8").to_owned()
    };
    let (input, log) = (fifo("input"), fifo("log"));
    let json = format!(
        r#"{{"version": 1, "limit": 2, "specs": [
            {{"name": "in", "command": {{"program": "{program}", "stdin": {{"file": "{input}"}}}}}},
            {{"name": "out", "command": {{"program": "{program}", "stdout": {{"file": "{log}"}}}}}},
            {{"name": "other", "command": ["{program}", "exit", "0"]}}]}}"#
    );
    let pipeline = Pipeline::from_json(&json).expect("pipeline");
    let run = pipeline.start(&service(), RunOptions::default()).expect("run");
    let report = run.wait(GUARDED).expect("ended");
    let states: Vec<_> = report.specs.iter().map(|spec| (spec.name.as_str(), spec.state)).collect();
    assert_eq!(states, [("in", SpecState::Failed), ("out", SpecState::Failed), ("other", SpecState::Passed)]);
}

#[test]
fn a_fifo_with_a_writer_is_read_to_its_end_and_blocks_the_child_alone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("fifo");
    os::mkfifo(&path);
    // Both ends are opened, because no writer can open it before there is a reader.
    let mut writer = OpenOptions::new().read(true).write(true).open(&path).expect("fifo");
    let service = service();
    let process = script("cat").stdin(Stdin::File(path.clone())).spawn(&service).expect("spawn");
    writer.write_all(b"late").expect("write");
    drop(writer);
    assert_eq!(finish(&process).text(), "late");
}

hosted! {
    /// The writer waits for a reader, which must not take anything from the FIFO by looking. In a host of its own: a
    /// child that another test has just forked may still have the reading end open.
    fn a_fifo_whose_writer_waits_for_a_reader_gives_all_of_its_content() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("fifo");
        os::mkfifo(&path);
        let service = service();
        for _ in 0..count("FIFOs whose writer waits", 500) {
            let (tell, told) = std::sync::mpsc::channel();
            thread::scope(|scope| {
                scope.spawn(|| {
                    tell.send(fs::read_link("/proc/thread-self").expect("thread")).expect("tell");
                    OpenOptions::new().write(true).open(&path).expect("fifo").write_all(b"all of it").expect("write");
                });
                let writer = Path::new("/proc").join(told.recv().expect("thread")).join("stat");
                eventually("a writer that waits", || fs::read_to_string(&writer).expect("stat").contains(") S "));
                assert_eq!(run(&service, script("cat").stdin(Stdin::File(path.clone()))).text(), "all of it");
            });
        }
    }
}

#[test]
fn a_fifo_with_a_reader_is_written_to_and_blocks_the_child_alone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("fifo");
    os::mkfifo(&path);
    let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("fifo");
    let mut talk = Talk::new();
    let service = service();
    // This is more than fits; the child says that it goes on, and waits for room.
    let mut command = talk.tool("notify INBOX up pattern 1 300000 1 exit 3");
    let process = command.stdout(output(&path)).spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    let mut read = Vec::new();
    while read.len() < 300_000 {
        assert!(os::readable(&reader, GUARD));
        let mut piece = [0; 4096];
        let n = reader.read(&mut piece).expect("read");
        read.extend_from_slice(&piece[..n]);
    }
    support::pattern::assert_same(&read, &support::pattern::pattern(300_000, 1));
    assert_eq!(finish(&process).code(), 3);
}

/// Another name of a pipe of the host's leads to the same end.
#[test]
fn a_pipe_that_is_named_through_proc_is_no_fifo_without_a_writer() {
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = os::pipe();
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let mut command = script("cat");
    command.stdin(Stdin::File(path.into()));
    writer.write_all(b"text").expect("write");
    drop(writer);
    let service = service();
    assert_eq!(run(&service, &command).text(), "text");
    assert_eq!(run(&service, &command).text(), "");
}

#[test]
fn a_socket_named_as_a_stream_is_called_one() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("socket");
    let _socket = UnixListener::bind(&path).expect("bind");
    let cause = format!("{path:?} is a socket, which is no file to open");
    assert_refused(script("cat").stdin(Stdin::File(path.clone())), "stdin", libc::ENXIO, &cause);
    assert_refused(script("cat").stdout(output(&path)), "stdout", libc::ENXIO, &cause);
}

#[test]
fn a_fifo_as_directory_or_program_does_not_block_spawn() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("fifo");
    os::mkfifo(&path);
    let error = refused(&service(), script("exit 0").cwd(&path));
    assert_eq!((error.stage(), error.errno()), ("chdir", Some(libc::ENOTDIR)), "{error}");
    let error = refused(&service(), &Command::new(&path));
    assert_eq!((error.stage(), error.errno()), ("exec", Some(libc::EACCES)), "{error}");
    assert!(error.to_string().ends_with("is a FIFO"), "{error}");
}

/// How a child finds the flags of its streams: O_NONBLOCK, which it was opened with, would make its reads fail.
#[test]
fn files_of_a_child_are_not_left_non_blocking() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (input, log) = (dir.path().join("input"), dir.path().join("log"));
    let fifo = dir.path().join("fifo");
    os::mkfifo(&fifo);
    let _both = OpenOptions::new().read(true).write(true).open(&fifo).expect("fifo");
    fs::write(&input, "").expect("write");
    let flags_of = |stdin: &Path, how| {
        let script = "for n in 0 2; do grep flags: /proc/self/fdinfo/$n; done";
        let mut command = sh(script);
        command.stdin(Stdin::File(stdin.to_owned())).stderr(Output::File(log.clone(), how));
        let text = run(&service(), &command).text();
        let flag = |line: &str| i32::from_str_radix(line.rsplit('\t').next().expect("flags"), 8).expect("octal");
        text.lines().map(flag).collect::<Vec<_>>()
    };
    for stdin in [&input, &fifo] {
        for (how, append) in [(FileMode::Append, libc::O_APPEND), (FileMode::Truncate, 0)] {
            let flags = flags_of(stdin, how);
            assert_eq!(flags[0] & (libc::O_NONBLOCK | libc::O_ACCMODE), libc::O_RDONLY, "{flags:?}");
            assert_eq!(flags[1] & (libc::O_NONBLOCK | libc::O_ACCMODE | libc::O_APPEND), libc::O_WRONLY | append);
        }
    }
}

hosted! {
    fn a_file_whose_lease_is_given_up_is_opened_and_one_that_is_not_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("leased");
        fs::write(&path, "").expect("write");
        let leased = File::open(&path).expect("open");
        os::set_action(libc::SIGIO, libc::SIG_IGN);
        os::take_lease(&leased);
        let mut command = script("text 1 written");
        command.stdout(output(&path));
        let cause = format!(
            "{path:?} is held by somebody (a lease, or a device in use) who did not give it up within a second"
        );
        assert_refused(&command, "stdout", libc::EAGAIN, &cause);

        os::give_lease_up_when_asked(&leased);
        os::take_lease(&leased);
        thread::scope(|scope| {
            scope.spawn(|| os::give_lease_up_when_asked(&leased));
            assert_eq!(run(&service(), &command).code(), 0);
        });
        assert_eq!(fs::read(&path).expect("read"), b"written");
    }

    /// A handler without SA_RESTART, in the middle of an open that takes its time.
    fn an_open_that_a_signal_interrupts_is_made_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (input, log) = (dir.path().join("input"), dir.path().join("log"));
        fs::write(&input, "text").expect("write");
        let service = service();
        let mut commands = [script("cat"), script("text 1 x"), script("text 1 x")];
        commands[0].stdin(Stdin::File(input)).stderr(output(&log));
        commands[1].stdout(Output::Null);
        commands[2].detach().capture(Size::Bytes(100));
        let interrupted = interrupt_each(libc::SYS_openat, || {
            for command in &commands {
                assert_eq!(run(&service, command).code(), 0);
            }
        });
        // The opens are: input and log; /dev/null for each stdin that is none, and one output; two spools, each opened
        // twice.
        assert!(interrupted >= 2 + 2 + 1 + 4, "only {interrupted}");
    }

    fn a_spool_with_a_name_is_made_although_a_signal_interrupts_it() {
        let service = service();
        let mut command = script("text 1 x");
        command.detach();
        let no_tmpfile: Refusal = refuse_if(libc::SYS_openat, 2, Test::Bits(0o20_000_000), libc::EOPNOTSUPP);
        let interrupted = interrupt_each(libc::SYS_unlink, || {
            seccomp::install(&[no_tmpfile]);
            assert_eq!(run(&service, &command).text(), "x");
        });
        assert_eq!(interrupted, 2, "one for each spool");
    }
}
