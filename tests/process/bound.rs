//! Processes that die with their host.

use super::credentials::refusal;
use coreproc::{Command, ErrorKind, Scope, Stdin};
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use support::fifo::{Talk, verbs_in};
use support::os::Fd;
use support::*;

const DIR: &str = "COREPROC_TEST_DIR";
const HOW: &str = "COREPROC_TEST_HOW";
const STARTED: &str = "all started";
/// How many children of each kind a host has.
const EACH: u64 = 5;

/// The children of a host. Each waits at a gate that the test holds, so that nothing but a signal ends it.
fn child_of_host(dir: &Path, signal: i32) -> Command {
    let mut command = tool(verbs_in(dir, "ignore 15 notify INBOX up await GATE"));
    command.die_with_host(signal).stdin(Stdin::Pipe);
    command
}

hosted_part! {
    fn host_to_be_killed() {
        let dir = PathBuf::from(env::var_os(DIR).expect(DIR));
        let service = service();
        let how = env::var(HOW).expect(HOW);
        let spawn = || {
            let mut command = child_of_host(&dir, if how == "another signal" { libc::SIGUSR1 } else { libc::SIGKILL });
            match how.as_str() {
                "another user" => drop(command.user("nobody").no_new_privileges().umask(0o77)),
                "fewer capabilities" => drop(command.drop_capabilities(["all"]).no_new_privileges()),
                _ => {}
            }
            let _ = command.spawn(&service).expect("spawn");
        };
        if how == "a thread that has ended" {
            thread::scope(|scope| (0..EACH).for_each(|_| drop(scope.spawn(spawn))));
        } else {
            (0..EACH).for_each(|_| spawn());
        }
        println!("{STARTED}");
        wait_to_be_killed();
    }
}

fn wait_to_be_killed() {
    loop {
        thread::park();
    }
}

/// Starts such a host, and kills it with SIGKILL once all its children run.
fn assert_nothing_survives(how: &str) {
    let mut talk = Talk::new();
    // For children of another user.
    for (path, mode) in [("", 0o755), ("gate", 0o666), ("inbox", 0o666)] {
        std::fs::set_permissions(talk.path(path), PermissionsExt::from_mode(mode)).expect("chmod");
    }
    let mut command = host::command(test_path!("host_to_be_killed"));
    command.env(DIR, talk.dir.path()).env(HOW, how);
    let host = host::Running::start(&mut command, STARTED);
    let children: Vec<Fd> = talk.inbox.expect_many("up", EACH);
    assert!(children.iter().all(os::lives), "{how}");
    drop(host);
    children.iter().for_each(os::assert_ends);
}

#[test]
fn a_host_that_is_killed_takes_its_children_along() {
    for how in ["plain", "a thread that has ended", "another signal", "fewer capabilities", "another user"] {
        if os::is_root() || !["another user"].contains(&how) {
            assert_nothing_survives(how);
        }
    }
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it_and_is_like_any_other() {
    let talk = Talk::new();
    let service = service();
    let started = thread::scope(|scope| {
        let start = || talk.tool("ids text 2 err await GATE exit 7").die_with_host(libc::SIGKILL).spawn(&service);
        scope.spawn(start).join().expect("thread").expect("spawn")
    });
    eventually("output", || started.output().expect("output").ends_with(b"err"));
    talk.gate.open(1);
    let ended = finish(&started);
    assert_eq!(ended.code(), 7);
    assert!(ended.text().contains(&format!("pgid {}\n", started.pid())));
    let process = talk.tool("await GATE").die_with_host(libc::SIGTERM).spawn(&service).expect("spawn");
    process.kill(Scope::Group).expect("kill");
    assert_eq!(finish(&process).signal(), libc::SIGKILL);
}

hosted! {
    fn the_thread_that_starts_them_is_made_once_and_ends_with_the_service() {
        let spawners = || census::of_library_threads("Name").values().filter(|name| *name == "coreproc-spawn").count();
        let service = service();
        run(&service, &script("exit 0"));
        assert_eq!(spawners(), 0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20).for_each(|_| drop(run(&service, script("exit 0").die_with_host(9)))));
            }
        });
        assert_eq!(spawners(), 1);
        // It blocks all signals, as every thread of the library does.
        let blocked = census::of_library_threads("SigBlk");
        assert_eq!(blocked.len(), 2, "{blocked:?}");
        assert!(blocked.values().all(|mask| Some(mask) == blocked.values().next()), "{blocked:?}");
        let talk = Talk::new();
        let process = talk.tool("await GATE exit 3").die_with_host(9).spawn(&service).expect("spawn");
        drop(service);
        // It lives as long as the last process, whose handle is not the service's.
        talk.gate.open(1);
        assert_eq!(finish(&process).code(), 3);
        drop(process);
        census::wait_serviceless();
        assert_eq!(spawners(), 0);
    }
}

#[test]
fn a_spawn_that_fails_is_told_as_by_any_thread() {
    let service = service();
    let error = refused(&service, Command::new("no-such-program").die_with_host(9));
    assert_eq!((error.kind(), error.stage()), (ErrorKind::NotFound, "lookup"));
    let error = refused(&service, script("exit 0").cwd("/no/such/directory").die_with_host(9));
    assert_eq!((error.stage(), error.errno()), ("chdir", Some(libc::ENOENT)));
}

#[test]
fn mistakes_are_told_before_anything_is_spawned() {
    for (error, what) in [
        (refusal(|c| c.die_with_host(0)), "die with host: 0 is no signal"),
        (refusal(|c| c.die_with_host(65)), "die with host: 65 is no signal"),
        (refusal(|c| c.die_with_host(9).detach()), "die with host: a detached process outlives the host"),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(what), "{error}");
    }
}
