//! The C examples of a daemon: one runs, the other finds and stops it.

#[path = "c/driver.rs"]
mod driver;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command};

use driver::{Scratch, library, root, run, soname, tool};

fn build(name: &str, scratch: &Scratch) -> PathBuf {
    let program = scratch.path().join(name);
    let mut compile = Command::new("cc");
    compile.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-I"]).arg(root().join("include"));
    compile.arg(root().join("bindings/c/examples").join(name).with_extension("c")).arg("-o").arg(&program);
    compile.arg(scratch.path().join("libcoreproc.so")).arg(format!("-Wl,-rpath,{}", scratch.path().display()));
    tool(&mut compile);
    program
}

/// Does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_is_found_and_stopped_by_a_second_program() {
    let scratch = Scratch::new("daemon-example");
    for name in ["libcoreproc.so".to_owned(), soname(&library())] {
        symlink(library(), scratch.path().join(name)).expect("symlink");
    }
    let (daemon, find) = (build("daemon", &scratch), build("find", &scratch));
    let folder = scratch.path().join("run");
    let mut daemon = Command::new(daemon);
    let mut running = Running(daemon.arg(&folder).env_remove("LD_LIBRARY_PATH").spawn().expect("daemon"));
    let pid = running.0.id();
    let found = run(Command::new(find).arg(&folder), &scratch);
    assert!(found.success, "{}", found.said);
    let lines: Vec<&str> = found.said.lines().collect();
    assert!(lines[0].starts_with(&format!("example/clock is PID {pid}, at 127.0.0.1:")), "{}", found.said);
    assert!(
        lines[1..].starts_with(&["  /ready   ready", "  /health  ok", "  SIGTERM  gone, with its PID file"]),
        "{}",
        found.said
    );
    assert!(running.0.wait().expect("wait").success());
    assert!(!folder.join("clock.pid").exists());
    let left: Vec<_> =
        fs::read_dir(folder.join("daemons")).expect("folder").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(left, [".lock"]);
}
