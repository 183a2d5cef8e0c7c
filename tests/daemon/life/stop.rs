//! Stopping a daemon: the order, the time, what fails.

use super::{Scratch, answer, is_answered, request};
use coreproc::{Daemon, DaemonEntry, DaemonOptions, ErrorKind, PidState, Registry};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use support::*;

/// A check that waits until it is let go.
struct Gate {
    entered: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

fn gated(daemon: &Daemon) -> Gate {
    let (enter, entered) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let check = move || {
        enter.send(()).expect("test");
        // It goes on when the test is over, too.
        let _ = gone.lock().expect("one run at a time").recv();
        Ok(())
    };
    daemon.add_check("gated", check).expect("add check");
    Gate { entered, go }
}

#[test]
fn a_stop_is_in_order_and_waits_for_requests_under_way() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    let gate = gated(&daemon);
    daemon.start().expect("start");
    let address = daemon.health_address();
    let asked = request(&address);
    gate.entered.recv().expect("the check runs");
    thread::scope(|scope| {
        let stop = scope.spawn(|| daemon.stop());
        eventually("not ready", || !daemon.is_ready());
        eventually("nothing is accepted", || TcpStream::connect(&address).is_err());
        // While its server answers, the daemon holds its PID file.
        assert_eq!(scratch.pid_state(), PidState::Alive);
        assert!(scratch.entry().is_some());
        assert!(!stop.is_finished());
        gate.go.send(()).expect("the check waits");
        stop.join().expect("thread").expect("stop");
    });
    let text = answer(asked);
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok\n"), "{text}");
    scratch.assert_nothing_is_there();
}

#[test]
fn a_stop_that_runs_out_of_time_goes_on_with_the_rest() {
    let scratch = Scratch::new();
    let daemon = Daemon::new(DaemonOptions { shutdown_timeout: Duration::from_millis(50), ..scratch.options() });
    let gate = gated(&daemon);
    daemon.start().expect("start");
    let address = daemon.health_address();
    let asked = request(&address);
    gate.entered.recv().expect("the check runs");
    let error = daemon.stop().expect_err("not in time");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("stop health server"), "{error}");
    assert!(TcpStream::connect(&address).is_err());
    scratch.assert_nothing_is_there();
    drop((asked, gate.go));
    daemon.stop().expect("it is stopped");
}

#[test]
fn all_that_fails_in_a_stop_is_told() {
    if !os::is_root() {
        println!("skipped: needs root to be another user");
        return;
    }
    let scratch = Scratch::new();
    let mut host = host::command(test_path!("a_host_that_gives_up_its_rights"));
    host.env("SCRATCH", scratch.dir.path());
    host::run_command(host);
    // The file is emptied, and its process has ended.
    assert_eq!(scratch.pid_state(), PidState::Invalid);
    assert_eq!(scratch.entry(), None);
}

#[test]
fn a_successor_keeps_its_entry() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    daemon.start().expect("start");
    let mut successor = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("spawn");
    let theirs = DaemonEntry { pid: successor.id() as i32, ..scratch.options().entry };
    let theirs = scratch.registry().register(&theirs).expect("register");
    daemon.stop().expect("stop");
    assert_eq!(scratch.entry(), Some(theirs));
    assert_eq!(scratch.pid_state(), PidState::Missing);
    successor.kill().expect("kill");
    successor.wait().expect("wait");
}

#[test]
fn inside_a_check_a_stop_can_be_requested_and_not_waited_for() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    let handle = Arc::new(std::sync::OnceLock::<Daemon>::new());
    let inside = Arc::clone(&handle);
    let check = move || {
        let Some(daemon) = inside.get() else { return Err("too early".to_owned()) };
        let kinds = [kind_of(daemon.stop()), kind_of(daemon.run()), kind_of(daemon.wait_for_stop_request(None))];
        daemon.request_stop();
        daemon.stop_handle().request_stop();
        if kinds == [ErrorKind::Deadlock; 3] { Ok(()) } else { Err(format!("{kinds:?}")) }
    };
    daemon.add_check("stops", check).expect("add check");
    daemon.start().expect("start");
    assert!(handle.set(daemon.clone()).is_ok());
    let asked = request(&daemon.health_address());
    daemon.run().expect("run");
    let text = answer(asked);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    scratch.assert_nothing_is_there();
}

#[test]
fn a_daemon_that_is_dropped_gives_everything_back() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    let dropped = Arc::new(AtomicBool::new(false));
    struct Told(Arc<AtomicBool>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let told = Told(Arc::clone(&dropped));
    daemon
        .add_check("held", move || {
            let _ = &told;
            Ok(())
        })
        .expect("add check");
    let handle = daemon.stop_handle();
    daemon.start().expect("start");
    let address = daemon.health_address();
    assert!(is_answered(&address));
    drop(daemon.clone());
    assert!(is_answered(&address));
    drop(daemon);
    scratch.assert_nothing_is_there();
    eventually("its server is gone", || TcpStream::connect(&address).is_err());
    eventually("its check is gone", || dropped.load(Ordering::SeqCst));
    // No process has this number.
    handle.request_stop();
}

#[test]
fn starts_and_stops_from_many_threads_keep_their_order() {
    let scratch = Scratch::new();
    let daemon = scratch.daemon();
    let (starts, stops) = (AtomicU64::new(0), AtomicU64::new(0));
    in_parallel(8, count("starts and stops by 8 threads", 2_000), |_, index| {
        if index % 2 == 0 {
            match daemon.start() {
                Ok(()) => drop(starts.fetch_add(1, Ordering::Relaxed)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidState, "{error}"),
            }
        } else {
            daemon.stop().expect("stop");
            stops.fetch_add(1, Ordering::Relaxed);
        }
    });
    daemon.stop().expect("stop");
    println!("{starts:?} starts, {stops:?} stops");
    assert!(starts.into_inner() > 0);
    scratch.assert_nothing_is_there();
}

hosted_part! {
    fn a_host_that_gives_up_its_rights() {
        let base = PathBuf::from(std::env::var_os("SCRATCH").expect("set"));
        let options = DaemonOptions {
            pid_file: Some(base.join("run/it.pid")),
            health_address: None,
            registry: Some(Registry::new(base.join("daemons"))),
            entry: DaemonEntry { code: "core".into(), daemon: "agent".into(), ..DaemonEntry::default() },
            ..DaemonOptions::default()
        };
        let daemon = Daemon::new(options);
        daemon.start().expect("start");
        os::set_real_user_for_good(1234);
        let error = daemon.stop().expect_err("not permitted");
        assert_eq!((error.kind(), error.errno()), (ErrorKind::PermissionDenied, Some(libc::EACCES)));
        let text = error.to_string();
        assert!(text.starts_with("stop daemon: release PID file") && text.contains("; unregister daemon"), "{text}");
        assert!(!daemon.is_ready());
        daemon.stop().expect("it is stopped");
    }
}

hosted! {
    fn without_time_a_stop_does_not_wait_for_the_disk() {
        let scratch = Scratch::new();
        let daemon = Daemon::new(DaemonOptions { shutdown_timeout: Duration::ZERO, ..scratch.options() });
        daemon.start().expect("start");
        seccomp::install_everywhere(&[seccomp::refuse(libc::SYS_fsync, libc::EIO)]);
        daemon.stop().expect("stop");
        scratch.assert_nothing_is_there();
    }
}
