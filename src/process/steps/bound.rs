//! The steps that bind a process to its host.

use crate::sys::spawn::{Expect, Stage, Step, Steps};

/// Adds them after a change of credentials, which would undo them.
pub(super) fn add(signal: i32, steps: &mut Steps) {
    let set = [libc::PR_SET_PDEATHSIG as usize, signal as usize, 0, 0, 0];
    steps.call(Stage::Bound, libc::SYS_prctl, set);
    // A host that died before that sends nothing; its orphan has another parent.
    let host = std::process::id() as isize;
    let same = Step::new(Stage::Bound, libc::SYS_getppid, [0; 5]);
    steps.add(Step { expect: Expect::Value(host, libc::ESRCH), ..same });
}
