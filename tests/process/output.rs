//! Output, byte for byte: capture, streams, files, the last write before the end.

use coreproc::{Command, FileMode, Output, Service, Size, Stdin};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use support::fifo::Talk;
use support::pattern::{assert_same, interleaved, pattern};
use support::*;

#[test]
fn echo_is_byte_exact() {
    let mut echo = Command::new("echo");
    echo.args(["-n", "zwölf Boxkämpfer", "jagen", ""]);
    let ended = run(&service(), &echo);
    assert_eq!(ended.text(), "zwölf Boxkämpfer jagen ");
    assert_eq!(ended.info.stdout_bytes, ended.output.len() as u64);
}

#[test]
fn a_shell_script_is_byte_exact() {
    let ended = run(&service(), &sh("for i in 1 2 3; do echo line $i; done; printf 'no newline'; exit 9"));
    assert_eq!(ended.text(), "line 1\nline 2\nline 3\nno newline");
    assert_eq!(ended.code(), 9);
}

#[test]
fn cat_gives_back_its_stdin() {
    let service = service();
    let mut cat = Command::new("cat");
    cat.stdin(Stdin::Pipe);
    let process = cat.spawn(&service).expect("spawn");
    let input = pattern(300_000, 7);
    write_all(&process, &input, GUARDED).expect("write");
    process.close_stdin().expect("close");
    let ended = finish(&process);
    assert_same(&ended.output, &input);
    assert_eq!(ended.code(), 0);
}

#[test]
fn every_byte_value_passes_untouched() {
    let all: Vec<u8> = (0..=255).collect();
    let escaped: String = all.iter().map(|b| format!("\\x{b:02x}")).collect();
    let ended = run(&service(), &tool(["text", "1", &escaped]));
    assert_eq!(ended.output, all);
}

#[test]
fn no_output_is_empty_output() {
    let ended = run(&service(), &script("exit 0"));
    assert!(ended.output.is_empty());
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (0, 0));
}

#[test]
fn both_streams_are_captured_and_counted_apart() {
    let ended = run(&service(), &script("text 1 outout text 2 err"));
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (6, 3));
    // The output is in order of arrival, which is either way round with two pipes.
    assert!(["outouterr", "erroutout"].contains(&ended.text().as_str()), "{}", ended.text());
}

#[test]
fn merged_streams_keep_their_exact_order() {
    let service = service();
    let records = count("merged records", 100_000);
    for seed in 1..=4 {
        let mut command = script(&format!("interleave {records} {seed}"));
        command.stderr(Output::Merge).capture(Size::Bytes(16 << 20));
        let ended = run(&service, &command);
        let want = interleaved(records, seed).join("\n") + "\n";
        assert_same(&ended.output, want.as_bytes());
        assert_eq!(ended.info.stderr_bytes, 0, "all came through one pipe");
    }
}

/// The kernel keeps what a process wrote before it ended; it must still be read after the exit.
#[test]
fn nothing_is_lost_when_a_process_exits_right_after_its_last_write() {
    let service = service();
    let total = count("exit right after the last write", 10_000);
    let capture = Size::Bytes(1 << 20);
    in_parallel(8, total, |_, i| {
        // From one byte to more than a pipe holds.
        let len = 1 + (i as usize * 7919) % 200_000;
        let mut command = script(&format!("pattern 1 {len} {i} exit 0"));
        command.capture(capture);
        let ended = run(&service, &command);
        assert_same(&ended.output, &pattern(len, i));
        assert_eq!(ended.info.stdout_bytes, len as u64);
        assert!(!ended.info.drain_bound);
    });
    println!("bytes lost: 0");
}

#[test]
fn nothing_is_lost_when_a_signal_ends_the_writer() {
    let service = service();
    in_parallel(4, count("kill right after the last write", 1_000), |_, i| {
        let ended = run(&service, &script(&format!("pattern 1 50000 {i} pattern 2 777 {i} raise 9")));
        assert_eq!(ended.signal(), 9);
        assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (50_000, 777));
    });
}

#[test]
fn the_capture_keeps_the_newest_bytes_and_counts_the_others() {
    let service = service();
    for (size, len) in [
        (1, 1),
        (1, 5000),
        (10, 9),
        (10, 10),
        (10, 11),
        (4096, 100_000),
        (65_536, 65_536),
        (65_536, 65_537),
        (100_003, 1_000_000),
        (1 << 20, (1 << 20) + 1),
    ] {
        let mut command = script(&format!("pattern 1 {len} 3"));
        command.capture(Size::Bytes(size as u64));
        let ended = run(&service, &command);
        let all = pattern(len, 3);
        let kept = size.min(len);
        assert_same(&ended.output, &all[len - kept..]);
        assert_eq!(ended.info.dropped_bytes, (len - kept) as u64, "capture {size}, {len} written");
        assert_eq!(ended.info.stdout_bytes, len as u64);
    }
}

#[test]
fn the_default_capture_is_one_mebibyte_and_the_services_own_where_it_says_so() {
    let len = 3 << 20;
    let ended = run(&service(), &script(&format!("pattern 1 {len} 5")));
    assert_same(&ended.output, &pattern(len, 5)[len - (1 << 20)..]);

    let options = coreproc::ServiceOptions { capture: Size::Bytes(1000), ..Default::default() };
    let ended = run(&Service::new(options).expect("service"), &script(&format!("pattern 1 {len} 5")));
    assert_same(&ended.output, &pattern(len, 5)[len - 1000..]);
}

#[test]
fn without_capture_output_is_read_and_counted_and_the_child_never_stalls() {
    let mut command = script("pattern 1 67108864 1 pattern 2 1000000 1 exit 4");
    command.capture(Size::None);
    let ended = run(&service(), &command);
    assert_eq!(ended.code(), 4);
    assert!(ended.output.is_empty());
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (67_108_864, 1_000_000));
}

#[test]
fn the_output_so_far_can_be_read_while_the_process_runs() {
    let talk = Talk::new();
    let service = service();
    let process = talk.tool("text 1 early await GATE text 1 late").spawn(&service).expect("spawn");
    eventually("the first word is there", || process.output().expect("output") == b"early");
    talk.gate.open(1);
    assert_eq!(finish(&process).text(), "earlylate");
}

#[test]
fn a_closed_stdout_ends_nothing_but_that_stream() {
    let talk = Talk::new();
    let service = service();
    let command = talk.tool("text 1 a close 1 notify INBOX shut await GATE text 2 b exit 2");
    let process = command.spawn(&service).expect("spawn");
    let mut inbox = talk.inbox;
    inbox.expect("shut");
    assert!(process.wait_exit(Some(std::time::Duration::ZERO)).is_err());
    talk.gate.open(1);
    let ended = finish(&process);
    assert_eq!((ended.text().as_str(), ended.code()), ("ab", 2));
}

#[test]
fn output_goes_to_null_when_asked() {
    let mut command = script("pattern 1 500000 1 text 2 heard fds");
    command.stdout(Output::Null);
    let ended = run(&service(), &command);
    assert_eq!(ended.text(), "heard");
    assert_eq!(ended.info.stdout_bytes, 0);
}

#[test]
fn output_goes_to_a_file_cut_or_appended() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("log");
    let service = service();
    let to = |mode| Output::File(path.clone(), mode);

    fs::write(&path, "something much longer that was there before").expect("write");
    run(&service, script("text 1 first,").stdout(to(FileMode::Truncate)));
    assert_eq!(fs::read_to_string(&path).expect("read"), "first,");

    // Each write appends, so that two processes do not overwrite one another.
    let both = [0, 1].map(|_| {
        let mut command = script("text 1 x text 1 x text 1 x");
        command.stdout(to(FileMode::Append)).spawn(&service).expect("spawn")
    });
    both.iter().for_each(|process| drop(finish(process)));
    assert_eq!(fs::read_to_string(&path).expect("read"), "first,xxxxxx");

    let new = dir.path().join("new");
    let mut command = script("text 1 out text 2 err");
    command.stdout(Output::File(new.clone(), FileMode::Append)).stderr(Output::Merge);
    let ended = run(&service, &command);
    assert_eq!(fs::read_to_string(&new).expect("read"), "outerr");
    assert!(ended.output.is_empty());
}

#[test]
fn output_goes_to_an_fd_of_the_host() {
    let (mut reader, writer) = os::pipe();
    let service = service();
    let fd = Arc::new(OwnedFd::from(writer));
    let mut command = script("text 1 one text 2 two");
    command.stdout(Output::Fd(Arc::clone(&fd))).stderr(Output::Fd(Arc::clone(&fd)));
    run(&service, &command);
    run(&service, &command);
    drop((command, fd));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("read");
    assert_eq!(text, "onetwoonetwo");
}

#[test]
fn inherited_streams_are_the_hosts_own() {
    let name = test_path!("inherited_streams_are_the_hosts_own");
    if host::inside(name) {
        let mut command = script("text 1 [out] cat text 2 [err]");
        command.stdin(Stdin::Inherit).stdout(Output::Inherit).stderr(Output::Inherit);
        let ended = run(&service(), &command);
        assert!(ended.output.is_empty());
        return host::done();
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let input = dir.path().join("input");
    fs::write(&input, "[in]").expect("write");
    let mut command = host::command(name);
    command.stdin(File::open(&input).expect("open"));
    let text = host::run_command(command);
    assert!(text.contains("[out][in][err]"), "{text}");
}

#[test]
fn an_output_that_is_closed_ends_its_writers_and_not_the_other_stream() {
    let service = service();
    let mut command = sh("while :; do echo more; done 2>/dev/null & wait $!; kill -l $? >&2");
    command.capture(Size::Bytes(1024));
    let process = command.spawn(&service).expect("spawn");
    process.close_output(coreproc::Stream::Stdout).expect("close");
    process.close_output(coreproc::Stream::Stdout).expect("again");
    let ended = finish(&process);
    assert_eq!(ended.code(), 0);
    assert!(ended.text().ends_with("PIPE\n"), "{:?}", ended.text());
    process.close_output(coreproc::Stream::Stderr).expect("after the end");
}
