//! Starting and running: which parts exist at which moment, and what a failed start undoes.

use super::{ANY_PORT, Scratch, is_answered};
use crate::own_pid;
use coreproc::{Daemon, DaemonOptions, ErrorKind, PidFile, PidState, Registry, probe_health, probe_ready, read_pid};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;
use support::*;

#[test]
fn a_daemon_that_runs_has_its_file_its_server_and_its_entry_and_gives_all_back() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    assert_eq!(daemon.health_address(), ANY_PORT);
    assert!(!daemon.is_ready());
    scratch.assert_nothing_is_there();
    daemon.start().expect("start");

    let address = daemon.health_address();
    assert!(address.starts_with("127.0.0.1:") && address != ANY_PORT, "{address}");
    assert!(is_answered(&address) && daemon.is_ready());
    let read = read_pid(scratch.pid_file()).expect("read");
    assert_eq!((read.state, read.pid), (PidState::Alive, Some(own_pid())));
    let entry = scratch.entry().expect("registered");
    assert_eq!(entry.pid, own_pid());
    assert_eq!(entry.health, address);
    assert_eq!(Path::new(&entry.project), std::env::current_dir().expect("cwd"));
    assert_eq!(Path::new(&entry.binary), std::env::current_exe().expect("exe"));
    assert!(entry.started.expect("a start").elapsed().is_ok_and(|age| age < GUARD));
    assert!(entry.process.is_some());

    daemon.stop().expect("stop");
    scratch.assert_nothing_is_there();
    assert!(!probe_health(&address, Duration::from_secs(10)).ok && !daemon.is_ready());
    daemon.stop().expect("a stopped one is fine");

    // A second time, the same.
    daemon.start().expect("start");
    assert!(is_answered(&daemon.health_address()) && daemon.is_ready());
    assert_eq!(scratch.pid_state(), PidState::Alive);
    daemon.stop().expect("stop");
    scratch.assert_nothing_is_there();
}

#[test]
fn what_the_entry_says_already_is_kept() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.health_address = None;
    options.entry.health = "elsewhere:1".into();
    options.entry.project = "/srv/it".into();
    options.entry.binary = "/usr/bin/it".into();
    options.entry.pid = 1;
    let daemon = Daemon::new(options);
    daemon.start().expect("start");
    let entry = scratch.entry().expect("registered");
    assert_eq!((entry.health.as_str(), entry.project.as_str()), ("elsewhere:1", "/srv/it"));
    assert_eq!((entry.binary.as_str(), entry.pid), ("/usr/bin/it", own_pid()));
    assert_eq!(daemon.health_address(), "");
    daemon.stop().expect("stop");
}

#[test]
fn a_daemon_of_nothing_runs_and_stops() {
    let daemon = Daemon::new(DaemonOptions::default());
    daemon.start().expect("start");
    assert!(daemon.is_ready());
    daemon.request_stop();
    daemon.run().expect("run");
    assert!(!daemon.is_ready());
    assert_eq!(kind_of(daemon.add_check("x", || Ok(()))), ErrorKind::InvalidState);
}

#[test]
fn calls_in_the_wrong_state_say_so() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    daemon.stop().expect("never started");
    let not_started = daemon.run().expect_err("not started");
    assert_eq!(not_started.kind(), ErrorKind::InvalidState);
    assert_eq!(not_started.to_string(), "run daemon: is not started");
    assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::InvalidState);
    daemon.start().expect("start");
    let twice = daemon.start().expect_err("twice");
    assert_eq!(
        (twice.kind(), twice.to_string().as_str()),
        (ErrorKind::InvalidState, "start daemon: is started already")
    );
    assert!(is_answered(&daemon.health_address()), "untouched");
    assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::TimedOut);
    daemon.stop().expect("stop");
    assert_eq!(kind_of(daemon.run()), ErrorKind::InvalidState);
}

#[test]
fn a_registry_without_a_name_for_the_entry_is_refused_before_anything_is_done() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.entry.daemon.clear();
    let error = Daemon::new(options).start().expect_err("no name");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("daemon: is empty"), "{error}");
    assert!(!scratch.pid_file().parent().expect("directory").exists());
}

#[test]
fn an_entry_with_a_nul_byte_is_refused_before_anything_is_done() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.entry.daemon = "a\0b".into();
    let error = Daemon::new(options).start().expect_err("a NUL byte");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("daemon: contains a NUL byte"), "{error}");
    assert!(!scratch.pid_file().parent().expect("directory").exists());
}

#[test]
fn a_start_that_fails_undoes_what_it_did() {
    let scratch = Scratch::new();
    // The PID file.
    let holder = PidFile::new(scratch.pid_file());
    holder.acquire().expect("acquire");
    let daemon = scratch.daemon();
    let error = daemon.start().expect_err("held");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("it.pid"), "{error}");
    assert_eq!((daemon.health_address().as_str(), scratch.entry()), (ANY_PORT, None));
    assert_eq!(scratch.pid_state(), PidState::Alive);
    holder.release().expect("release");

    // The health server.
    let taken = std::net::TcpListener::bind(ANY_PORT).expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let options = DaemonOptions { health_address: Some(address.clone()), ..scratch.options() };
    let error = Daemon::new(options).start().expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&address), "{error}");
    scratch.assert_nothing_is_there();

    // The registry.
    let file = scratch.dir.path().join("file");
    fs::write(&file, "x").expect("write");
    let options = DaemonOptions { registry: Some(Registry::new(&file)), ..scratch.options() };
    let failing = Daemon::new(options);
    let error = failing.start().expect_err("no directory");
    assert!(error.to_string().contains("register daemon \"core\"/\"agent\""), "{error}");
    assert_eq!((scratch.pid_state(), failing.health_address().as_str()), (PidState::Missing, ANY_PORT));
    assert!(!failing.is_ready());

    // Everything is free for the first daemon, which can try again.
    daemon.start().expect("start");
    daemon.stop().expect("stop");
    scratch.assert_nothing_is_there();
}

#[test]
fn run_ends_with_a_stop_of_whoever_asked() {
    let scratch = Scratch::new();
    type Ask = fn(&Daemon);
    let ways: [Ask; 4] = [
        |daemon| daemon.request_stop(),
        |daemon| daemon.stop_handle().request_stop(),
        |daemon| daemon.stop().expect("stop"),
        |daemon| {
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        daemon.request_stop();
                        daemon.stop().expect("stop")
                    });
                }
            });
        },
    ];
    for ask in ways {
        let daemon = scratch.daemon();
        daemon.start().expect("start");
        thread::scope(|scope| {
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| daemon.run())).collect();
            ask(&daemon);
            for run in runs {
                match run.join().expect("thread") {
                    Ok(()) => {}
                    // This is too late: the daemon was stopped before this thread ran.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidState),
                }
            }
        });
        assert!(!daemon.is_ready());
        scratch.assert_nothing_is_there();
    }
}

#[test]
fn a_request_before_the_start_is_kept_for_the_run() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    daemon.request_stop();
    daemon.start().expect("start");
    assert!(is_answered(&daemon.health_address()));
    daemon.wait_for_stop_request(Some(Duration::ZERO)).expect("requested");
    daemon.run().expect("run");
    scratch.assert_nothing_is_there();
    // The request does not count for the next run.
    daemon.start().expect("start");
    assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::TimedOut);
    daemon.stop().expect("stop");
}

/// Holds a start up at its last step, by the registry's lock, with its health server up; returns its result.
fn with_a_start_under_way(daemon: &Daemon, scratch: &Scratch, meanwhile: impl FnOnce()) -> coreproc::Result<()> {
    use std::os::fd::AsRawFd;
    std::fs::create_dir(scratch.registry().dir()).expect("mkdir");
    let lock = std::fs::File::create(scratch.registry().dir().join(".lock")).expect("create");
    assert!(os::lock_file(lock.as_raw_fd()));
    thread::scope(|scope| {
        let start = scope.spawn(|| daemon.start());
        eventually("its server is up", || is_answered(&daemon.health_address()));
        meanwhile();
        assert!(!start.is_finished(), "it was waited for");
        drop(lock);
        start.join().expect("thread")
    })
}

#[test]
fn whoever_only_looks_does_not_wait_for_a_start() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    let look = || assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::TimedOut);
    with_a_start_under_way(&daemon, &scratch, look).expect("start");
    daemon.stop().expect("stop");
}

#[test]
fn a_stop_waits_for_a_start_no_longer_than_it_may_take_and_is_remembered() {
    let scratch = Scratch::new();
    let daemon = Daemon::new(DaemonOptions { shutdown_timeout: Duration::from_millis(1), ..scratch.options() });
    let stop = || assert_eq!(kind_of(daemon.stop()), ErrorKind::TimedOut);
    with_a_start_under_way(&daemon, &scratch, stop).expect("start");
    daemon.wait_for_stop_request(Some(Duration::ZERO)).expect("requested");
    daemon.stop().expect("stop");
    scratch.assert_nothing_is_there();
}

#[test]
fn readiness_is_what_the_program_says_while_it_runs() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    daemon.set_ready(false);
    daemon.start().expect("start");
    let address = daemon.health_address();
    assert!(!daemon.is_ready() && !probe_ready(&address, GUARD).ok && is_answered(&address));
    daemon.set_ready(true);
    assert!(daemon.is_ready() && probe_ready(&address, GUARD).ok);
    daemon.stop().expect("stop");
    assert!(!daemon.is_ready());
    daemon.start().expect("start");
    assert!(daemon.is_ready() && probe_ready(&daemon.health_address(), GUARD).ok);
    daemon.stop().expect("stop");
}
