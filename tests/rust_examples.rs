//! The programs in `examples/`, each run as a newcomer would run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Makes a command that runs the program of this name, as cargo builds it now: `cargo test --test rust_examples` alone
/// builds no examples.
fn example(name: &str) -> Command {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    let examples = EXAMPLES.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--examples", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(target_directory())
            .status()
            .expect("cargo");
        assert!(built.success(), "cargo build --examples: {built}");
        target_directory().join("debug/examples")
    });
    let mut command = Command::new(examples.join(name));
    command.stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

fn target_directory() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns what a program wrote to its standard output; it must have ended with this code and written nothing to
/// standard error.
fn said(output: &Output, code: i32) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), err.as_str()), (Some(code), ""), "{out}");
    out
}

#[test]
fn run_and_capture_says_how_a_command_ended_and_what_it_wrote() {
    let run = |script| {
        let output = example("run_and_capture").args(["sh", "-c", script]).output().expect("run_and_capture");
        said(&output, 0)
    };
    assert_eq!(run("echo hello; exit 3"), "exit code 3\n6 bytes on stdout, 0 on stderr\nhello\n");
    assert_eq!(run("kill -USR1 $$"), "signal 10\n0 bytes on stdout, 0 on stderr\n");
}

#[test]
fn stream_lines_keeps_the_lines_of_each_process_in_order() {
    let output = said(&example("stream_lines").output().expect("stream_lines"), 0);
    for name in ["north", "east", "south"] {
        let of = |mark: &str| -> Vec<&str> {
            let start = format!("{name:5} {mark} ");
            output.lines().filter_map(|line| line.strip_prefix(&start)).collect()
        };
        assert_eq!(of("|"), [1, 2, 3].map(|line| format!("{name} {line}")), "{output}");
        assert_eq!(of("!"), [format!("{name} is done")], "{output}");
        let last = output.lines().rfind(|line| line.starts_with(name));
        assert_eq!(last, Some(format!("{name:5} ended: Code(0)").as_str()), "{output}");
    }
    assert_eq!(output.lines().count(), 15, "{output}");
}

#[test]
fn stop_tree_ends_a_process_that_ignores_sigterm_and_its_child() {
    let output = said(&example("stop_tree").output().expect("stop_tree"), 0);
    let stopped = "Stopped by Signal { signal: 9, core_dumped: false }\n";
    assert_eq!(output, format!("{stopped}0 processes still hold its output\n"));
}

#[test]
fn pipeline_progress_shows_each_spec_and_ends_well_though_one_failure_was_allowed() {
    let output = said(&example("pipeline_progress").output().expect("pipeline_progress"), 0);
    let (shown, ended) = output.split_once("\n\n").expect("a view, and below it the report");
    for line in ["fetch | 3 files", "build | compiling", "test  | 2 tests passed", "lint  | line 7 is too long"] {
        assert!(shown.lines().any(|shown| shown == line), "{output}");
    }
    assert_eq!(ended, "fetch  Passed \nbuild  Passed \ntest   Passed \nlint   Failed exit code 1\n");
}

#[cfg(feature = "health")]
mod daemon {
    use std::fs;
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::example;

    /// A program that does not outlive its test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn daemon_answers_until_sigterm_and_gives_everything_back() {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("directory");
        let mut command = example("daemon");
        command.arg(directory.path()).stdout(Stdio::piped());
        let mut daemon = Running(command.spawn().expect("daemon"));
        let mut output = BufReader::new(daemon.0.stdout.take().expect("stdout"));

        let mut line = String::new();
        output.read_line(&mut line).expect("the address");
        let address = line.trim_end().strip_prefix("http://").and_then(|rest| rest.strip_suffix("/health"));
        let probe = coreproc::probe_health(address.expect(&line), Duration::from_secs(10));
        assert!(probe.ok, "{}", probe.reason);
        let held = fs::read_to_string(directory.path().join("daemon.pid")).expect("PID file");
        assert_eq!(held, daemon.0.id().to_string());

        let killed = Command::new("kill").arg(daemon.0.id().to_string()).status().expect("kill");
        assert!(killed.success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("the rest");
        assert_eq!(rest, "stopped\n");
        assert!(daemon.0.wait().expect("wait").success());
        assert!(!directory.path().join("daemon.pid").exists(), "the PID file was released");
    }
}
