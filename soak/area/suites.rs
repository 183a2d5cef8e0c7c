//! The behaviour tests that have counts, as `make test` builds them, at the full counts: a row for each suite, with the
//! number of tests that failed.

use crate::Fallible;
use crate::row::Rows;
use std::process::Command;

/// Each is `tests/NAME.rs`. A suite belongs here when COREPROC_SCALE changes what it does.
const SUITES: &[&str] = &[
    "exit",
    "output",
    "lines",
    "detach",
    "command",
    "races",
    "hosts",
    "leaks",
    "spawn_errors",
    "faults",
    "ladder",
    "stop",
    "health",
    "health_client",
    "health_host",
    "pid_file",
    "registry",
    "daemon",
    "drive",
    "pipeline",
    "pipeline_hosts",
    "pipeline_json",
    "pipeline_model",
];

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let scale = std::env::var("COREPROC_SCALE").unwrap_or_default();
    for suite in SUITES {
        eprintln!("  {suite}");
        let output = Command::new(&cargo)
            .args(["test", "--no-fail-fast", "--test", suite])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (passed, failed) = outcome(&text);
        let named = format!("suite {suite} at scale {scale}: failed of {} tests", passed + failed);
        if output.status.success() && passed > 0 {
            rows.none(named, failed);
        } else {
            eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
            // One that could not be run has failed too.
            rows.none(named, failed.max(1));
        }
    }
    Ok(())
}

/// The last sums: hosts of their own print some, too, before it.
fn outcome(text: &str) -> (u32, u32) {
    let sums = text.lines().filter_map(|line| line.strip_prefix("test result: ")).next_back().unwrap_or_default();
    let number = |what: &str| {
        let part = sums.split([';', '.']).find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    (number("passed"), number("failed"))
}
