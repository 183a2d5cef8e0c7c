//! Compiles and runs C programs. Each is linked with exactly one `libcoreproc.so`, says which one it loaded, and leaves
//! no process behind.

use crate::tree::{Scratch, root, tool};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A guard against hanging, never a measure.
const DEADLINE: Duration = Duration::from_secs(1200);

/// The variable that is set for each program; a process that still carries it afterwards was left behind.
const MARK: &str = "COREPROC_TEST_MARK";

pub fn cc() -> Command {
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-pthread"]);
    cc.arg("-I").arg(root().join("include"));
    cc
}

pub fn soname(library: &Path) -> String {
    let dynamic = tool(Command::new("readelf").arg("-dW").arg(library));
    let line = dynamic.lines().find(|line| line.contains("(SONAME)")).expect("a SONAME");
    line.split(['[', ']']).nth(1).expect("[name]").to_owned()
}

/// The library that C programs are linked with, under its SONAME, and the flags for it.
pub struct Linkage<'a> {
    pub library: &'a Path,
    pub compile: Vec<String>,
    pub link: Vec<String>,
}

impl<'a> Linkage<'a> {
    pub fn plain(library: &'a Path) -> Linkage<'a> {
        Linkage { library, compile: Vec::new(), link: Vec::new() }
    }

    /// Compiles `tests/c/{theme}.c` into the scratch directory; the loader finds the library there, under its SONAME.
    pub fn build(&self, theme: &str, scratch: &Scratch) -> PathBuf {
        self.compile(&root().join("tests/c").join(format!("{theme}.c")), theme, scratch)
    }

    /// Does the same for any source file.
    pub fn compile(&self, source: &Path, name: &str, scratch: &Scratch) -> PathBuf {
        let object = scratch.path().join(format!("{name}.o"));
        let program = scratch.path().join(name);
        let library = scratch.path().join(soname(self.library));
        if !library.exists() {
            symlink(self.library, &library).expect("symlink");
        }
        tool(cc().args(&self.compile).arg("-c").arg(source).arg("-o").arg(&object));
        let rpath = format!("-Wl,-rpath,{}", scratch.path().display());
        tool(cc().arg(&object).arg("-o").arg(&program).args(&self.link).arg(library).arg(rpath));
        program
    }
}

/// How a program ended, and everything it printed.
pub struct Outcome {
    pub success: bool,
    pub said: String,
}

/// Runs a program to its end in its own process group and scratch directory.
pub fn run(command: &mut Command, scratch: &Scratch) -> Outcome {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = scratch.path().join(format!("output-{mark}"));
    // The output goes to a file, not a pipe: a process left behind could hold a pipe open.
    let output = File::create(&path).expect("output file");
    let mut child = command
        .current_dir(scratch.path())
        .env_remove("LD_LIBRARY_PATH") // cargo's own would win over the rpath
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("output file"))
        .stderr(output)
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let started = Instant::now();
    let status = loop {
        match child.try_wait().expect("wait") {
            Some(status) => break Some(status),
            None if started.elapsed() > DEADLINE => break None,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    if status.is_none() {
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
    let mut said = String::from_utf8_lossy(&fs::read(&path).expect("output file")).into_owned();
    match status {
        Some(status) => writeln!(said, "[{status}]"),
        None => writeln!(said, "[did not end within {DEADLINE:?}]"),
    }
    .expect("a string");
    let left = left_behind(&mark);
    if !left.is_empty() {
        writeln!(said, "[left behind: {left:?}]").expect("a string");
    }
    Outcome { success: status.is_some_and(|status| status.success()) && left.is_empty(), said }
}

/// Kills and returns the processes that still carry the mark after ten seconds.
fn left_behind(mark: &str) -> Vec<(i32, String)> {
    let started = Instant::now();
    loop {
        let left = marked(mark);
        if left.is_empty() {
            return left;
        }
        if started.elapsed() > Duration::from_secs(10) {
            for (pid, _) in &left {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
            return left;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn marked(mark: &str) -> Vec<(i32, String)> {
    let entry = format!("{MARK}={mark}");
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let mut environ = Vec::new();
        let file = File::open(format!("/proc/{pid}/environ"));
        file.is_ok_and(|mut file| file.read_to_end(&mut environ).is_ok())
            && environ.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    })
    .map(|pid| (pid, fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()))
    .collect()
}

/// Checks that a TAP output is whole: the right library, the right sums, no failure.
pub fn expect_tap(outcome: &Outcome, library: &Path) {
    let said = &outcome.said;
    let passed = said.lines().filter(|line| line.starts_with("ok - ")).count();
    let sums = format!("{passed} passed, 0 failed");
    let loaded = said.lines().find_map(|line| line.strip_prefix("# library: ")).unwrap_or("");
    assert!(outcome.success && passed > 0 && said.lines().any(|line| line == sums), "{said}");
    assert_eq!(
        fs::canonicalize(loaded).expect("the library it loaded"),
        fs::canonicalize(library).expect("the library it should load"),
    );
    // With `--nocapture`, this shows the counts and figures that the tests print.
    for line in said.lines().filter(|line| line.starts_with("# ")) {
        println!("{line}");
    }
}

/// Returns `COREPROC_SCALE` times `share`, for modes that run slower.
pub fn scale(share: f64) -> String {
    let scale = std::env::var("COREPROC_SCALE").ok().filter(|scale| !scale.is_empty());
    let scale: f64 = scale.map_or(1.0, |scale| scale.parse().expect("COREPROC_SCALE is a number"));
    (scale * share).to_string()
}
