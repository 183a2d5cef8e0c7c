//! Standard input from bytes that the command gives: any size, backpressure, readers that do not read.

use coreproc::{Command, ErrorKind, Stdin};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;
use support::fifo::Talk;
use support::pattern::{assert_same, pattern};
use support::*;

fn given(mut command: Command, input: &Arc<Vec<u8>>) -> Command {
    command.stdin(Stdin::Data(Arc::clone(input))).capture(coreproc::Size::Bytes(64 << 20));
    command
}

#[test]
fn every_byte_of_a_given_input_arrives_and_then_its_end() {
    let service = service();
    // A pipe holds 64 KiB, a grown one 256 KiB.
    for len in [0, 1, 4096, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 3 << 20] {
        let input = Arc::new(pattern(len, 3));
        let ended = run(&service, &given(script("cat"), &input));
        assert_same(&ended.output, &input);
        assert_eq!((ended.code(), ended.info.unwritten_bytes), (0, 0), "{len} bytes");
        assert_eq!(Arc::strong_count(&input), 1, "{len} bytes are shared, and let go at the end");
    }
}

#[test]
fn what_fits_into_the_pipe_is_written_before_the_process_reads() {
    let talk = Talk::new();
    let service = service();
    for (len, waits) in [(65_536, false), (65_537, false), (1 << 20, true)] {
        let input = Arc::new(pattern(len, 5));
        let mut command = Command::new(child());
        command.args(["await", talk.gate.path(), "cat"]);
        let command = given(command, &input);
        let process = command.spawn(&service).expect("spawn");
        let waiting = process.info().expect("info").unwritten_bytes;
        assert_eq!(waiting > 0, waits, "{waiting} of {len}");
        assert!(waiting < len as u64);
        // The process holds the bytes only as long as some of them wait.
        assert_eq!(Arc::strong_count(&input), if waits { 3 } else { 2 });
        talk.gate.open(1);
        let ended = finish(&process);
        assert_same(&ended.output, &input);
        assert_eq!(ended.info.unwritten_bytes, 0);
    }
}

#[test]
fn a_reader_that_closes_its_input_is_no_error_and_what_is_left_is_counted() {
    let talk = Talk::new();
    let mut inbox = talk.inbox;
    let service = service();
    let input = Arc::new(vec![b'x'; 1 << 20]);
    let command = given(tool(["close", "0", "notify", inbox.path(), "shut", "await", talk.gate.path()]), &input);
    let process = command.spawn(&service).expect("spawn");
    inbox.expect("shut");
    eventually("the bytes are let go", || Arc::strong_count(&input) == 2);
    let left = process.info().expect("info").unwritten_bytes;
    assert!(left > 0 && left < 1 << 20, "{left}");
    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.unwritten_bytes), (0, left));
}

#[test]
fn a_process_that_ends_before_it_has_read_its_input_ends_as_it_does() {
    let service = service();
    let input = Arc::new(vec![b'x'; 1 << 20]);
    for _ in 0..count("processes that do not read", 300) {
        let ended = run(&service, &given(script("exit 7"), &input));
        assert_eq!(ended.code(), 7);
        assert!(ended.info.unwritten_bytes > 0);
    }
    assert_eq!(Arc::strong_count(&input), 1);
}

#[test]
fn a_given_input_cannot_be_written_to_and_may_be_cut_short() {
    let talk = Talk::new();
    let service = service();
    let input = Arc::new(pattern(1 << 20, 7));
    let mut command = Command::new(child());
    command.args(["await", talk.gate.path(), "cat"]);
    for input in [Arc::new(b"short".to_vec()), Arc::clone(&input)] {
        let process = given(command.clone(), &input).spawn(&service).expect("spawn");
        let refused = process.write_stdin(b"more", GUARDED).expect_err("it is given");
        assert_eq!(refused.kind(), ErrorKind::StdinClosed);
        assert!(refused.to_string().contains("its standard input was given with its command"), "{refused}");
        process.close_stdin().expect("close");
        let left = process.info().expect("info").unwritten_bytes as usize;
        talk.gate.open(1);
        assert_same(&finish(&process).output, &input[..input.len() - left]);
    }
}

#[test]
fn many_processes_read_one_input_side_by_side() {
    let service = service();
    let input = Arc::new(pattern(1 << 20, 9));
    let command = given(script("cat"), &input);
    in_parallel(8, count("inputs", 160), |_, _| assert_same(&run(&service, &command).output, &input));
    assert_eq!(Arc::strong_count(&input), 2);
}

#[test]
fn a_reader_that_reads_slowly_holds_up_no_other_process() {
    let talk = Talk::new();
    let service = service();
    let input = Arc::new(vec![b'x'; 8 << 20]);
    let slow = given(talk.tool("await GATE cat"), &input).spawn(&service).expect("spawn");
    assert_eq!(run(&service, &sh("echo done")).text(), "done\n");
    assert!(slow.wait_exit(Some(Duration::ZERO)).is_err());
    talk.gate.open(1);
    assert_same(&finish(&slow).output, &input);
}

hosted! {
    /// With SIGPIPE at its default and unblocked one stray signal ends this host; and a process that it forks in the
    /// middle must not keep the input open.
    fn a_given_input_raises_no_sigpipe_and_ends_although_the_host_forks() {
        os::set_action(libc::SIGPIPE, libc::SIG_DFL);
        let service = service();
        let input = Arc::new(pattern(1 << 20, 11));
        for _ in 0..200 {
            assert_eq!(run(&service, &given(script("close 0 exit 3"), &input)).code(), 3);
        }
        let talk = Talk::new();
        let process = given(talk.tool("await GATE cat"), &input).spawn(&service).expect("spawn");
        let (end, hold) = os::pipe();
        os::fork_off(|| {
            let mut byte = [0];
            let _ = (&end).read(&mut byte);
        });
        talk.gate.open(1);
        assert_same(&finish(&process).output, &input);
        (&hold).write_all(b"!").expect("let it go");
    }
}
