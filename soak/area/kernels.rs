//! Real kernels: signals that hit other processes, false statuses, members of groups that are not reached, and C tests
//! that fail, on this kernel and on Linux 6.1 and 6.12 in QEMU.

use super::suites::outcome;
use crate::Fallible;
use crate::row::Rows;
use std::process::Command;

pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
    let mut command = Command::new("make");
    command.args(["--no-print-directory", "test-kernels"]).env_remove("MAKEFLAGS");
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    for figures in text.lines().filter_map(|line| line.strip_prefix("test-kernels: Linux ")) {
        let (kernel, figures) = figures.split_once(": ").ok_or("a kernel without figures")?;
        for what in ["strangers hit", "false statuses", "members unreached"] {
            let figure = figures.split(", ").find_map(|figure| figure.strip_suffix(what));
            let count: u32 = figure.ok_or("a figure is missing")?.trim().parse()?;
            rows.none(format!("{kernel}: {what}, of {}", figures.split(", ").next().unwrap_or_default()), count);
        }
    }
    let (passed, failed) = outcome(&text, "kernels: ");
    if !output.status.success() {
        eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    let failed = if output.status.success() && passed > 0 { failed } else { failed.max(1) };
    rows.none(format!("tests on kernels: failed of {}", passed + failed), failed);
    Ok(())
}
