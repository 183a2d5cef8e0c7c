//! Runs a theme under valgrind's memcheck.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::c_program::{Linkage, Outcome, expect_tap, run, scale};
use support::tree::Scratch;

/// Checks that a theme, with this library, has no invalid access, no use of undefined bytes and no definite leak.
pub(crate) fn passes(theme: &str, library: &Path) {
    let scratch = Scratch::new(theme);
    let program = Linkage::plain(library).build(theme, &scratch);
    let (outcome, log) = memcheck(&program, &scratch);
    assert!(outcome.success && log.contains("ERROR SUMMARY: 0 errors"), "{}\n{log}", outcome.said);
    expect_tap(&outcome, library);
}

fn memcheck(program: &Path, scratch: &Scratch) -> (Outcome, String) {
    let log = scratch.path().join("valgrind.log");
    let mut command = Command::new("valgrind");
    command
        .args([
            "--error-exitcode=99",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
        ])
        // Without it, threads that only wait would starve the others.
        .arg("--fair-sched=yes")
        // A fork ends without its parent's threads, whose memory would look lost; what it does is checked by the test.
        .arg("--child-silent-after-fork=yes")
        .arg("--num-callers=30")
        .arg(format!("--log-file={}", log.display()))
        .arg(program)
        .env("COREPROC_UNDER", "valgrind")
        .env("COREPROC_SCALE", scale(0.1));
    let outcome = run(&mut command, scratch);
    (outcome, fs::read_to_string(log).expect("valgrind's log"))
}
