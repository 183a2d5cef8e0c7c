//! What the behaviour tests share: the child program, waiting for events, hosts of their own.
//!
//! Each test binary uses a part of it.
#![allow(dead_code, unused_imports, unreachable_pub)]

pub mod census;
pub mod events;
pub mod fifo;
pub mod host;
#[cfg(feature = "health")]
pub mod net;
pub mod os;
pub mod pattern;
pub mod seccomp;
pub mod trace;

use coreproc::{Cause, Command, Error, ErrorKind, ExitStatus, Info, Process, Service, ServiceOptions};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Guards against hanging; no test passes or fails by how fast something was.
pub const GUARD: Duration = Duration::from_secs(120);
pub const GUARDED: Option<Duration> = Some(GUARD);

/// The child program, compiled once; static, so that the dynamic loader is not what is tested.
pub fn child() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/child.c");
        let mut hash = DefaultHasher::new();
        std::fs::read(&source).expect("child.c").hash(&mut hash);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = dir.join(format!("child-{:016x}", hash.finish()));
        if !program.exists() {
            // Other test binaries may be doing the same: each builds its own, the name appears whole.
            let mine = dir.join(format!("child-{}.tmp", std::process::id()));
            let status = std::process::Command::new("cc")
                .args(["-O2", "-static", "-Wall", "-Wextra", "-o"])
                .args([&mine, &source])
                .status()
                .expect("cc");
            assert!(status.success(), "cc: {status}");
            std::fs::rename(&mine, &program).expect("rename");
        }
        program
    })
}

/// A copy of the child program in `dir` that runs as root, whoever starts it: its verb `user` makes it anybody's.
pub fn child_of_root(dir: &Path) -> PathBuf {
    let program = dir.join("child-of-root");
    std::fs::copy(child(), &program).expect("copy");
    for (path, mode) in [(dir, 0o755), (&program, 0o4755)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("chmod");
    }
    program
}

/// The child program with these verbs.
pub fn tool<S: AsRef<OsStr>>(verbs: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(child());
    command.args(verbs);
    command
}

/// The child program with the words of `script`; for verbs whose arguments have no blanks.
pub fn script(script: &str) -> Command {
    tool(script.split_whitespace())
}

pub fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

pub fn service() -> Service {
    Service::new(ServiceOptions::default()).expect("service")
}

pub trait Ends {
    fn cause(&self) -> Option<Cause>;
}

impl Ends for Info {
    fn cause(&self) -> Option<Cause> {
        self.ending.map(|ending| ending.cause)
    }
}

#[derive(Debug)]
pub struct Ended {
    pub info: Info,
    pub output: Vec<u8>,
}

impl Ended {
    pub fn code(&self) -> i32 {
        match self.info.status() {
            Some(ExitStatus::Code(code)) => code,
            ref other => panic!("no exit code: {other:?}, output {}", lossy(&self.output)),
        }
    }

    pub fn signal(&self) -> i32 {
        match self.info.status() {
            Some(ExitStatus::Signal { signal, .. }) => signal,
            ref other => panic!("no signal: {other:?}, output {}", lossy(&self.output)),
        }
    }

    pub fn text(&self) -> String {
        lossy(&self.output)
    }
}

pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn finish(process: &Process) -> Ended {
    let info = process.wait(GUARDED).expect("closed");
    Ended { info, output: process.output().expect("output") }
}

pub fn run(service: &Service, command: &Command) -> Ended {
    finish(&command.spawn(service).expect("spawn"))
}

/// Writes all of it, in as many calls as it takes; `timeout` is for each.
pub fn write_all(process: &Process, mut data: &[u8], timeout: Option<Duration>) -> coreproc::Result<()> {
    while !data.is_empty() {
        data = &data[process.write_stdin(data, timeout)?..];
    }
    Ok(())
}

/// The error of a spawn that must fail.
pub fn refused(service: &Service, command: &Command) -> Error {
    match command.spawn(service) {
        Ok(process) => panic!("spawned {}", process.pid()),
        Err(error) => error,
    }
}

/// What went wrong, where something must.
#[track_caller]
pub fn kind_of<T>(result: coreproc::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => error.kind(),
    }
}

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + GUARD;
    while !condition() {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until `condition` holds, for what is counted and not asserted; false where it does not come true.
pub fn settle(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

const DEFAULT_SCALE: f64 = 0.1;

fn scale() -> f64 {
    match std::env::var("COREPROC_SCALE") {
        Ok(text) => text.parse().expect("COREPROC_SCALE is a number"),
        Err(_) => DEFAULT_SCALE,
    }
}

/// [`GUARD`] for as much work as the counts of this run ask for.
pub fn guard_for_counts() -> Duration {
    GUARD.mul_f64((scale() / DEFAULT_SCALE).max(1.0))
}

/// A count of quality.md, reduced by COREPROC_SCALE (1 is the full figure), printed.
pub fn count(what: &str, full: u64) -> u64 {
    let count = ((full as f64 * scale()).round() as u64).max(1);
    println!("count: {what}: {count} of {full}");
    count
}

/// Runs `side` over and over on some threads until `work` is done, or has panicked.
pub fn beside<T>(threads: usize, side: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    side();
                }
            });
        }
        let _stop = Stop(&over);
        work()
    })
}

/// Runs `work(worker, index)` for every index below `total` on `workers` threads; the first panic is passed on.
pub fn in_parallel(workers: u64, total: u64, work: impl Fn(u64, u64) + Sync) {
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..workers {
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= total {
                        break;
                    }
                    work(worker, index);
                }
            });
        }
    });
}
