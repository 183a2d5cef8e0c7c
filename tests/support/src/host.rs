//! Hosts of their own: a test that changes or counts what belongs to the whole process runs this test binary again,
//! for that test alone.

use super::{guard_for_counts, lossy, os};
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const NAME: &str = "COREPROC_TEST_HOST";
const DONE: &str = "host ran to its end";

/// The full name of a test of the module in which this stands, for [`command`] and its variants.
#[macro_export]
macro_rules! test_path {
    ($name:expr) => {
        concat!(module_path!(), "::", $name)
    };
}

/// A test whose body runs in a process of its own.
#[macro_export]
macro_rules! hosted {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            let path = $crate::test_path!(stringify!($name));
            if $crate::host::inside(path) {
                $body
                $crate::host::done();
            } else {
                $crate::host::run(path);
            }
        }
    )*};
}

/// A body that runs only in a host that another test starts; run by itself it does nothing.
#[macro_export]
macro_rules! hosted_part {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            if $crate::host::inside($crate::test_path!(stringify!($name))) {
                $body
                $crate::host::done();
            }
        }
    )*};
}

pub fn inside(test: &str) -> bool {
    env::var_os(NAME).is_some_and(|name| name == test)
}

/// Prints that the body ran to its end, so that a host that ran no test does not pass.
pub fn done() {
    println!("{DONE}");
}

/// Makes the command that runs `test` in a host, for tests that set more than [`run`] does.
pub fn command(test: &str) -> Command {
    // The harness leaves the name of the binary out.
    let (_, name) = test.split_once("::").expect("a path by test_path!");
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(NAME, test).stdin(Stdio::null());
    command
}

/// Does the same in a PID namespace of its own, with its own /proc: a test can choose PIDs there without harm to other
/// processes. None if we may not make one.
pub fn command_with_own_pids(test: &str) -> Option<Command> {
    command_in_namespaces(test, &["--pid", "--fork", "--kill-child", "--mount-proc"])
}

/// Does the same, but with the /proc of this namespace, as after unshare(CLONE_NEWPID) alone.
pub fn command_with_own_pids_alone(test: &str) -> Option<Command> {
    command_in_namespaces(test, &["--pid", "--fork", "--kill-child"])
}

/// Does the same in the namespaces that these options of unshare(1) make. None if we may not make them.
pub fn command_in_namespaces(test: &str, options: &[&str]) -> Option<Command> {
    // Root may make them, and any user may in a user namespace, if that is allowed.
    let ways: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let command = ways.iter().find_map(|way| {
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(*way).args(options).stdin(Stdio::null());
            command
        };
        let tried = unshare().arg("true").output();
        tried.is_ok_and(|tried| tried.status.success()).then(unshare)
    });
    let Some(mut command) = command else {
        println!("NOT TESTED: namespaces by {options:?} cannot be made here, neither as root nor in a user namespace");
        return None;
    };
    let plain = self::command(test);
    command.arg(env::current_exe().expect("path")).args(plain.get_args()).env(NAME, test);
    Some(command)
}

/// A host that does not outlive its test.
pub struct Running(pub std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a host and waits until it has printed this line.
    pub fn start(command: &mut Command, line: &str) -> Running {
        let mut host = Running(command.stdout(Stdio::piped()).spawn().expect("host"));
        let mut said = BufReader::new(host.0.stdout.take().expect("stdout")).lines();
        assert!(said.any(|said| said.expect("read").ends_with(line)), "the host ended");
        host
    }
}

/// Runs `test` in a host. Prints and returns what it printed.
#[track_caller]
pub fn run(test: &str) -> String {
    run_command(command(test))
}

#[track_caller]
pub fn run_command(mut command: Command) -> String {
    // The output goes to a file, not a pipe: processes that a host leaves behind must not keep this test waiting.
    let mut output = tempfile::tempfile().expect("tempfile");
    let same = |file: &File| file.try_clone().expect("dup");
    let mut host = command.stdout(same(&output)).stderr(same(&output)).spawn().expect("host");
    let watch = os::pidfd(host.id() as i32).expect("pidfd");
    let in_time = os::readable(&watch, 2 * guard_for_counts());
    if !in_time {
        host.kill().expect("kill");
    }
    let status = host.wait().expect("wait");
    let mut bytes = Vec::new();
    output.rewind().expect("rewind");
    output.read_to_end(&mut bytes).expect("read");
    let text = lossy(&bytes);
    print!("{text}");
    assert!(in_time, "the host hung");
    assert!(status.success(), "the host ended with {:?}, signal {:?}", status.code(), status.signal());
    assert!(text.contains(DONE), "the host ran no test");
    text
}
