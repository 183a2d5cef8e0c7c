//! The Go tests in each way that `tools/test-go` knows, against each Core, with full counts, many times: a row for
//! each.

use super::suites::count_failed;
use crate::Fallible;
use crate::row::Rows;
use std::process::Command;

const CORES: [&str; 2] = ["v0.4.7", "v0.8.0-alpha.1"];
const WAYS: [&str; 4] = ["plain", "race", "cgocheck2", "gcstress"];

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    for core in CORES {
        for way in WAYS {
            eprintln!("  {way}, Core {core}");
            let mut command = Command::new("make");
            command.args(["--no-print-directory", "soak-go", &format!("ONLY={way}"), &format!("CORE={core}")]);
            // The ONLY of the make that runs this would win over ours.
            command.env_remove("MAKEFLAGS");
            let what = format!("Go tests, {way}, Core {core}");
            count_failed(rows, &mut command, &what, &format!("go, {way}, Core {core}: "))?;
        }
    }
    Ok(())
}
