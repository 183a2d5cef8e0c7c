//! The Go tests, in each way `tools/test-go` knows, with full counts and again and again: a row for each way.

use crate::Fallible;
use crate::row::Rows;
use std::process::Command;

const WAYS: [&str; 4] = ["plain", "race", "cgocheck2", "gcstress"];

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    for way in WAYS {
        eprintln!("  {way}");
        let output = Command::new("make")
            .args(["--no-print-directory", "soak-go", &format!("ONLY={way}")])
            // An ONLY of the make that we are run by would come before ours.
            .env_remove("MAKEFLAGS")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (passed, failed) = outcome(&text, way);
        let named = format!("Go tests, {way}: failed of {}", passed + failed);
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

/// Of the line `go, WAY: 6 passed, 0 failed, 0 skipped …`.
fn outcome(text: &str, way: &str) -> (u32, u32) {
    let counts =
        text.lines().filter_map(|line| line.strip_prefix("go, ")?.strip_prefix(way)?.strip_prefix(": ")).next_back();
    let number = |what: &str| {
        let part = counts.unwrap_or_default().split(',').find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    (number("passed"), number("failed"))
}
