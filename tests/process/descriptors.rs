//! Descriptors above standard error: pipes of ours, files, the host's; at chosen numbers, and nothing else.

use coreproc::{
    Command, Delivery, Descriptor, Drain, ErrorKind, EventKind, FileMode, Group, Process, Stdin, Stream,
    SubscriptionOptions,
};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::*;

fn bash(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    command
}

fn shared(file: File) -> Arc<OwnedFd> {
    Arc::new(OwnedFd::from(file))
}

fn write_descriptor(process: &Process, number: u32, mut data: &[u8]) {
    while !data.is_empty() {
        data = &data[process.write_descriptor(number, data, GUARDED).expect("write")..];
    }
}

#[test]
fn a_script_reads_one_descriptor_and_writes_another() {
    let service = service();
    let mut command = bash("while read -u 3 line; do echo \"got $line\" >&4; echo out; done; echo end >&5");
    for (number, descriptor) in [(3, Descriptor::Input), (4, Descriptor::Output), (5, Descriptor::Output)] {
        command.descriptor(number, descriptor);
    }
    let process = command.spawn(&service).expect("spawn");
    write_descriptor(&process, 3, b"one\n");
    eventually("the answer", || process.captured(Some(Stream::Descriptor(4))).expect("output").tail == b"got one\n");
    write_descriptor(&process, 3, b"two\n");
    process.close_descriptor(3).expect("close");
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.text().as_str()), (0, "out\nout\n"));
    assert_eq!(process.captured(Some(Stream::Descriptor(4))).expect("output").tail, b"got one\ngot two\n");
    assert_eq!(process.captured(Some(Stream::Descriptor(5))).expect("output").tail, b"end\n");
    // Each stream is counted and kept apart.
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes, ended.info.dropped_bytes), (8, 0, 0));
    assert_eq!(kind_of(process.captured(Some(Stream::Descriptor(3)))), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(process.write_descriptor(3, b"x", GUARDED)), ErrorKind::NotRunning);
}

#[test]
fn events_name_the_descriptor_and_lines_of_several_do_not_mix() {
    let service = service();
    for delivery in [Delivery::Lines, Delivery::Chunks] {
        let events =
            service.subscribe(SubscriptionOptions { delivery, ..SubscriptionOptions::default() }).expect("subscribe");
        let mut command = script("text 9 ni text 7 se text 1 o text 9 ne\\nrest text 7 ven\\n text 1 ut\\n exit 0");
        command.descriptor(7, Descriptor::Output).descriptor(9, Descriptor::Output);
        let process = command.spawn(&service).expect("spawn");
        let mut seen: Vec<(Stream, bool, Vec<u8>)> = Vec::new();
        'all: loop {
            for event in events.take(0, GUARDED).expect("take").events() {
                match event.kind {
                    EventKind::Output { stream, unterminated, .. } => match seen.iter_mut().find(|one| one.0 == stream)
                    {
                        Some(one) if delivery == Delivery::Chunks => one.2.extend(event.data),
                        _ => seen.push((stream, unterminated, event.data.to_vec())),
                    },
                    EventKind::Closed { .. } => break 'all,
                    _ => {}
                }
            }
        }
        let text = |stream| -> Vec<(bool, String)> {
            seen.iter().filter(|one| one.0 == stream).map(|one| (one.1, lossy(&one.2))).collect()
        };
        let of =
            |lines: &[(bool, &str)]| lines.iter().map(|(end, line)| (*end, (*line).to_owned())).collect::<Vec<_>>();
        if delivery == Delivery::Lines {
            assert_eq!(text(Stream::Descriptor(9)), of(&[(false, "nine"), (true, "rest")]));
            assert_eq!(text(Stream::Descriptor(7)), of(&[(false, "seven")]));
            assert_eq!(text(Stream::Stdout), of(&[(false, "out")]));
        } else {
            assert_eq!(text(Stream::Descriptor(9)), of(&[(false, "nine\nrest")]));
            assert_eq!(text(Stream::Descriptor(7)), of(&[(false, "seven\n")]));
        }
        finish(&process);
        events.close().expect("close");
    }
}

#[test]
fn megabytes_go_through_other_descriptors_both_ways_and_from_the_command() {
    let service = service();
    let (input, given) = (pattern(5 << 20, 1), Arc::new(pattern(3 << 20, 2)));
    let mut command = script("copy 11 12 copy 13 14 copy 0 1");
    command.capture(coreproc::Size::Bytes(16 << 20)).stdin(Stdin::Data(Arc::clone(&given)));
    command.descriptor(11, Descriptor::Input).descriptor(12, Descriptor::Output);
    command.descriptor(13, Descriptor::Data(Arc::clone(&given))).descriptor(14, Descriptor::Output);
    let process = command.spawn(&service).expect("spawn");
    write_descriptor(&process, 11, &input);
    process.close_descriptor(11).expect("close");
    let ended = finish(&process);
    assert_same(&process.captured(Some(Stream::Descriptor(12))).expect("output").tail, &input);
    assert_same(&process.captured(Some(Stream::Descriptor(14))).expect("output").tail, &given);
    assert_same(&ended.output, &given);
    assert_eq!(ended.info.unwritten_bytes, 0);
}

#[test]
fn a_descriptor_of_the_host_keeps_its_number_or_gets_another_and_files_are_opened() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("file");
    std::fs::write(&path, "read\n").expect("write");
    let service = service();
    let file = shared(os::memory_file("same\n"));
    let number = file.as_raw_fd() as u32;
    let mut command = script(&format!("copy {number} 1 copy 90 1 text 91 written exit 0"));
    command.descriptor(number, Descriptor::Fd(file)).descriptor(90, Descriptor::ReadFile(path.clone()));
    command.descriptor(91, Descriptor::WriteFile(path.clone(), FileMode::Append));
    assert_eq!(run(&service, &command).text(), "same\nread\n");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "read\nwritten");
}

/// Places files at each other's numbers, in every order.
#[test]
fn no_order_of_numbers_overwrites_a_descriptor_that_is_still_to_be_placed() {
    let service = service();
    let files: Vec<_> = (0..5).map(|at| shared(os::memory_file(&format!("{at}\n")))).collect();
    let numbers: Vec<u32> = files.iter().map(|file| file.as_raw_fd() as u32).collect();
    let verbs: Vec<String> = numbers.iter().map(|number| format!("copy {number} 1")).collect();
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    for _ in 0..5 {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..5).filter(|at| !order.contains(at)).map(|at| [&order[..], &[at]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        files.iter().for_each(|file| os::rewind(&**file));
        let mut command = script(&verbs.join(" "));
        for (number, at) in numbers.iter().zip(&order) {
            command.descriptor(*number, Descriptor::Fd(Arc::clone(&files[*at])));
        }
        let want: String = order.iter().map(|at| format!("{at}\n")).collect();
        assert_eq!(run(&service, &command).text(), want);
    }
}

#[test]
fn a_child_has_its_descriptors_and_nothing_else() {
    let service = service();
    let _others: Vec<_> = (0..20).map(|_| os::pipe()).collect();
    let mut command = script("fds");
    for (number, descriptor) in
        [(3, Descriptor::Input), (40, Descriptor::Output), (1023, Descriptor::Data(Arc::new(vec![b'x'])))]
    {
        command.descriptor(number, descriptor);
    }
    let text = run(&service, &command).text();
    let mut numbers: Vec<u32> =
        text.lines().filter_map(|line| line.split(' ').next()).map(|number| number.parse().expect("number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 40, 1023], "{text}");
}

#[test]
fn an_output_that_a_grandchild_holds_delays_the_close_and_names_it() {
    let mut talk = Talk::new();
    let service = service();
    let mut command = talk.tool("fork plain close 0 close 1 close 2 notify INBOX up await GATE text 8 late end exit 3");
    command.descriptor(8, Descriptor::Output);
    command.drain(Drain { silence: Duration::from_millis(50), total: Duration::from_secs(60) });
    let process = command.spawn(&service).expect("spawn");
    let member = talk.inbox.expect_many("up", 1);
    let info = process.wait(GUARDED).expect("closed");
    assert!(info.drain_bound);
    assert_eq!(process.holders().expect("holders").len(), 1);
    talk.gate.open(1);
    member.iter().for_each(os::assert_ends);
    eventually("it is read and discarded", || process.info().expect("info").discarded_bytes == 4);
}

#[test]
fn an_input_is_refused_as_standard_input_is() {
    let talk = Talk::new();
    let service = service();
    let mut command = talk.tool("close 3 await GATE");
    command.descriptor(3, Descriptor::Input).descriptor(4, Descriptor::Data(Arc::default()));
    command.descriptor(5, Descriptor::Input);
    let process = command.spawn(&service).expect("spawn");
    let refused = |number: u32| process.write_descriptor(number, b"x", Some(Duration::ZERO)).expect_err("refused");
    eventually(
        "it has no reader",
        || matches!(process.write_descriptor(3, b"x", Some(Duration::ZERO)), Err(error) if error.errno() == Some(libc::EPIPE)),
    );
    assert!(refused(4).to_string().contains("its descriptor 4 was given with its command"), "{}", refused(4));
    process.close_descriptor(5).expect("close");
    assert!(refused(5).to_string().contains("its descriptor 5 was closed"), "{}", refused(5));
    assert!(refused(6).to_string().contains("its descriptor 6 is no input pipe"), "{}", refused(6));
    assert_eq!(refused(2).kind(), ErrorKind::InvalidArgument);
    talk.gate.open(1);
    finish(&process);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_number_before_anything_is_spawned() {
    let service = service();
    let socket = shared(os::memory_file(""));
    let refusal = |change: &dyn Fn(&mut Command)| {
        let mut command = script("exit 0");
        change(&mut command);
        let error = refused(&service, &command);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        error.to_string()
    };
    for (text, want) in [
        (refusal(&|command| _ = command.descriptor(2, Descriptor::Output)), "descriptor 2: is a standard stream"),
        (refusal(&|command| _ = command.descriptor(1024, Descriptor::Output)), "descriptor 1024: is above 1023"),
        (
            refusal(&|command| _ = command.descriptor(u32::MAX, Descriptor::Output)),
            "descriptor 4294967295: is above 1023",
        ),
        (
            refusal(&|command| _ = command.descriptor(5, Descriptor::Output).descriptor(5, Descriptor::Input)),
            "descriptor 5: is given twice",
        ),
        (
            refusal(&|command| _ = command.descriptor(5, Descriptor::ReadFile("".into()))),
            "descriptor 5: the path is empty",
        ),
        (
            refusal(&|command| _ = command.descriptor(5, Descriptor::ReadFile("a\0".into()))),
            "descriptor 5: has a NUL byte",
        ),
        (
            refusal(&|command| (3..68).for_each(|number| _ = command.descriptor(number, Descriptor::Output))),
            "descriptor 67: is one pipe too many",
        ),
        (
            refusal(&|command| _ = command.detach().descriptor(3, Descriptor::Output)),
            "descriptor: an output pipe would not outlive the host",
        ),
        (
            refusal(&|command| {
                _ = command.listen_fd(Arc::clone(&socket), "web").descriptor(3, Descriptor::Output);
            }),
            "descriptor: the numbers from 3 on are those of the sockets",
        ),
        (refusal(&|command| _ = command.listen_fd(Arc::clone(&socket), "a:b")), "listen name: is not"),
        (refusal(&|command| _ = command.listen_fd(Arc::clone(&socket), "")), "listen name: is not"),
    ] {
        assert!(text.contains(want), "{text}");
    }
    let mut missing = script("exit 0");
    missing.descriptor(6, Descriptor::ReadFile("/no/such".into()));
    assert_eq!(refused(&service, &missing).stage(), "descriptor");
    assert_eq!(service.count(), 0);
}

#[test]
fn most_pipes_work_side_by_side() {
    let service = service();
    let verbs: Vec<String> = (3..67).map(|number| format!("copy {} {number}", number + 64)).collect();
    let mut command = script(&verbs.join(" "));
    for number in 3..67 {
        command.descriptor(number, Descriptor::Output);
        command.descriptor(number + 64, Descriptor::Data(Arc::new(pattern(100_000, u64::from(number)))));
    }
    let process = command.spawn(&service).expect("spawn");
    assert_eq!(finish(&process).code(), 0);
    for number in 3..67 {
        assert_same(
            &process.captured(Some(Stream::Descriptor(number))).expect("output").tail,
            &pattern(100_000, u64::from(number)),
        );
    }
}

#[test]
fn sockets_are_passed_as_systemd_does() {
    let dir = tempfile::tempdir().expect("tempdir");
    let service = service();
    let mut command = script("listen");
    // What the environment says otherwise is replaced.
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "9").env("LISTEN_FDNAMES", "none");
    let paths: Vec<_> = ["web", "admin site"].iter().map(|name| dir.path().join(name)).collect();
    for path in &paths {
        let socket = Arc::new(OwnedFd::from(UnixListener::bind(path).expect("bind")));
        command.listen_fd(socket, path.file_name().expect("name").to_str().expect("text"));
    }
    // The command can be spawned often, and by several threads at once: each process has its own PID in its variables.
    for _ in 0..20 {
        let process = command.spawn(&service).expect("spawn");
        for (number, path) in (3..).zip(&paths) {
            let mut answer = String::new();
            UnixStream::connect(path).expect("connect").read_to_string(&mut answer).expect("read");
            assert_eq!(answer, format!("{number} web:admin site\n"));
        }
        assert_eq!(finish(&process).code(), 0);
    }
    command.args(["exit", "0"]);
    let mut show = Command::new("sh");
    show.args(["-c", "test $LISTEN_PID = $$ && echo $LISTEN_FDS $LISTEN_FDNAMES"]);
    show.listen_fd(shared(os::memory_file("")), "file");
    in_parallel(8, 400, |_, _| assert_eq!(run(&service, &show).text(), "1 file\n"));
}

/// Two makes share one token beside the one that each has. In each, a job waits for the other job: without the token it
/// would wait for ever.
#[test]
fn makes_share_the_slots_of_a_jobserver() {
    let dir = tempfile::tempdir().expect("tempdir");
    let service = service();
    let (reader, writer) = os::pipe();
    (&writer).write_all(b"+").expect("write");
    let (reader, writer) = (shared(reader), shared(writer));
    let makefile = "all: waits wakes\nwaits:\n\t@cat $(FIFO) > /dev/null; echo woken\nwakes:\n\t@echo > $(FIFO)\n";
    std::fs::write(dir.path().join("Makefile"), makefile).expect("write");
    let mut processes = vec![];
    for name in ["one", "two"] {
        let fifo = dir.path().join(name);
        os::mkfifo(&fifo);
        let mut command = Command::new("make");
        command.args(["-C".as_ref(), dir.path()]).arg(format!("FIFO={}", fifo.display()));
        command.env("MAKEFLAGS", " -j --jobserver-auth=3,4").group(Group::Own).timeout(Duration::from_secs(60));
        command.descriptor(3, Descriptor::Fd(Arc::clone(&reader))).descriptor(4, Descriptor::Fd(Arc::clone(&writer)));
        processes.push(command.spawn(&service).expect("spawn"));
    }
    for process in processes {
        let ended = finish(&process);
        assert_eq!(ended.code(), 0, "{}", ended.text());
        assert!(ended.text().contains("woken") && !ended.text().contains("jobserver"), "{}", ended.text());
    }
    // Each has given back what it took.
    assert!(os::readable(&reader, Duration::ZERO));
    let mut tokens = [0; 8];
    let mut reader = File::from(reader.try_clone().expect("dup"));
    assert_eq!(reader.read(&mut tokens).expect("read"), 1);
}
