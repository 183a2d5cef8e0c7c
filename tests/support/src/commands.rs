//! Commands of the child program, whose verbs `tests/fixtures/child.c` lists, and of shells.

use coreproc::Command;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Returns the path of the child program, which the build script compiled.
pub fn child() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR"), "/child"))
}

/// Makes a copy of the child program in `dir` that runs as root, whichever user starts it: its verb `user` changes the
/// user.
pub fn child_of_root(dir: &Path) -> PathBuf {
    let program = dir.join("child-of-root");
    std::fs::copy(child(), &program).expect("copy");
    for (path, mode) in [(dir, 0o755), (&program, 0o4755)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("chmod");
    }
    program
}

/// Makes a command that runs the child program with these verbs.
pub fn tool<S: AsRef<OsStr>>(verbs: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(child());
    command.args(verbs);
    command
}

/// Makes a command that runs the child program with the words of `script` as verbs. Their arguments have no blanks.
pub fn script(script: &str) -> Command {
    tool(script.split_whitespace())
}

pub fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}
