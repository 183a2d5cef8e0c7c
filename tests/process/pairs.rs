//! Each option of a command alone and with each other one: both work, or the spawn is refused before anything runs, and
//! the error names one of the two. The refused pairs are those of [`REFUSED`], no more and no fewer.
//!
//! The host is a program on a pseudo-terminal of ours, so that it has a foreground to lend.

use coreproc::{
    Command, Containment, Descriptor, Drain, Error, ErrorKind, EventFilter, ExitStatus, FileMode, Group, IoPriority,
    Log, LogOptions, Output, PtyOptions, Resource, Rung, Scheduling, Scope, Service, Size, State, Stdin, StopOptions,
    StopPolicy, StopStep, Subscription, SubscriptionOptions, SubscriptionScope,
};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::*;

/// What the options refer to.
struct Things {
    service: Service,
    directory: tempfile::TempDir,
    file: Arc<OwnedFd>,
    root: Arc<OwnedFd>,
    socket: Arc<OwnedFd>,
    terminal: Arc<OwnedFd>,
    log: Log,
    subscription: Subscription,
}

impl Things {
    fn new() -> Things {
        let service = service();
        let directory = tempfile::tempdir().expect("a directory");
        let open = |path: &str| Arc::new(File::options().read(true).open(path).expect("open").into());
        let write = |path: &str| Arc::new(File::options().read(true).write(true).open(path).expect("open").into());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        let named = SubscriptionOptions { scope: SubscriptionScope::Named, ..SubscriptionOptions::default() };
        Things {
            file: write("/dev/null"),
            root: open("/"),
            socket: Arc::new(listener.into()),
            terminal: write("/dev/tty"),
            log: service.open_log(&LogOptions::new(directory.path().join("log"))).expect("a log"),
            subscription: service.subscribe(named).expect("subscribe"),
            directory,
            service,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// An option: its name, the text by which an error names it, and how it is set.
type Row = (&'static str, &'static str, for<'a> fn(&'a mut Command, &Things) -> &'a mut Command);

const LONG: Duration = Duration::from_secs(1000);

fn in_steps(scope: Scope) -> StopPolicy {
    StopPolicy { scope, steps: [2, 15].map(|signal| StopStep { signal, grace: Some(LONG) }).to_vec() }
}

#[rustfmt::skip]
const ROWS: [Row; 71] = [
    ("arg0", "argv[0]", |c, _| c.arg0("other")),
    ("env", "environment", |c, _| c.env("A", "1")),
    ("env_clear", "environment", |c, _| c.env_clear()),
    ("env_whole", "environment", |c, _| c.env_whole(["A=1", "=B=2"])),
    ("search_path", "search path", |c, _| c.search_path("/usr/bin:/bin")),
    ("cwd", "cwd", |c, _| c.cwd("/")),
    ("cwd_fd", "cwd", |c, t| c.cwd_fd(Arc::clone(&t.root))),
    ("stdin null", "stdin", |c, _| c.stdin(Stdin::Null)),
    ("stdin pipe", "stdin", |c, _| c.stdin(Stdin::Pipe)),
    ("stdin inherit", "stdin", |c, _| c.stdin(Stdin::Inherit)),
    ("stdin data", "stdin", |c, _| c.stdin(Stdin::Data(Arc::new(vec![b'x'; 100_000])))),
    ("stdin fd", "stdin", |c, t| c.stdin(Stdin::Fd(Arc::clone(&t.file)))),
    ("stdin file", "stdin", |c, _| c.stdin(Stdin::File("/dev/null".into()))),
    ("stdout null", "stdout", |c, _| c.stdout(Output::Null)),
    ("stdout pipe", "stdout", |c, _| c.stdout(Output::Pipe)),
    ("stdout inherit", "stdout", |c, _| c.stdout(Output::Inherit)),
    ("stdout fd", "stdout", |c, t| c.stdout(Output::Fd(Arc::clone(&t.file)))),
    ("stdout file", "stdout", |c, t| c.stdout(Output::File(t.path("out"), FileMode::Truncate))),
    ("stdout spool", "stdout", |c, _| c.stdout(Output::Spool)),
    ("stderr null", "stderr", |c, _| c.stderr(Output::Null)),
    ("stderr pipe", "stderr", |c, _| c.stderr(Output::Pipe)),
    ("stderr merge", "stderr", |c, _| c.stderr(Output::Merge)),
    ("stderr file", "stderr", |c, t| c.stderr(Output::File(t.path("out"), FileMode::Append))),
    ("stderr spool", "stderr", |c, _| c.stderr(Output::Spool)),
    ("spool_max", "spool", |c, _| c.spool_max(1 << 20)),
    ("descriptor output", "descriptor", |c, _| c.descriptor(5, Descriptor::Output)),
    ("descriptor input", "descriptor", |c, _| c.descriptor(6, Descriptor::Input)),
    ("descriptor data", "descriptor", |c, _| c.descriptor(3, Descriptor::Data(Arc::new(b"x".to_vec())))),
    ("descriptor fd", "descriptor", |c, t| c.descriptor(8, Descriptor::Fd(Arc::clone(&t.file)))),
    ("descriptor file", "descriptor", |c, _| c.descriptor(9, Descriptor::ReadFile("/dev/null".into()))),
    ("listen_fd", "listen", |c, t| c.listen_fd(Arc::clone(&t.socket), "web")),
    ("pty", "pty", |c, _| c.pty(PtyOptions::default())),
    ("foreground", "foreground", |c, t| c.foreground(Arc::clone(&t.terminal))),
    ("contain process", "contain", |c, _| c.group(Group::Inherit).contain(Containment::Require(Rung::Process))),
    ("group inherit", "group", |c, _| c.group(Group::Inherit)),
    ("group session", "group", |c, _| c.group(Group::Session)),
    ("detach", "detach", |c, _| c.detach()),
    ("die_with_host", "die with host", |c, _| c.die_with_host(libc::SIGKILL)),
    ("contain prefer", "contain", |c, _| c.contain(Containment::Prefer)),
    ("contain cgroup", "contain", |c, _| c.contain(Containment::Require(Rung::Cgroup))),
    ("contain group", "contain", |c, _| c.contain(Containment::Require(Rung::Group))),
    ("memory_max", "cgroup", |c, _| c.memory_max(1 << 28)),
    ("processes_max", "cgroup", |c, _| c.processes_max(100)),
    ("cpu_max", "cgroup", |c, _| c.cpu_max(1000)),
    ("user", "user", |c, _| c.user(os::own_ids()[0])),
    ("primary_group", "group", |c, _| c.primary_group(os::own_ids()[3])),
    ("supplementary_groups", "groups", |c, _| c.supplementary_groups(["2", "4"])),
    ("umask", "umask", |c, _| c.umask(0o77)),
    ("no_new_privileges", "no new privileges", |c, _| c.no_new_privileges()),
    ("drop_capabilities", "capabilities", |c, _| c.drop_capabilities(["all"])),
    ("keep_ignored", "signals", |c, _| c.keep_ignored([libc::SIGHUP])),
    ("chroot", "chroot", |c, _| c.chroot("/")),
    ("resource_limit", "limit", |c, _| c.resource_limit(Resource::Nofile, 32, 64)),
    ("nice", "nice", |c, _| c.nice(19)),
    ("scheduling", "scheduling", |c, _| c.scheduling(Scheduling::Batch)),
    ("io_priority", "io priority", |c, _| c.io_priority(IoPriority::Idle)),
    ("cpu_affinity", "cpu affinity", |c, _| c.cpu_affinity([0])),
    ("oom_score", "oom score", |c, _| c.oom_score(1000)),
    ("timeout", "timeout", |c, _| c.timeout(LONG)),
    ("start_timeout", "start timeout", |c, _| c.start_timeout(LONG)),
    ("silence_timeout", "silence timeout", |c, _| c.silence_timeout(LONG)),
    ("cpu_time_limit", "cpu time limit", |c, _| c.cpu_time_limit(LONG)),
    ("output_limit", "output limit", |c, _| c.output_limit(1 << 20)),
    ("stop group", "stop", |c, _| c.stop_options(StopOptions { scope: Scope::Group, ..StopOptions::default() })),
    ("stop tree", "stop", |c, _| c.stop_policy(in_steps(Scope::Tree))),
    ("drain", "drain", |c, _| c.drain(Drain { silence: LONG, total: LONG })),
    ("capture none", "capture", |c, _| c.capture(Size::None)),
    ("capture parts", "capture", |c, _| c.capture(Size::Bytes(9)).capture_head(9).capture_lines(2)),
    ("capture_apart", "capture", |c, _| c.capture_apart()),
    ("subscribe", "subscription", |c, t| c.subscribe(&t.subscription)),
    ("log", "log", |c, t| c.log(&t.log, EventFilter::default())),
];

/// The pairs that contradict each other, each by the names of two rows in their order.
const REFUSED: &[(&str, &str)] = &[
    ("stdout pipe", "detach"),
    ("stderr pipe", "detach"),
    ("stderr merge", "pty"),
    ("descriptor output", "detach"),
    ("descriptor data", "listen_fd"),
    ("pty", "foreground"),
    ("pty", "contain process"),
    ("pty", "group inherit"),
    ("pty", "detach"),
    ("foreground", "contain process"),
    ("foreground", "group inherit"),
    ("foreground", "group session"),
    ("foreground", "detach"),
    ("contain process", "group session"),
    ("contain process", "detach"),
    ("contain process", "contain group"),
    ("contain process", "memory_max"),
    ("contain process", "processes_max"),
    ("contain process", "cpu_max"),
    ("contain process", "stop group"),
    ("group inherit", "contain group"),
    ("group inherit", "stop group"),
    ("detach", "die_with_host"),
    ("contain group", "memory_max"),
    ("contain group", "processes_max"),
    ("contain group", "cpu_max"),
];

/// The pairs of which one option may fail alone, and both run: the first gives the right to the second, or the second
/// replaces the first.
const HELPS: [(&str, &str); 2] = [("no_new_privileges", "drop_capabilities"), ("contain cgroup", "contain group")];

/// The options that a system, or its user, may not have: there they fail alone, and so does each pair with them.
const NOT_EVERYWHERE: [&str; 8] = [
    "contain cgroup",
    "memory_max",
    "processes_max",
    "cpu_max",
    "user",
    "supplementary_groups",
    "drop_capabilities",
    "chroot",
];

fn command(program: &str, things: &Things, options: &[&Row]) -> Command {
    let mut command = Command::new(program);
    command.args(["text", "1", "x", "text", "2", "y", "exit", "0"]);
    for (_, _, set) in options {
        set(&mut command, things);
    }
    command
}

fn names(options: &[&Row]) -> String {
    format!("{:?}", options.iter().map(|row| row.0).collect::<Vec<_>>())
}

/// Runs a command with these options to its end, or returns why it was not started.
fn attempt(things: &Things, options: &[&Row]) -> Result<(), Error> {
    let program = child().to_str().expect("a path");
    let outcome = command(program, things, options).spawn(&things.service).map(|process| {
        let info = process.wait(GUARDED).unwrap_or_else(|error| panic!("{}: {error}", names(options)));
        assert_eq!((info.state, info.status()), (State::Closed, Some(ExitStatus::Code(0))), "{}", names(options));
    });
    while things.subscription.take(0, Some(Duration::ZERO)).is_ok() {}
    assert!(os::has_no_child(), "{} leaves a process", names(options));
    assert_eq!(things.service.count(), 0, "{}", names(options));
    outcome
}

/// Checks that an error is a refusal before anything runs, and names one of the options.
fn assert_refusal(things: &Things, options: &[&Row], error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::Unsupported), "{}: {error}", names(options));
    let text = error.to_string();
    let (_, cause) = text.split_once("\": ").expect("a program");
    assert!(options.iter().any(|row| cause.contains(row.1)), "{} are not named: {error}", names(options));
    // The program was not tried: that there is none is not what the error tells.
    let without = refused(&things.service, &command("/nonexistent/program", things, options));
    assert_eq!((without.kind(), without.stage()), (error.kind(), error.stage()), "{}: {without}", names(options));
}

/// Returns the options that fail alone here, with the reason.
fn unavailable(things: &Things) -> Vec<(&'static str, Error)> {
    let mut found = Vec::new();
    for row in &ROWS {
        if let Err(error) = attempt(things, &[row]) {
            assert!(NOT_EVERYWHERE.contains(&row.0), "{}: {error}", row.0);
            if error.kind() == ErrorKind::Unsupported {
                assert_refusal(things, &[row], &error);
            }
            println!("NOT TESTED: {}: {error}", row.0);
            found.push((row.0, error));
        }
    }
    found
}

/// Tries a pair. Returns what is wrong with it.
fn fault(things: &Things, unavailable: &[(&str, Error)], pair: [&Row; 2]) -> Option<String> {
    let key = (pair[0].0, pair[1].0);
    let mut reasons = unavailable.iter().filter(|(name, _)| [key.0, key.1].contains(name)).map(|(_, error)| error);
    let must_fail = reasons.clone().next().is_some() && !HELPS.contains(&key);
    match attempt(things, &pair) {
        outcome if REFUSED.contains(&key) => match outcome {
            Ok(()) => Some(format!("{key:?} contradict each other, and run")),
            Err(error) => {
                assert_refusal(things, &pair, &error);
                None
            }
        },
        Ok(()) => must_fail.then(|| format!("{key:?} run, and one of them does not alone")),
        Err(error) if reasons.any(|reason| (reason.kind(), reason.stage()) == (error.kind(), error.stage())) => None,
        Err(error) => Some(format!("{key:?}: {error}")),
    }
}

hosted_part! {
    fn a_host_that_tries_all_pairs() {
        let things = Things::new();
        let unavailable = unavailable(&things);
        let mut faults = Vec::new();
        for (at, row) in ROWS.iter().enumerate() {
            println!("pairs with {}", row.0);
            faults.extend(ROWS[at + 1..].iter().filter_map(|other| fault(&things, &unavailable, [row, other])));
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        for (one, other) in REFUSED {
            let place = |name: &str| ROWS.iter().position(|row| row.0 == name).expect("a row");
            assert!(place(one) < place(other), "{one} and {other} are in another order");
        }
    }
}

#[test]
fn each_pair_of_options_works_or_is_refused_by_name() {
    let path = test_path!("a_host_that_tries_all_pairs");
    let plain = host::command(path);
    let mut command = Command::new("/proc/self/exe");
    command.args(plain.get_args()).env("COREPROC_TEST_HOST", path).pty(PtyOptions::default());
    let (text, ended) = super::pty::Dialog::start(&service(), &command).end();
    println!("{text}");
    assert!(text.contains("host ran to its end"), "it ran no test");
    assert_eq!(ended.code(), 0);
}
