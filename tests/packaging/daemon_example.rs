//! The C examples of a daemon: one program serves, another finds and stops it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use support::c_program::soname;
use support::lossy;
use support::tree::{Scratch, library, root, tool};

fn build(name: &str, scratch: &Scratch) -> PathBuf {
    let program = scratch.path().join(name);
    let linked = scratch.path().join(soname(&library()));
    if !linked.exists() {
        symlink(library(), &linked).expect("symlink");
    }
    tool(
        Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
            .arg(root().join("include"))
            .arg(root().join("bindings/c/examples").join(name).with_extension("c"))
            .arg("-o")
            .arg(&program)
            .arg(linked)
            .arg(format!("-Wl,-rpath,{}", scratch.path().display())),
    );
    program
}

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(program: &PathBuf, dir: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.arg(dir).env_remove("LD_LIBRARY_PATH").stdin(Stdio::null());
    command
}

fn says(output: &Output) -> String {
    format!("{}\n{}{}", output.status, lossy(&output.stdout), lossy(&output.stderr))
}

#[test]
fn a_daemon_is_found_asked_and_stopped_by_another_program() {
    let scratch = Scratch::new("daemon-example");
    let (daemon, daemonctl) = (build("daemon", &scratch), build("daemonctl", &scratch));
    let dir = scratch.path().join("kept");
    fs::create_dir(&dir).expect("directory");
    let output = fs::File::create(scratch.path().join("daemon.out")).expect("output");

    let mut serving = Running(command(&daemon, &dir).stdout(output).spawn().expect("daemon"));
    let asked = command(&daemonctl, &dir).output().expect("daemonctl");

    assert!(asked.status.success(), "{}", says(&asked));
    let said = lossy(&asked.stdout);
    let found = format!("daemonctl: coreproc-examples/daemon, PID {}, at 127.0.0.1:", serving.0.id());
    assert!(said.starts_with(&found) && said.contains(": ok\n"), "{said}");
    assert!(said.ends_with("it has stopped, and is registered no more\n"), "{said}");
    assert!(serving.0.wait().expect("wait").success(), "stopped as asked");
    let served = fs::read_to_string(scratch.path().join("daemon.out")).expect("output");
    assert!(served.starts_with("daemon: serves http://127.0.0.1:") && served.ends_with("has stopped\n"), "{served}");
    assert!(!dir.join("daemon.pid").exists(), "the PID file has gone");
}

#[test]
fn a_second_daemon_says_who_holds_the_pid_file() {
    let scratch = Scratch::new("daemon-example-twice");
    let (daemon, daemonctl) = (build("daemon", &scratch), build("daemonctl", &scratch));
    let dir = scratch.path().join("kept");
    fs::create_dir(&dir).expect("directory");
    let output = fs::File::create(scratch.path().join("daemon.out")).expect("output");
    let mut serving = Running(command(&daemon, &dir).stdout(output).spawn().expect("daemon"));
    // The daemon holds its PID file when it has printed its address.
    while !fs::read_to_string(scratch.path().join("daemon.out")).expect("output").contains('\n') {
        assert!(serving.0.try_wait().expect("wait").is_none(), "the daemon ended");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }

    let second = command(&daemon, &dir).output().expect("daemon");

    assert!(!second.status.success());
    let why = lossy(&second.stderr);
    assert!(why.contains("daemon.pid") && why.contains(&serving.0.id().to_string()), "{why}");
    let asked = command(&daemonctl, &dir).output().expect("daemonctl");
    assert!(asked.status.success(), "the first one was not harmed: {}", says(&asked));
    assert!(serving.0.wait().expect("wait").success());
}

#[test]
fn the_demo_runs_the_pair() {
    let scratch = Scratch::new("daemon-demo");
    build("daemon", &scratch);
    build("daemonctl", &scratch);
    let said = tool(Command::new(root().join("tools/demo-daemon")).arg(scratch.path()).env_remove("LD_LIBRARY_PATH"));
    assert!(said.contains("daemon: has stopped\n") && said.contains("registered no more\n"), "{said}");
}
