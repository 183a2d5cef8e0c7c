//! Detached children: a session of their own, output into files and spools, life beyond the host.

use coreproc::{Cause, Command, Delivery, Drain, FileMode, Output, Size, Stream, SubscriptionOptions};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use support::events::{assert_whole, bytes_of, lines_of, until_closed};
use support::fifo::{Gate, Talk, verbs_in};
use support::os::Fd;
use support::pattern::{assert_same, pattern, piece};
use support::*;

const DIR: &str = "COREPROC_TEST_DIR";
/// How much each writes after its host is gone: more than a pipe holds.
const LATE: usize = 500_000;

fn detached(verbs: &str) -> Command {
    let mut command = script(verbs);
    command.detach();
    command
}

#[test]
fn a_detached_child_has_a_session_of_its_own_and_no_pipe_of_ours() {
    let service = service();
    let process = detached("ids fds").spawn(&service).expect("spawn");
    let text = finish(&process).text();
    let pid = process.pid();
    assert!(text.contains(&format!("pid {pid}\npgid {pid}\nsid {pid}\n")), "{text}");
    let fds: Vec<&str> = text.lines().filter(|line| line.starts_with(['0', '1', '2'])).collect();
    assert_eq!(fds.len(), 3, "{text}");
    assert_eq!(fds[0], "0 /dev/null");
    assert!(!text.contains("pipe:"), "{text}");
}

#[test]
fn a_spool_is_followed_byte_for_byte() {
    let service = service();
    let options = SubscriptionOptions { delivery: Delivery::Chunks, ..Default::default() };
    let subscription = service.subscribe(options).expect("subscribe");
    let len = 8 << 20;
    let mut command = detached(&format!("pattern 1 {len} 1 pattern 2 1000 2 exit 6"));
    command.capture(Size::Bytes(16 << 20));
    let process = command.spawn(&service).expect("spawn");
    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_whole(&events);
    assert_same(&bytes_of(&events, Stream::Stdout), &pattern(len, 1));
    assert_same(&bytes_of(&events, Stream::Stderr), &pattern(1000, 2));
    let ended = finish(&process);
    assert_eq!((ended.code(), ended.info.cause()), (6, Some(Cause::Natural)));
    assert_eq!((ended.info.stdout_bytes, ended.info.stderr_bytes), (len as u64, 1000));
    assert_eq!(ended.output.len(), len + 1000);
}

#[test]
fn nothing_is_lost_when_a_detached_child_exits_right_after_its_last_write() {
    let service = service();
    in_parallel(8, count("exit right after the last write into a spool", 10_000), |_, i| {
        let len = 1 + (i as usize * 7919) % 200_000;
        let ended = run(&service, &detached(&format!("pattern 1 {len} {i} exit 0")));
        assert_same(&ended.output, &pattern(len, i));
    });
}

#[test]
fn the_output_of_a_detached_child_arrives_while_it_runs() {
    let talk = Talk::new();
    let service = service();
    let subscription = service.subscribe(SubscriptionOptions::default()).expect("subscribe");
    let mut command = talk.tool("text 1 first\\n await GATE text 1 second\\n await GATE text 2 third");
    let process = command.detach().spawn(&service).expect("spawn");
    let mut events: Vec<events::Kept> = Vec::new();
    while !events.last().is_some_and(events::Kept::is_closed) {
        for event in subscription.take(0, GUARDED).expect("events").events() {
            let kept = events::Kept::of(&event);
            if [&b"first"[..], b"second"].contains(&&kept.data[..]) {
                talk.gate.open(1);
            }
            events.push(kept);
        }
    }
    assert_eq!(lines_of(&events, Stream::Stdout), [&b"first\n"[..], b"second\n"]);
    assert_eq!(finish(&process).text(), "first\nsecond\nthird");
}

#[test]
fn merged_streams_of_a_detached_child_keep_their_order() {
    let mut command = detached("interleave 5000 3");
    command.stderr(Output::Merge);
    let want = pattern::interleaved(5000, 3).join("\n") + "\n";
    assert_same(&run(&service(), &command).output, want.as_bytes());
}

#[test]
fn a_detached_child_never_waits_for_a_reader_and_what_its_spool_cannot_hold_is_counted() {
    let service = service();
    let options = SubscriptionOptions { delivery: Delivery::Chunks, queue_bytes: 4096, ..Default::default() };
    let subscription = service.subscribe(options).expect("subscribe");
    let len = 20 << 20;
    let mut command = detached(&format!("pattern 1 {len} 1 exit 2"));
    command.spool_max(1 << 20);
    let process = command.spawn(&service).expect("spawn");
    // No event is taken, so a pipe would have blocked the child for ever.
    process.wait_exit(GUARDED).expect("exited");
    let events = until_closed(&subscription, 1).remove(&process.id()).expect("events");
    assert_whole(&events);
    let info = finish(&process).info;
    let taken = bytes_of(&events, Stream::Stdout).len() as u64;
    println!("{len} bytes written, {taken} delivered, {} lost", info.discarded_bytes);
    assert_eq!(taken, info.stdout_bytes);
    assert_eq!(taken + info.discarded_bytes, len as u64);
    assert!(info.discarded_bytes > 0);
}

/// Runs a child with a spool, which is told, step by step, when to go on: each step comes after the output of the one
/// before it has arrived.
fn spooled_in_steps(steps: &[(&str, &str)]) -> Ended {
    let talk = Talk::new();
    let service = service();
    let wait = format!("{} await {}", child().display(), talk.gate.path());
    let script: Vec<String> = steps.iter().map(|(step, _)| format!("{step}; {wait}")).collect();
    let mut command = support::sh(&script.join("; "));
    let process = command.stdout(Output::Spool).spawn(&service).expect("spawn");
    let mut expected = String::new();
    for (_, arrives) in steps {
        expected.push_str(arrives);
        eventually(arrives, || lossy(&process.output().expect("output")) == expected);
        talk.gate.open(1);
    }
    let ended = finish(&process);
    assert_eq!(ended.text(), expected);
    assert_eq!(ended.info.stdout_bytes as usize, expected.len());
    ended
}

#[test]
fn a_spool_that_its_child_opens_again_and_empties_is_read_from_its_start() {
    let steps = [
        ("echo a-long-first-line", "a-long-first-line\n"),
        ("echo two > /dev/stdout", "two\n"),
        ("echo three; echo four", "three\nfour\n"),
        // The new text is as long as the spool, and longer: the length alone says nothing.
        ("echo 123456789012345 > /dev/stdout", "123456789012345\n"),
        ("echo 123456789012345 > /dev/stdout", "123456789012345\n"),
        ("echo longer-than-everything-before > /dev/stdout", "longer-than-everything-before\n"),
        ("echo last >> /dev/stdout", "last\n"),
    ];
    assert_eq!(spooled_in_steps(&steps).info.discarded_bytes, 0);
}

#[test]
fn a_spool_that_its_child_writes_over_without_emptying_it_is_not_read_again() {
    let steps = [
        ("echo 0123456789-abcdefghij", "0123456789-abcdefghij\n"),
        // This writes at the start of the file, over what was read.
        ("printf xyz 1<>/dev/stdout; echo end", "end\n"),
    ];
    assert_eq!(spooled_in_steps(&steps).info.discarded_bytes, 0);
}

#[test]
fn a_spool_that_a_grandchild_empties_is_read_from_its_start() {
    let steps = [("echo one", "one\n"), ("(sh -c 'echo two > /dev/stdout')", "two\n"), ("echo three", "three\n")];
    assert_eq!(spooled_in_steps(&steps).info.discarded_bytes, 0);
}

#[test]
fn what_a_child_empties_out_of_its_spool_unread_is_counted() {
    let talk = Talk::new();
    let service = service();
    let options = SubscriptionOptions { delivery: Delivery::Chunks, queue_bytes: 4096, ..Default::default() };
    let subscription = service.subscribe(options).expect("subscribe");
    let len = 4 << 20;
    let (tool, gate) = (child().display(), talk.gate.path());
    let script = format!("{tool} pattern 1 {len} 1; {tool} await {gate}; echo end > /dev/stdout");
    let process = support::sh(&script).stdout(Output::Spool).spawn(&service).expect("spawn");
    // The queue is full and no batch is taken, so the rest waits in the spool, and was seen there when it was written.
    eventually("all is written", || spool_length(process.pid()) == len as u64);
    // Writes are reported in order: once this child's line is here, so is what was written before it.
    let later = Talk::new();
    let mut command = later.tool("await GATE text 1 later await GATE");
    let witness = command.detach().spawn(&service).expect("spawn");
    later.gate.open(1);
    eventually("a later line", || witness.output().expect("output") == b"later");
    later.gate.open(1);
    talk.gate.open(1);
    process.wait_exit(GUARDED).expect("exited");
    let events = until_closed(&subscription, 2).remove(&process.id()).expect("events");
    assert_whole(&events);
    let info = finish(&process).info;
    let taken = bytes_of(&events, Stream::Stdout);
    assert!(taken.ends_with(b"end\n"), "{}", taken.len());
    assert!(info.discarded_bytes > 0, "{info:?}");
    assert_eq!(info.stdout_bytes + info.discarded_bytes, len as u64 + 4, "{info:?}");
}

fn spool_length(pid: i32) -> u64 {
    fs::metadata(format!("/proc/{pid}/fd/1")).map_or(0, |file| file.len())
}

#[test]
fn a_spool_that_is_made_longer_without_being_written_brings_no_endless_zeros() {
    let service = service();
    let mut command = support::sh("echo one; truncate -s 1T /dev/stdout; echo two");
    command.stdout(Output::Spool).spool_max(u64::MAX);
    let ended = finish(&command.spawn(&service).expect("spawn"));
    let text = ended.text();
    assert!(text.starts_with("one\n") && text.ends_with("two\n"), "{} bytes", text.len());
    assert!(ended.info.stdout_bytes < 1 << 20, "{:?}", ended.info);
    assert_eq!(ended.info.stdout_bytes + ended.info.discarded_bytes, (1 << 40) + 4);
}

#[test]
fn a_detached_child_writes_into_files_and_can_be_stopped() {
    let mut talk = Talk::new();
    let service = service();
    let path = talk.path("log");
    let mut command = talk.tool("text 1 out text 2 err notify INBOX up await GATE");
    command.detach().stdout(Output::File(path.clone(), FileMode::Append)).stderr(Output::Merge);
    let process = command.spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    process.stop(None).expect("stop");
    let ended = finish(&process);
    assert_eq!((ended.signal(), ended.info.cause()), (libc::SIGTERM, Some(Cause::Stopped)));
    assert_eq!(fs::read_to_string(&path).expect("read"), "outerr");
}

#[test]
fn a_descendant_that_keeps_the_spool_neither_holds_up_the_end_for_ever_nor_is_killed() {
    let mut talk = Talk::new();
    let service = service();
    let mut command = talk.tool(
        "text 1 before fork setsid notify INBOX up await GATE pattern 1 300000 1 notify INBOX on await GATE end exit 7",
    );
    let drain = Drain { silence: Duration::from_millis(100), total: Duration::from_millis(400) };
    let process = command.detach().drain(drain).spawn(&service).expect("spawn");
    let pid = talk.inbox.expect("up");
    let descendant = os::pidfd(pid).expect("descendant");
    let ended = finish(&process);
    assert_eq!((ended.text().as_str(), ended.code()), ("before", 7));
    assert!(os::lives(&descendant));
    talk.gate.open(1);
    assert_eq!(talk.inbox.expect("on"), pid);
    talk.gate.open(1);
    os::assert_ends(&descendant);
}

/// Makes commands that write to a file, a spool and nowhere in turn: a line at first, and more than a pipe holds after
/// the gate.
fn many(dir: &Path, total: u64) -> Vec<Command> {
    (0..total)
        .map(|i| {
            let late = LATE.to_string();
            let body = format!(
                "text 1 early\\n notify INBOX up await GATE piece 1 {late} {i} piece 2 {late} {i} \
                 notify INBOX wrote await LAST"
            );
            let mut command = tool(verbs_in(dir, &body));
            command.detach();
            match i % 3 {
                0 => {
                    let file = |path| Output::File(path, FileMode::Append);
                    command.stdout(file(log(dir, i))).stderr(Output::Null)
                }
                1 => command.stdout(Output::Spool),
                _ => command.stdout(Output::Null).stderr(Output::Null),
            };
            command
        })
        .collect()
}

fn log(dir: &Path, i: u64) -> PathBuf {
    dir.join(format!("log{i}"))
}

fn host_dir() -> PathBuf {
    PathBuf::from(env::var_os(DIR).expect(DIR))
}

/// Asserts that all go on writing and say so, and that the files hold every byte.
fn assert_they_go_on(talk: &mut Talk, last: Gate, children: &[Fd]) {
    let total = children.len();
    assert!(children.iter().all(os::lives));
    talk.gate.open(total);
    for _ in 0..total {
        talk.inbox.expect("wrote");
    }
    assert!(children.iter().all(os::lives), "none died of what it wrote");
    for i in (0..total as u64).step_by(3) {
        let mut want = b"early\n".to_vec();
        want.extend(piece(LATE, i));
        assert_same(&fs::read(log(talk.dir.path(), i)).expect("read"), &want);
    }
    last.open_for_all();
    children.iter().for_each(os::assert_ends);
}

#[test]
fn detached_children_outlive_a_host_killed_by_sigkill_and_go_on_writing() {
    let name = test_path!("detached_children_outlive_a_host_killed_by_sigkill_and_go_on_writing");
    let total = count("detached children", 500);
    if host::inside(name) {
        os::raise_file_limit();
        let service = service();
        let handles: Vec<_> =
            many(&host_dir(), total).iter().map(|command| command.spawn(&service).expect("spawn")).collect();
        // The end must come after every spool is followed.
        eventually("early lines were read", || {
            handles.iter().skip(1).step_by(3).all(|process| process.output().expect("output") == b"early\n")
        });
        fs::write(host_dir().join("ready"), "").expect("write");
        loop {
            thread::park();
        }
    }
    os::raise_file_limit();
    let mut talk = Talk::new();
    let last = Gate::new(talk.dir.path(), "last");
    let host = host::Running(host::command(name).env(DIR, talk.dir.path()).spawn().expect("host"));
    let children = talk.inbox.expect_many("up", total);
    eventually("the host follows its children", || talk.path("ready").exists());

    // The drop kills it by SIGKILL.
    drop(host);
    assert_they_go_on(&mut talk, last, &children);
    println!("{total} detached children, host killed: alive {total}, by SIGPIPE 0");
}

#[test]
fn children_outlive_a_host_that_exits() {
    let name = test_path!("children_outlive_a_host_that_exits");
    if host::inside(name) {
        let service = service();
        for command in many(&host_dir(), 6) {
            command.spawn(&service).expect("spawn");
        }
        // This one is not detached and silent, and is not killed either.
        let attached = tool(verbs_in(&host_dir(), "notify INBOX attached await LAST"));
        attached.spawn(&service).expect("spawn");
        return host::done();
    }
    let mut talk = Talk::new();
    let last = Gate::new(talk.dir.path(), "last");
    let mut command = host::command(name);
    command.env(DIR, talk.dir.path());
    host::run_command(command);

    let (mut children, mut attached) = (Vec::new(), None);
    for _ in 0..7 {
        let (text, pid) = talk.inbox.message();
        let child = os::pidfd(pid).expect("alive");
        if text == "attached" { attached = Some(child) } else { children.push(child) }
    }
    assert!(os::lives(attached.as_ref().expect("attached")));
    assert_they_go_on(&mut talk, last, &children);
    os::assert_ends(&attached.expect("attached"));
}

hosted! {
    /// Inotify instances are few: 128 for each user unless the system says otherwise.
    fn hundreds_of_spools_are_followed_at_once() {
        os::raise_file_limit();
        let talk = Talk::new();
        let service = service();
        let total = 300;
        let processes: Vec<_> = (0..total)
            .map(|i| {
                let mut command = talk.tool(&format!("text 1 early await GATE pattern 1 10000 {i} exit 3"));
                command.detach().spawn(&service).expect("spawn")
            })
            .collect();
        eventually("all were heard", || {
            processes.iter().all(|process| process.output().expect("output") == b"early")
        });
        talk.gate.open(total);
        for (i, process) in processes.iter().enumerate() {
            let ended = finish(process);
            assert_eq!(ended.code(), 3);
            assert_same(&ended.output[5..], &pattern(10_000, i as u64));
        }
    }

    fn detached_children_leave_nothing_in_the_host() {
        let service = service();
        // Whatever starts once and for all has started, the following of spools too.
        census::warm_up_detached(&service);
        let before = census::Census::take();
        in_parallel(8, count("detached spawns", 10_000), |_, i| {
            assert_eq!(run(&service, &detached(&format!("text 1 {i} exit 4"))).code(), 4);
        });
        before.assert_restored("detached children");
    }
}
