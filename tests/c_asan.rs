//! The C tests with AddressSanitizer and LeakSanitizer in both, the C program and the library; and the proof that they
//! are on.

#[path = "c/driver.rs"]
mod driver;
#[path = "c/sanitizer.rs"]
mod sanitizer;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use driver::{Outcome, Scratch, expect_tap, run, scale, themes};

/// Runs a program of `tests/c`; also what the sanitizer reported, which stands behind what the program said as well.
fn sanitized(program: &str, arguments: &[&str], scratch: &Scratch) -> (Outcome, String) {
    let program = sanitizer::linkage().build(program, scratch);
    let log = scratch.path().join("asan");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("COREPROC_UNDER", "asan")
        .env("COREPROC_SCALE", scale(0.3))
        // Files: some tests close fd 2.
        .env(
            "ASAN_OPTIONS",
            format!("exitcode=98:detect_leaks=1:detect_stack_use_after_return=1:log_path={}", log.display()),
        );
    let mut outcome = run(&mut command, scratch);
    let entries = fs::read_dir(scratch.path()).expect("scratch folder").flatten();
    let reports = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("asan."));
    let reports: Vec<String> = reports.map(|entry| fs::read_to_string(entry.path()).expect("a report")).collect();
    write!(outcome.said, "{}", reports.concat()).expect("a string");
    (outcome, reports.iter().flat_map(|report| report.lines()).filter(|line| !is_notice(line)).collect())
}

/// Between clone and exec a child runs on a stack that the sanitizer does not know, and it says so, once.
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
    expect_tap(&outcome, sanitizer::sanitized());
}

themes!(under_asan: arguments callbacks control daemon detach errors fork health host host_fds host_reaps layout output pipeline process report ring service stdin
    subscription thousand threads;
    not every_call); // its descriptors and memory are the sanitizer's, too

#[test]
fn panics_come_back_as_errors() {
    under_asan("panic");
}

/// Makes a mistake on purpose; the report must be the one expected, and the program must fail.
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
