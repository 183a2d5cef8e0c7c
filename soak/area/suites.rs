//! The behaviour tests that have counts, as `make test` builds them, at the full counts: a row for each suite, with the
//! number of tests that failed.

use crate::Fallible;
use crate::row::Rows;
use std::process::Command;

/// A test binary, and the module of it; an empty one is the whole binary. A suite belongs here when COREPROC_SCALE
/// changes what it does.
const SUITES: &[(&str, &str)] = &[
    ("process", "exit"),
    ("process", "output"),
    ("process", "detach"),
    ("process", "command"),
    ("process", "spawn_errors"),
    ("process", "stop"),
    ("events", "lines"),
    ("events", "drive"),
    ("races", ""),
    ("host", "conditions"),
    ("host", "leaks"),
    ("host", "faults"),
    ("host", "ladder"),
    ("daemon", "health"),
    ("daemon", "pid_file"),
    ("daemon", "registry"),
    ("daemon", "life"),
    ("pipeline", "run"),
    ("pipeline", "hosts"),
    ("pipeline", "json"),
    ("pipeline", "model"),
];

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let scale = std::env::var("COREPROC_SCALE").unwrap_or_default();
    for (binary, module) in SUITES {
        let suite = format!("{binary} {module}").trim_end().to_owned();
        eprintln!("  {suite}");
        let mut command = Command::new(&cargo);
        command.args(["test", "--no-fail-fast", "--test", binary]);
        if !module.is_empty() {
            command.arg(format!("{module}::"));
        }
        count_failed(rows, &mut command, &format!("suite {suite} at scale {scale}"), "test result: ")?;
    }
    Ok(())
}

/// Runs tests at the root, and makes a row of how many failed. `prefix` begins the line with the counts.
pub(super) fn count_failed(rows: &mut Rows, tests: &mut Command, what: &str, prefix: &str) -> Fallible<()> {
    let output = tests.current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (passed, failed) = outcome(&text, prefix);
    let named = format!("{what}: failed of {} tests", passed + failed);
    if output.status.success() && passed > 0 {
        rows.none(named, failed);
    } else {
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        // A suite that could not be run has failed, too.
        rows.none(named, failed.max(1));
    }
    Ok(())
}

/// Returns how many passed and failed, by the last line with counts: hosts of their own print such lines before it.
pub(super) fn outcome(text: &str, prefix: &str) -> (u32, u32) {
    let counts = text.lines().filter_map(|line| line.strip_prefix(prefix)).next_back().unwrap_or_default();
    let number = |what: &str| {
        let part = counts.split([';', '.', ',']).find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    (number("passed"), number("failed"))
}
