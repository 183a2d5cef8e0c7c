//! Processes that are written down and found again: by another program, after their end, after their number was used
//! again.

use proptest::prelude::*;
use std::env;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command as Peer, Stdio};
use std::time::Duration;

use coreproc::{ErrorKind, ExitStatus, ProcessHandle, ProcessIdentity, Scope};
use support::fifo::Talk;
use support::seccomp::refuse;
use support::*;

const TERMINATED: ExitStatus = ExitStatus::Signal { signal: libc::SIGTERM, core_dumped: false };

/// A child of this test that no service knows.
fn peer<S: AsRef<OsStr>>(verbs: impl IntoIterator<Item = S>) -> Child {
    Peer::new(child()).args(verbs).stdin(Stdio::null()).spawn().expect("peer")
}

fn identity(text: &str) -> ProcessIdentity {
    text.parse().expect("a text of ours")
}

#[track_caller]
fn opened(text: &str) -> ProcessHandle {
    identity(text).open().expect("open")
}

/// Returns the kind of failure of an `open`, and its text.
#[track_caller]
fn unopened(text: &str) -> (ErrorKind, String) {
    let error = identity(text).open().expect_err("not to be opened");
    (error.kind(), error.to_string())
}

/// Returns a text with another field at this place: 2 pid, 3 start, 4 boot, 5 namespace, 6 pidfs.
fn with(text: &str, place: usize, field: &str) -> String {
    let mut fields: Vec<&str> = text.split(':').collect();
    fields[place] = field;
    fields.join(":")
}

/// Returns whether the kernel keeps the status of a process that another has reaped.
fn keeps_statuses() -> bool {
    os::kernel() >= (6, 15)
}

#[test]
fn another_program_finds_a_process_by_its_text_and_sees_its_end() {
    let mut talk = Talk::new();
    let service = service();
    let process = talk.tool("notify INBOX up pause").spawn(&service).expect("spawn");
    talk.inbox.expect("up");
    let mut host = host::command(test_path!("a_program_that_opens"));
    let said = {
        host.env("IDENTITY", process.identity().expect("identity").to_string());
        host::run_command(host)
    };
    let ended = finish(&process);
    assert_eq!(ended.info.status(), Some(TERMINATED));
    let told = if keeps_statuses() { format!("{TERMINATED:?}") } else { "Unknown".to_owned() };
    assert!(said.contains(&format!("ended: {told}")), "{said}");
}

hosted_part! {
    fn a_program_that_opens() {
        let handle = opened(&env::var("IDENTITY").expect("set"));
        assert_eq!(kind_of(handle.wait(Some(Duration::ZERO))), ErrorKind::TimedOut);
        assert!(!handle.has_ended().expect("asked"));
        assert_eq!(handle.exit_status().expect("asked"), None);
        handle.signal(0, Scope::Default).expect("probe");
        handle.signal(libc::SIGTERM, Scope::Process).expect("signal");
        println!("ended: {:?}", handle.wait(GUARDED).expect("wait"));
        assert_eq!(kind_of(handle.signal(libc::SIGTERM, Scope::Process)), ErrorKind::NotRunning);
    }
}

#[test]
fn an_ended_process_is_not_found_and_has_no_identity() {
    let service = service();
    let talk = Talk::new();
    let process = talk.tool("await GATE").spawn(&service).expect("spawn");
    let text = process.identity().expect("identity").to_string();
    let handle = opened(&text);
    assert_eq!(handle.identity().to_string(), text);
    assert_eq!(handle.pid(), process.pid());
    talk.gate.open(1);
    finish(&process);

    assert!(os::readable(&handle.fd(), GUARD) && os::readable(&handle.as_fd(), GUARD));
    let want = if keeps_statuses() { ExitStatus::Code(0) } else { ExitStatus::Unknown };
    assert_eq!(handle.wait(GUARDED).expect("wait"), want);
    assert_eq!(kind_of(process.identity()), ErrorKind::NotRunning);
    for text in [text.clone(), with(&text, 6, "-"), with(&text, 3, "-")] {
        let (kind, message) = unopened(&text);
        assert_eq!(kind, ErrorKind::NotFound, "{message}");
        assert_eq!(message, format!("open process PID {}: it has ended", process.pid()));
    }
}

#[test]
fn a_zombie_is_found_tells_its_status_and_stays_for_its_parent() {
    let mut child = peer(["exit", "5"]);
    let pid = child.id() as i32;
    os::await_zombie(pid);
    let handle = ProcessIdentity::of_pid(pid).expect("identity").open().expect("open");
    assert!(handle.has_ended().expect("asked"));
    assert_eq!(handle.wait(Some(Duration::ZERO)).expect("wait"), ExitStatus::Code(5));
    assert_eq!(handle.exit_status().expect("asked"), Some(ExitStatus::Code(5)));
    assert_eq!(kind_of(handle.signal(libc::SIGTERM, Scope::Process)), ErrorKind::NotRunning);
    assert_eq!(child.wait().expect("still there").code(), Some(5));
    let want = if keeps_statuses() { ExitStatus::Code(5) } else { ExitStatus::Unknown };
    assert_eq!(handle.exit_status().expect("asked"), Some(want));
}

#[test]
fn a_zombie_of_another_parent_is_not_waited_for_and_its_status_is_told_once_it_is_reaped() {
    let mut talk = Talk::new();
    let service = service();
    let parent = talk.tool("fork plain notify INBOX up await GATE exit 7 end pause").spawn(&service).expect("spawn");
    let handle = ProcessIdentity::of_pid(talk.inbox.expect("up")).expect("identity").open().expect("open");
    talk.gate.open(1);
    assert_eq!(handle.wait(GUARDED).expect("wait"), ExitStatus::Unknown);
    assert_eq!(handle.exit_status().expect("asked"), Some(ExitStatus::Unknown));
    parent.kill(Scope::Process).expect("kill");
    finish(&parent);
    if keeps_statuses() {
        // Whoever adopts orphans here reaps it.
        eventually("the status is told", || handle.wait(GUARDED).expect("wait") == ExitStatus::Code(7));
    }
}

#[test]
fn a_handle_does_not_reap_and_every_waiter_is_told() {
    let mut talk = Talk::new();
    let mut child = peer(talk.verbs("notify INBOX up pause"));
    let identity = ProcessIdentity::of_pid(talk.inbox.expect("up")).expect("identity");
    let handle = identity.open().expect("open");
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| handle.wait(GUARDED).expect("wait"))).collect();
        handle.signal(libc::SIGTERM, Scope::Process).expect("signal");
        for waiter in waiters {
            assert_eq!(waiter.join().expect("waiter"), TERMINATED);
        }
    });
    assert_eq!(child.wait().expect("still there").signal(), Some(libc::SIGTERM));
}

#[test]
fn a_group_is_signalled_through_its_leader_even_after_that_has_ended() {
    let mut talk = Talk::new();
    let service = service();
    let leader = talk.tool("fork plain notify INBOX up pause end notify INBOX up await GATE");
    let leader = leader.spawn(&service).expect("spawn");
    let watches = talk.inbox.expect_many("up", 2);
    let handle = leader.identity().expect("identity").open().expect("open");
    talk.gate.open(1);
    leader.wait_exit(GUARDED).expect("wait");
    let sent = handle.signal(libc::SIGTERM, Scope::Group);
    if os::kernel() < (6, 9) {
        assert_eq!(kind_of(sent), ErrorKind::Unsupported);
        leader.kill(Scope::Group).expect("kill");
    } else {
        sent.expect("signal");
    }
    watches.iter().for_each(os::assert_ends);
    finish(&leader);

    // One that leads none.
    let mut member = talk.tool("pause");
    let member = member.group(coreproc::Group::Inherit).spawn(&service).expect("spawn");
    let handle = member.identity().expect("identity").open().expect("open");
    let want = if os::kernel() < (6, 9) { ErrorKind::Unsupported } else { ErrorKind::NotRunning };
    assert_eq!(kind_of(handle.signal(libc::SIGTERM, Scope::Group)), want);
    assert_eq!(kind_of(handle.signal(-1, Scope::Process)), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(handle.signal(65, Scope::Process)), ErrorKind::InvalidArgument);
    member.kill(Scope::Process).expect("kill");
    finish(&member);
}

#[test]
fn a_process_that_has_the_number_now_is_never_taken_for_the_one_that_had_it() {
    let Some(host) = host::command_with_own_pids(test_path!("a_host_that_reuses_a_pid")) else { return };
    host::run_command(host);
}

hosted_part! {
    fn a_host_that_reuses_a_pid() {
        let start = || host::Running(peer(["pause"]));
        let pid_of = |running: &host::Running| running.0.id() as i32;
        let first = start();
        let pid = pid_of(&first);
        let identity = ProcessIdentity::of_pid(pid).expect("identity");
        let handle = identity.open().expect("open");
        drop(first);

        // Two starts within one clock tick cannot be told apart by the start alone.
        let ticks = |pid| ProcessIdentity::of_pid(pid).expect("identity").start().expect("known").ticks;
        let mut second = os::reuse(pid, start, pid_of);
        while ticks(pid) == identity.start().expect("known").ticks {
            drop(second);
            second = os::reuse(pid, start, pid_of);
        }

        let text = identity.to_string();
        let mut texts = vec![text.clone(), with(&text, 6, "-")];
        if os::kernel() >= (6, 9) {
            texts.push(with(&text, 3, "-"));
        }
        for text in texts {
            let (kind, message) = unopened(&text);
            assert_eq!(kind, ErrorKind::NotFound);
            assert!(message.ends_with("it has ended, and its number is another process's"), "{message}");
        }
        assert!(handle.has_ended().expect("asked"));
        assert_eq!(kind_of(handle.signal(libc::SIGKILL, Scope::Process)), ErrorKind::NotRunning);
        assert_eq!(kind_of(handle.signal(libc::SIGKILL, Scope::Group)), if os::kernel() < (6, 9) { ErrorKind::Unsupported } else { ErrorKind::NotRunning });
        assert_eq!(second.0.try_wait().expect("asked"), None, "the stranger was hit");
    }
}

#[test]
fn a_process_of_another_boot_or_namespace_is_refused_and_the_message_says_which() {
    let own = ProcessIdentity::of_pid(std::process::id() as i32).expect("identity");
    let text = own.to_string();
    let (kind, message) = unopened(&with(&text, 4, "01234567-89ab-cdef-0123-456789abcdef"));
    assert_eq!(kind, ErrorKind::InvalidArgument);
    assert!(message.contains(": boot: "), "{message}");
    let (kind, message) = unopened(&with(&text, 5, &(own.pid_namespace().inode + 1).to_string()));
    assert_eq!(kind, ErrorKind::InvalidArgument);
    assert!(message.contains(": PID namespace: "), "{message}");
}

#[test]
fn numbers_that_name_no_process_have_no_identity() {
    let of = |pid| ProcessIdentity::of_pid(pid).expect_err("none");
    for pid in [0, -1, i32::MIN] {
        assert_eq!(of(pid).kind(), ErrorKind::InvalidArgument);
        assert_eq!(of(pid).to_string(), format!("identity: pid: {pid} is below 1"));
    }
    assert_eq!(of(i32::MAX).kind(), ErrorKind::NotFound);
    let thread = std::thread::spawn(|| ProcessIdentity::of_pid(os::own_thread()).map_err(|error| error.kind()));
    assert_eq!(thread.join().expect("thread"), Err(ErrorKind::NotFound));
}

#[test]
fn with_the_proc_of_another_namespace_the_start_is_not_made_up() {
    let Some(host) = host::command_with_own_pids_alone(test_path!("a_host_without_its_own_proc")) else { return };
    host::run_command(host);
}

#[test]
fn without_proc_it_is_unsupported() {
    let Some(host) = host::command_in_namespaces(test_path!("a_host_without_proc"), &["--mount"]) else { return };
    host::run_command(host);
}

hosted_part! {
    fn a_host_without_its_own_proc() {
        assert_eq!(std::process::id(), 1);
        let identity = ProcessIdentity::of_pid(1);
        if os::kernel() < (6, 9) {
            assert_eq!(kind_of(identity), ErrorKind::Unsupported);
        } else {
            let identity = identity.expect("by its pidfs inode");
            assert_eq!(identity.start(), None, "that of another process");
            assert_eq!(identity.open().expect("open").pid(), 1);
        }
    }

    fn a_host_without_proc() {
        let text = ProcessIdentity::of_pid(1).expect("identity").to_string();
        let service = service();
        let process = tool(["pause"]).spawn(&service).expect("spawn");
        let mounted = Peer::new("mount").args(["-t", "tmpfs", "none", "/proc"]).status().expect("mount");
        assert!(mounted.success());
        for error in [
            ProcessIdentity::of_pid(1).expect_err("nothing tells"),
            identity(&text).open().expect_err("nothing tells"),
            process.identity().expect_err("nothing tells"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("no /proc"), "{error}");
        }
        process.kill(Scope::Default).expect("kill");
        finish(&process);
    }
}

hosted! {
    fn where_a_filter_refuses_the_calls_of_pidfds_it_is_unsupported() {
        let mut talk = Talk::new();
        let mut child = peer(talk.verbs("notify INBOX up await GATE exit 3"));
        let identity = ProcessIdentity::of_pid(talk.inbox.expect("up")).expect("identity");
        let handle = identity.open().expect("open");
        seccomp::install_everywhere(&[refuse(libc::SYS_pidfd_send_signal, libc::EPERM), refuse(libc::SYS_pidfd_open, libc::EPERM)]);
        for scope in [Scope::Process, Scope::Group] {
            let error = handle.signal(libc::SIGTERM, scope).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        for error in [identity.open().expect_err("refused"), ProcessIdentity::of_pid(1).expect_err("refused")] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("pidfd_open"), "{error}");
        }
        talk.gate.open(1);
        assert_eq!(handle.wait(GUARDED).expect("wait"), ExitStatus::Code(3));
        child.wait().expect("wait");
    }

    fn where_a_filter_refuses_signals_by_pidfd_what_runs_is_found() {
        seccomp::install_everywhere(&[refuse(libc::SYS_pidfd_send_signal, libc::ENOSYS)]);
        let own = ProcessIdentity::of_pid(std::process::id() as i32).expect("identity");
        assert!(own.start().is_some());
        let text = own.to_string();
        opened(&text);
        opened(&with(&text, 6, "-"));
    }

    fn a_forked_child_is_refused() {
        let identity = ProcessIdentity::of_pid(std::process::id() as i32).expect("identity");
        let handle = identity.open().expect("open");
        let code = os::in_fork(|| {
            assert_eq!(kind_of(ProcessIdentity::of_pid(1)), ErrorKind::Forked);
            assert_eq!(kind_of(identity.open()), ErrorKind::Forked);
            assert_eq!(kind_of(handle.wait(None)), ErrorKind::Forked);
            assert_eq!(kind_of(handle.signal(0, Scope::Process)), ErrorKind::Forked);
            assert_eq!(kind_of(handle.exit_status()), ErrorKind::Forked);
            assert_eq!(kind_of(handle.has_ended()), ErrorKind::Forked);
            7
        });
        assert_eq!(code, 7);
    }
}

const TEXT: &str = "coreproc:1:812:734512:3f1c2a9e-5b7d-4e60-9a8b-0c1d2e3f4a5b:4026531836:9012";

#[test]
fn a_mistake_in_the_text_is_named_with_its_field() {
    assert_eq!(identity(TEXT).to_string(), TEXT);
    let table = [
        ("", "prefix: expected \"coreproc\", found \"\""),
        ("coreproc", "version: is missing"),
        ("coreproc:1", "pid: is missing"),
        ("coreproc:1:812", "start: is missing"),
        ("coreproc:1:812:734512", "boot: is missing"),
        ("coreproc:1:812:734512:3f1c2a9e-5b7d-4e60-9a8b-0c1d2e3f4a5b", "namespace: is missing"),
        ("coreproc:1:812:734512:3f1c2a9e-5b7d-4e60-9a8b-0c1d2e3f4a5b:1", "pidfs: is missing"),
    ];
    let long = "7".repeat(50);
    let places = [
        (0, "Coreproc", "prefix: expected \"coreproc\", found \"Coreproc\""),
        (1, "2", "version: \"2\" is not known, known is 1"),
        (1, "", "version: \"\" is not known, known is 1"),
        (2, "0", "pid: is not from 1 to 2147483647"),
        (2, "2147483648", "pid: is not from 1 to 2147483647"),
        (2, "-", "pid: \"-\" is no number"),
        (2, "+1", "pid: \"+1\" is no number"),
        (2, "01", "pid: \"01\" is no number"),
        (3, "x\x1b", "start: \"x\\u{1b}\" is no number"),
        (3, "18446744073709551616", "start: \"18446744073709551616\" is no number"),
        (4, "-", "boot: \"-\" is no boot id"),
        (4, "3F1c2a9e-5b7d-4e60-9a8b-0c1d2e3f4a5b", "boot: \"3F1c2a9e-5b7d-4e60-9a8b-0c1d2e3f4a5b\" is no boot id"),
        (5, "-", "namespace: \"-\" is no number"),
        (6, "", "pidfs: \"\" is no number"),
        (6, "9012\n", "pidfs: \"9012\\n\" is no number"),
        (6, &long, "pidfs: \"7777777777777777777777777777777777777777\"… is no number"),
        (6, "9012:1", "pidfs: is the last field, but \"1\" follows"),
    ];
    let texts = places.map(|(place, field, want)| (with(TEXT, place, field), want));
    for (text, want) in table.map(|(text, want)| (text.to_owned(), want)).into_iter().chain(texts) {
        let error = text.parse::<ProcessIdentity>().expect_err("malformed");
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert_eq!(error.to_string(), format!("parse process identity: {want}"), "{text}");
    }
    let neither = with(&with(TEXT, 3, "-"), 6, "-").parse::<ProcessIdentity>().expect_err("malformed");
    assert_eq!(neither.to_string(), "parse process identity: start: is not known, and neither is pidfs");
}

proptest! {
    #[test]
    fn a_text_is_read_as_it_was_written_or_refused(at in 0..TEXT.len(), put in any::<Option<char>>(), cut in 0..3_usize) {
        let end = (at + cut).min(TEXT.len());
        let text = format!("{}{}{}", &TEXT[..at], put.map_or(String::new(), String::from), &TEXT[end..]);
        if let Ok(identity) = text.parse::<ProcessIdentity>() {
            prop_assert_eq!(identity.to_string(), text);
        }
    }

    #[test]
    fn every_identity_is_read_as_it_was_written(
        pid in 1..=i32::MAX, start in any::<Option<u64>>(), pidfs in any::<u64>(), namespace in any::<u64>(), boot: u128,
    ) {
        let hex = format!("{boot:032x}");
        let boot = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let start = start.map_or("-".to_owned(), |start| start.to_string());
        let text = format!("coreproc:1:{pid}:{start}:{boot}:{namespace}:{pidfs}");
        prop_assert_eq!(text.parse::<ProcessIdentity>().expect("valid").to_string(), text);
    }
}
