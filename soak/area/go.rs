//! The Go tests, in each way `tools/test-go` knows, with full counts and again and again: a row for each way.

use super::suites::count_failed;
use crate::Fallible;
use crate::row::Rows;
use std::process::Command;

const WAYS: [&str; 4] = ["plain", "race", "cgocheck2", "gcstress"];

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    for way in WAYS {
        eprintln!("  {way}");
        let mut command = Command::new("make");
        command.args(["--no-print-directory", "soak-go", &format!("ONLY={way}")]);
        // An ONLY of the make that we are run by would come before ours.
        command.env_remove("MAKEFLAGS");
        count_failed(rows, &mut command, &format!("Go tests, {way}"), &format!("go, {way}: "))?;
    }
    Ok(())
}
