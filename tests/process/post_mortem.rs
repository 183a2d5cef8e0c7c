//! The end in full: what a process used, and what people and programs are told of it.

use coreproc::{Cause, Drain, Process, Scope, Service, Size, Stdin};
use serde_json::Value;
use std::time::Duration;
use support::fifo::Talk;
use support::*;

fn json(process: &Process) -> Value {
    serde_json::from_str(&process.info_json().expect("JSON")).expect("it is JSON")
}

fn lines(process: &Process) -> Vec<String> {
    let text = process.post_mortem().expect("text");
    assert!(text.ends_with('\n') && text.lines().count() <= 10, "{text}");
    text.lines().map(str::to_owned).collect()
}

fn spawn(service: &Service, body: &str) -> Process {
    let process = script(body).spawn(service).expect("spawn");
    finish(&process);
    process
}

#[test]
fn the_usage_is_that_of_the_process_with_its_waited_for_children() {
    let service = service();
    let process = spawn(&service, "work 60");
    let usage = process.info().expect("info").rusage.expect("usage");
    assert!(usage.user + usage.system >= Duration::from_millis(50), "{usage:?}");
    assert!(usage.max_rss_bytes > 0 && usage.minor_faults > 0);

    let mut command = sh("\"$0\" work 60; exit 3");
    command.arg(child());
    let usage = run(&service, &command).info.rusage.expect("usage");
    assert!(usage.user + usage.system >= Duration::from_millis(50), "{usage:?}");
}

#[test]
fn a_process_that_runs_has_no_usage_yet() {
    let (mut talk, service) = (Talk::new(), service());
    let process = talk.tool("notify INBOX up await GATE").spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    assert_eq!(process.info().expect("info").rusage, None);
    assert_eq!(json(&process)["rusage"], Value::Null);
    assert!(lines(&process)[1].starts_with("runs, since "));
    talk.gate.open(1);
    assert!(finish(&process).info.rusage.is_some());
}

hosted! {
    /// The kernel counts what the host had resident at the spawn. The host of this test stays small.
    fn the_peak_of_memory_is_exact_if_it_is_beyond_that_of_the_host() {
        let service = service();
        let small = spawn(&service, "exit 0").info().expect("info").rusage.expect("usage");
        assert!(!small.max_rss_is_exact, "{small:?}");
        const BEYOND: u64 = 200 * 1024 * 1024;
        let mut command = sh("exec \"$0\" resident 200");
        command.arg(child());
        let large = run(&service, &command).info.rusage.expect("usage");
        assert!(large.max_rss_is_exact && (BEYOND..2 * BEYOND).contains(&large.max_rss_bytes), "{large:?}");
    }
}

#[test]
fn people_are_told_the_command_the_end_the_figures_and_the_last_lines() {
    let service = service();
    let process = sh("echo one; echo two >&2; exit 3").spawn(&service).expect("spawn");
    finish(&process);
    let told = lines(&process);
    assert_eq!(told[0], format!("process 1, PID {}: /bin/sh -c echo one; echo two >&2; exit 3", process.pid()));
    assert!(told[1].starts_with("exited with code 3 after "), "{told:?}");
    assert!(told[2].starts_with("CPU time ") && told[2].contains("peak memory "), "{told:?}");
    assert_eq!(told[3], "wrote 4 bytes to stdout, 4 bytes to stderr; 8 bytes kept");
    assert_eq!(told[4], "last lines of its output:");
    assert_eq!(told[5..].iter().cloned().collect::<std::collections::BTreeSet<_>>().len(), 2);
    assert!(told.contains(&"  one".to_owned()) && told.contains(&"  two".to_owned()), "{told:?}");
}

#[test]
fn the_cause_is_told_with_the_signal() {
    let service = service();
    let process = script("pause").spawn(&service).expect("spawn");
    process.kill(Scope::Default).expect("kill");
    finish(&process);
    assert!(lines(&process)[1].starts_with("ended by signal 9 (SIGKILL) after "));
    assert!(lines(&process)[1].ends_with(": it was killed"));

    let mut command = script("pause");
    command.start_timeout(Duration::from_millis(20));
    let process = command.spawn(&service).expect("spawn");
    assert_eq!(finish(&process).info.cause(), Some(Cause::StartTimeout));
    assert!(lines(&process)[1].ends_with(": it wrote nothing in time"), "{:?}", lines(&process));
    let told = json(&process);
    assert_eq!(
        (&told["signal"], &told["signal_name"], &told["cause"], &told["exit_code"]),
        (&15.into(), &"SIGTERM".into(), &"start_timeout".into(), &Value::Null)
    );
}

#[test]
fn what_is_not_kept_not_taken_and_held_is_told_in_ten_lines() {
    let (mut talk, service) = (Talk::new(), service());
    let body = "fork setsid notify INBOX up await GATE end pattern 2 20000 3 text 1 \\n1\\n2\\n3\\n4\\n5\\n6\\n";
    let mut command = talk.tool(body);
    command.capture(Size::Bytes(1000)).stdin(Stdin::Data(vec![b'x'; 1_000_000].into()));
    command.drain(Drain { silence: Duration::from_millis(50), total: Duration::from_millis(300) });
    let process = command.spawn(&service).expect("spawn");
    let holder = talk.inbox.expect("up");
    finish(&process);
    let told = lines(&process);
    assert_eq!(told.len(), 10);
    assert!(told[3].starts_with("wrote 13 bytes to stdout, 19.5 KiB to stderr; 1000 bytes kept, 18.6 KiB not kept, "));
    assert!(told[3].ends_with("KiB of its input not taken"), "{told:?}");
    assert!(told[4].starts_with(&format!("its output is still held by {holder} ")), "{told:?}");
    // Both streams come in order of arrival.
    assert_eq!(told[5], "last lines of its output:");

    let told = json(&process);
    assert_eq!(told["holders"][0]["pid"], holder);
    assert_eq!((&told["dropped_bytes"], &told["drain_bound"]), (&19_013.into(), &true.into()));
    assert_eq!((&told["state"], &told["exit_code"]), (&"closed".into(), &0.into()));
    assert_eq!(told["last_lines"].as_array().map(Vec::len), Some(5));
}

#[test]
fn a_process_cannot_speak_for_the_library_or_to_a_terminal() {
    let service = service();
    let process = sh("printf 'a\\033[8m\\nprocess 2, PID 1: x'; : \x1b[8m").spawn(&service).expect("spawn");
    finish(&process);
    let text = process.post_mortem().expect("text");
    assert!(!text.contains('\x1b') && text.ends_with("\n  a\\u{1b}[8m\n  process 2, PID 1: x\n"), "{text}");
    let told = json(&process);
    assert!(!told.to_string().contains('\x1b'));
}

hosted! {
    fn a_process_that_the_host_reaped_has_no_usage() {
        os::set_action(libc::SIGCHLD, libc::SIG_IGN);
        let process = spawn(&service(), "text 1 word exit 3");
        let info = process.info().expect("info");
        assert_eq!(info.rusage, None);
        let told = lines(&process);
        assert!(told[2].starts_with("wrote 4 bytes"), "{told:?}");
        if os::kernel() < (6, 15) {
            assert!(told[1].starts_with("ended, how is unknown because the host reaped it, after "), "{told:?}");
        }
    }
}

#[test]
fn the_last_lines_are_those_of_standard_error_if_it_has_a_capture_of_its_own() {
    let service = service();
    for (body, expected) in [("text 1 out text 2 trouble", "  trouble"), ("text 1 out", "  out")] {
        let mut command = script(body);
        command.capture_apart().capture_head(2);
        let process = command.spawn(&service).expect("spawn");
        process.wait(GUARDED).expect("closed");
        let told = lines(&process);
        assert_eq!(told.last().map(String::as_str), Some(expected), "{told:?}");
    }
}
