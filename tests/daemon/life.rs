//! A daemon's life: what is there when, what is given back, who may ask for the end.

use coreproc::{
    Daemon, DaemonEntry, DaemonOptions, ErrorKind, PidFile, PidState, Registry, probe_health, probe_ready, read_pid,
};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use support::*;

const ANY_PORT: &str = "127.0.0.1:0";

struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch { dir: tempfile::tempdir().expect("tempdir") }
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.path().join("run/it.pid")
    }

    fn registry(&self) -> Registry {
        Registry::new(self.dir.path().join("daemons"))
    }

    fn options(&self) -> DaemonOptions {
        DaemonOptions {
            pid_file: Some(self.pid_file()),
            health_address: Some(ANY_PORT.into()),
            registry: Some(self.registry()),
            entry: DaemonEntry { code: "core".into(), daemon: "agent".into(), ..DaemonEntry::default() },
            ..DaemonOptions::default()
        }
    }

    fn daemon(&self) -> Daemon {
        Daemon::new(self.options())
    }

    #[track_caller]
    fn entry(&self) -> Option<DaemonEntry> {
        self.registry().get("core", "agent").expect("get")
    }

    #[track_caller]
    fn pid_state(&self) -> PidState {
        read_pid(self.pid_file()).expect("read").state
    }

    #[track_caller]
    fn assert_nothing_is_there(&self) {
        assert_eq!(self.pid_state(), PidState::Missing);
        assert_eq!(self.entry(), None);
    }
}

fn own_pid() -> i32 {
    std::process::id() as i32
}

fn is_answered(address: &str) -> bool {
    probe_health(address, GUARD).ok
}

/// A request that has been sent and is not answered yet.
fn request(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("write");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    text
}

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

    // And once more.
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
    assert!(!scratch.pid_file().parent().expect("folder").exists());
}

#[test]
fn an_entry_with_a_nul_byte_is_refused_before_anything_is_done() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.entry.daemon = "a\0b".into();
    let error = Daemon::new(options).start().expect_err("a NUL byte");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("daemon: contains a NUL byte"), "{error}");
    assert!(!scratch.pid_file().parent().expect("folder").exists());
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
    let error = failing.start().expect_err("no folder");
    assert!(error.to_string().contains("register daemon \"core\"/\"agent\""), "{error}");
    assert_eq!((scratch.pid_state(), failing.health_address().as_str()), (PidState::Missing, ANY_PORT));
    assert!(!failing.is_ready());

    // All is free for the first one, which can try again.
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
                    // Too late: it was stopped before this one ran.
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
    // And not for the next.
    daemon.start().expect("start");
    assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::TimedOut);
    daemon.stop().expect("stop");
}

/// A start that is held up at its last step, by the registry's lock, with its health server up.
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
        // Also when the test is over.
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
        // While its server answers, it is there.
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
    // Emptied, and of a process that has ended.
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
    // Of nobody.
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

fn send(signal: i32) {
    os::kill(own_pid(), signal).expect("kill");
}

/// As in a program that installed something of its own.
fn catch(signal: i32, counter: extern "C" fn(libc::c_int)) {
    os::set_action(signal, counter as *const () as libc::sighandler_t);
}

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

/// The handler that another one was installed over.
static FOUND: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_and_pass_on(signal: libc::c_int) {
    note(signal);
    os::call_handler(FOUND.load(Ordering::SeqCst), signal);
}

/// The library's thread for signals, once it has its name, and a field of its status.
fn signal_thread(field: &str) -> (u32, String) {
    let mut found = None;
    eventually("the thread is there", || {
        let mut threads = census::of_library_threads(field).into_iter();
        found = threads.find(|((_, name), _)| name == "coreproc-sig").map(|((tid, _), value)| (tid, value));
        found.is_some()
    });
    found.expect("the thread")
}

hosted! {
    fn sigterm_and_sigint_stop_a_daemon_that_asked_for_it() {
        let scratch = Scratch::new();
        let table = os::signal_table();
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let daemon = scratch.daemon();
            daemon.stop_on_signals().expect("signals");
            daemon.stop_on_signals().expect("again");
            let changed = os::signal_table();
            let differing: Vec<usize> = (0..64).filter(|at| table[*at] != changed[*at]).map(|at| at + 1).collect();
            assert_eq!(differing, [libc::SIGINT as usize, libc::SIGTERM as usize]);
            daemon.start().expect("start");
            thread::scope(|scope| {
                let run = scope.spawn(|| daemon.run());
                send(signal);
                run.join().expect("thread").expect("run");
            });
            scratch.assert_nothing_is_there();
            assert_eq!(os::signal_table(), table, "after a stop");
            eventually("coreproc-sig has ended", || census::of_library_threads("State").is_empty());
        }
    }

    fn a_signal_before_the_start_is_not_missed() {
        let scratch = Scratch::new();
        let daemon = scratch.daemon();
        daemon.stop_on_signals().expect("signals");
        send(libc::SIGTERM);
        daemon.start().expect("start");
        daemon.run().expect("run");
        scratch.assert_nothing_is_there();
    }

    fn signals_reach_a_host_that_blocks_them_on_every_thread() {
        // Of libtest's threads, the main one does not.
        let scratch = Scratch::new();
        let daemon = scratch.daemon();
        os::block_all_signals();
        let mask = os::signal_mask();
        daemon.stop_on_signals().expect("signals");
        // Library threads block all but that one, which takes the two.
        daemon.start().expect("start");
        let bit = |signal: i32| 1_u64 << (signal - 1);
        // Two are the C library's own; two cannot be blocked.
        let always = bit(32) | bit(33) | bit(libc::SIGKILL) | bit(libc::SIGSTOP);
        eventually("it takes the two, and no other", || {
            let open = !u64::from_str_radix(&signal_thread("SigBlk").1, 16).expect("hex");
            open & !always == bit(libc::SIGTERM) | bit(libc::SIGINT)
        });
        send(libc::SIGINT);
        daemon.run().expect("run");
        assert_eq!(os::signal_mask(), mask);
    }

    fn a_signal_that_nobody_else_takes_is_taken_by_the_library() {
        // To this very thread, were it not blocked.
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.start().expect("start");
        daemon.stop_on_signals().expect("signals");
        os::kill_thread(signal_thread("State").0 as i32, libc::SIGTERM);
        daemon.run().expect("run");
    }

    fn what_the_host_had_installed_is_back_afterwards_and_what_it_installs_meanwhile_stays() {
        catch(libc::SIGTERM, note);
        os::set_action(libc::SIGINT, libc::SIG_IGN);
        let table = os::signal_table();
        let daemons = [(); 2].map(|()| Daemon::new(DaemonOptions::default()));
        for daemon in &daemons {
            daemon.start().expect("start");
            daemon.stop_on_signals().expect("signals");
        }
        // Both listen.
        send(libc::SIGTERM);
        daemons.iter().for_each(|daemon| daemon.wait_for_stop_request(GUARDED).expect("requested"));
        assert_eq!(CAUGHT.load(Ordering::SeqCst), 0);
        daemons[0].restore_signals();
        assert_ne!(os::signal_table(), table, "the other still listens");
        daemons[1].restore_signals();
        daemons[1].restore_signals();
        assert_eq!(os::signal_table(), table);
        send(libc::SIGTERM);
        eventually("the host's own is back", || CAUGHT.load(Ordering::SeqCst) == 1);
        send(libc::SIGINT);

        daemons[0].stop_on_signals().expect("signals");
        catch(libc::SIGINT, note);
        daemons[0].stop().expect("stop");
        send(libc::SIGINT);
        eventually("what came over it is still there", || CAUGHT.load(Ordering::SeqCst) == 2);
        send(libc::SIGTERM);
        eventually("and the other is back", || CAUGHT.load(Ordering::SeqCst) == 3);
    }

    fn a_drop_restores_signals() {
        let table = os::signal_table();
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.stop_on_signals().expect("signals");
        assert_ne!(os::signal_table(), table);
        drop(daemon);
        assert_eq!(os::signal_table(), table);
    }

    fn a_child_of_fork_gets_what_it_would_have_without_the_helper() {
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.start().expect("start");
        daemon.stop_on_signals().expect("signals");
        let killed = os::in_fork(|| {
            send(libc::SIGTERM);
            loop {
                thread::park();
            }
        });
        assert_eq!(killed, -libc::SIGTERM);
        let calls = os::in_fork(|| {
            let results = [
                kind_of(daemon.start()),
                kind_of(daemon.stop()),
                kind_of(daemon.run()),
                kind_of(daemon.stop_on_signals()),
                kind_of(daemon.add_check("x", || Ok(()))),
            ];
            daemon.request_stop();
            daemon.restore_signals();
            drop(daemon.clone());
            i32::from(results != [ErrorKind::Forked; 5] || daemon.is_ready())
        });
        assert_eq!(calls, 0);
        assert_eq!(kind_of(daemon.wait_for_stop_request(Some(Duration::ZERO))), ErrorKind::TimedOut, "the parent's");
        send(libc::SIGTERM);
        daemon.run().expect("run");
    }

    fn without_time_a_stop_does_not_wait_for_the_disk() {
        let scratch = Scratch::new();
        let daemon = Daemon::new(DaemonOptions { shutdown_timeout: Duration::ZERO, ..scratch.options() });
        daemon.start().expect("start");
        seccomp::install_everywhere(&[seccomp::refuse(libc::SYS_fsync, libc::EIO)]);
        daemon.stop().expect("stop");
        scratch.assert_nothing_is_there();
    }

    fn a_handler_that_is_put_back_after_its_daemon_has_gone_swallows_nothing() {
        catch(libc::SIGTERM, note);
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.stop_on_signals().expect("signals");
        // As one who saves what there is, and puts it back when it is done.
        let saved = os::swap_action(libc::SIGTERM, None);
        drop(daemon);
        os::swap_action(libc::SIGTERM, Some(saved));
        for round in 1..3 {
            send(libc::SIGTERM);
            eventually("the host's own is called", || CAUGHT.load(Ordering::SeqCst) == round);
        }
    }

    fn a_handler_that_calls_the_one_of_a_daemon_that_has_gone_is_called_once() {
        let daemon = Daemon::new(DaemonOptions::default());
        daemon.stop_on_signals().expect("signals");
        FOUND.store(os::swap_action(libc::SIGTERM, None).sa_sigaction, Ordering::SeqCst);
        catch(libc::SIGTERM, note_and_pass_on);
        drop(daemon);
        // Here and now, and so would be what the handler sends.
        os::kill_thread(os::own_thread(), libc::SIGTERM);
        assert_eq!(CAUGHT.load(Ordering::SeqCst), 1);
    }

    fn signals_that_race_with_listening_and_restoring_hurt_nobody() {
        os::set_action(libc::SIGTERM, libc::SIG_IGN);
        let table = os::signal_table();
        let rounds = count("listens under fire", 2_000);
        beside(2, || send(libc::SIGTERM), || {
            in_parallel(4, rounds, |_, _| {
                let daemon = Daemon::new(DaemonOptions::default());
                daemon.start().expect("start");
                daemon.stop_on_signals().expect("signals");
                daemon.run().expect("run");
            });
        });
        assert_eq!(os::signal_table(), table);
    }

    fn without_the_helper_no_disposition_is_touched_and_nothing_is_left() {
        let scratch = Scratch::new();
        let round = || {
            let daemon = scratch.daemon();
            daemon.start().expect("start");
            assert!(is_answered(&daemon.health_address()));
            daemon.stop().expect("stop");
        };
        round();
        let (before, table, mask) = (census::Census::take(), os::signal_table(), os::signal_mask());
        for _ in 0..20 {
            round();
        }
        assert_eq!((os::signal_table(), os::signal_mask()), (table, mask));
        before.assert_restored("twenty lives");
    }
}
