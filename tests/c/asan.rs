//! The themes with AddressSanitizer and LeakSanitizer in the C program and in the library; and the proof that they
//! are on.
//!
//! gcc and rustc each bring an ASan runtime, and a process can have one only. Both instrument against the same interface
//! (`__asan_version_mismatch_check_v8`), so C is compiled by gcc with `-fsanitize=address` but linked without it, against
//! rustc's runtime, which is the newer one; the program exports it to the library.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::builds::{self, TARGET, rustc};

use crate::themes::themes;
use support::c_program::{Linkage, Outcome, expect_tap, run, scale};
use support::tree::{Scratch, tool};

fn runtime() -> PathBuf {
    let directory = tool(rustc().args(["--print", "target-libdir", "--target", TARGET]));
    let directory = Path::new(directory.trim());
    let names = ["librustc-stable_rt.asan.a", "librustc-nightly_rt.asan.a", "librustc-beta_rt.asan.a"];
    let found = names.iter().map(|name| directory.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no ASan runtime in {}", directory.display()))
}

/// Links a C program with the sanitized library and the runtime they share.
fn linkage() -> Linkage<'static> {
    let text = |arg: &str| arg.to_owned();
    Linkage {
        library: builds::sanitized(),
        compile: vec![text("-fsanitize=address"), text("-fno-omit-frame-pointer")],
        link: vec![
            text("-Wl,--whole-archive"),
            runtime().display().to_string(),
            text("-Wl,--no-whole-archive"),
            text("-rdynamic"),
            text("-ldl"),
            text("-lrt"),
            text("-lm"),
        ],
    }
}

/// Runs a program of `tests/c`. Returns its outcome, in which the report of the sanitizer follows the program's output,
/// and that report.
fn sanitized(program: &str, arguments: &[&str], scratch: &Scratch) -> (Outcome, String) {
    let program = linkage().build(program, scratch);
    let log = scratch.path().join("asan");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("COREPROC_UNDER", "asan")
        .env("COREPROC_SCALE", scale(0.3))
        // The reports go to files, because some tests close fd 2.
        .env(
            "ASAN_OPTIONS",
            format!("exitcode=98:detect_leaks=1:detect_stack_use_after_return=1:log_path={}", log.display()),
        );
    let mut outcome = run(&mut command, scratch);
    let entries = fs::read_dir(scratch.path()).expect("scratch directory").flatten();
    let reports = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("asan."));
    let reports: Vec<String> = reports.map(|entry| fs::read_to_string(entry.path()).expect("a report")).collect();
    write!(outcome.said, "{}", reports.concat()).expect("a string");
    (outcome, reports.iter().flat_map(|report| report.lines()).filter(|line| !is_notice(line)).collect())
}

/// Returns whether a line is the notice that a child runs, between clone and exec, on a stack that the sanitizer does
/// not know. It comes once.
fn is_notice(line: &str) -> bool {
    [
        "WARNING: ASan is ignoring requested __asan_handle_no_return",
        "False positive error reports may follow",
        "/sanitizers/issues/189",
    ]
    .iter()
    .any(|notice| line.contains(notice))
}

fn under_asan(theme: &str) {
    let scratch = Scratch::new(theme);
    let (outcome, reports) = sanitized(theme, &[], &scratch);
    assert!(reports.is_empty(), "{}", outcome.said);
    expect_tap(&outcome, builds::sanitized());
}

themes!(under_asan: arguments callbacks contain control credentials daemon detach errors fork health host host_fds host_reaps identity layout log output pipeline process pty report ring service stdin
    subscription thousand threads;
    not every_call); // its descriptors and memory are the sanitizer's, too

#[test]
fn panics_come_back_as_errors() {
    under_asan("panic");
}

/// Makes a mistake on purpose; checks that the report is the expected one and that the program fails.
fn is_found(mistake: &str, report: &str, survives: bool) {
    let scratch = Scratch::new(mistake);
    let (outcome, reports) = sanitized("asan_probe", &[mistake], &scratch);
    assert!(!outcome.success && reports.contains(report), "{}", outcome.said);
    assert_eq!(outcome.said.contains("survived"), survives, "{}", outcome.said);
}

mod asan_is_on {
    use super::*;

    #[test]
    fn and_finds_nothing_where_nothing_is() {
        let scratch = Scratch::new("none");
        let (outcome, reports) = sanitized("asan_probe", &["none"], &scratch);
        assert!(outcome.success && reports.is_empty() && outcome.said.contains("survived"), "{}", outcome.said);
    }

    #[test]
    fn for_a_use_after_free_in_c() {
        is_found("c-use-after-free", "AddressSanitizer: heap-use-after-free", false);
    }

    #[test]
    fn for_a_use_after_free_in_rust() {
        is_found("rust-use-after-free", "AddressSanitizer: heap-use-after-free", false);
    }

    #[test]
    fn for_a_leak_in_c() {
        is_found("c-leak", "LeakSanitizer: detected memory leaks", true);
    }

    #[test]
    fn for_a_leak_in_rust() {
        is_found("rust-leak", "LeakSanitizer: detected memory leaks", true);
    }
}
