//! The C tests under valgrind's memcheck: no invalid access, no use of undefined bytes, no definite leak.
//!
//! Valgrind 3.19 knows neither clone3 nor the pidfd calls, so this is also a run on the oldest kernel we support.

#[path = "c/driver.rs"]
mod driver;

use std::fs;
use std::path::Path;
use std::process::Command;

use driver::{Linkage, Outcome, Scratch, expect_tap, library, run, scale, themes};

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
        // Threads that only wait would starve the others otherwise.
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

fn under_valgrind(theme: &str) {
    let (scratch, library) = (Scratch::new(theme), library());
    let program = Linkage::plain(&library).build(theme, &scratch);
    let (outcome, log) = memcheck(&program, &scratch);
    assert!(outcome.success && log.contains("ERROR SUMMARY: 0 errors"), "{}\n{log}", outcome.said);
    expect_tap(&outcome, &library);
}

themes!(under_valgrind: arguments callbacks control daemon detach errors fork health host host_fds host_reaps layout output pipeline process report ring service stdin
    subscription threads;
    not thousand); // its threads and context switches would be valgrind's own
