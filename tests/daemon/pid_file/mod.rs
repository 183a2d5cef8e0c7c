//! PID files: one daemon at a time, whatever file is there, and what a reader concludes from it.

mod acquire;
mod contention;
mod liveness;
mod locks;
mod trust;

use coreproc::{ErrorKind, PidFile, PidRead, PidState, read_pid};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::SystemTime;
use support::*;

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("it.pid");
    (dir, path)
}

fn held(path: &Path) -> PidFile {
    let file = PidFile::new(path);
    file.acquire().expect("acquire");
    file
}

#[track_caller]
fn refused(path: &Path) -> (ErrorKind, String) {
    let error = PidFile::new(path).acquire().expect_err("acquired");
    (error.kind(), error.to_string())
}

#[track_caller]
fn state(path: &Path) -> (PidState, Option<i32>) {
    let PidRead { state, pid, reason } = read_pid(path).expect("read");
    assert_eq!(reason.is_empty(), state == PidState::Alive && pid.is_some(), "{reason}");
    (state, pid)
}

/// Another process, which lives while this does.
struct Other(std::process::Child);

impl Other {
    fn start() -> Other {
        let mut child = std::process::Command::new("sh");
        let child = child.args(["-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().expect("spawn");
        // The process runs by now.
        let mut byte = [0];
        child.stdout.as_mut().expect("stdout").read_exact(&mut byte).expect("a byte");
        Other(child)
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes a PID file as the pure Go module leaves it: a number, and no lock.
fn go_file(path: &Path, text: &str, written: SystemTime) {
    fs::write(path, text).expect("write");
    File::options().write(true).open(path).expect("open").set_modified(written).expect("set time");
}

hosted_part! {
    /// Holds the file until it is killed.
    fn a_host_that_holds() {
        let path = PathBuf::from(std::env::var_os("PID_FILE").expect("set"));
        let _file = held(&path);
        println!("held");
        thread::park();
    }
}

/// Holds a file until it is killed.
const HOLDER: &str = test_path!("a_host_that_holds");

fn start_holder(path: &Path) -> host::Running {
    host::Running::start(host::command(HOLDER).env("PID_FILE", path), "held")
}
