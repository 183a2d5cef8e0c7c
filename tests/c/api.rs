//! The behaviour of the C ABI: each theme plain, and some again on a kernel that refuses clone3.

use std::process::Command;

use crate::themes::themes;
use support::c_program::{Linkage, expect_tap, run, scale};
use support::tree::{Scratch, library};

fn plain(theme: &str) {
    let (scratch, library) = (Scratch::new(theme), library());
    let program = Linkage::plain(&library).build(theme, &scratch);
    expect_tap(&run(&mut Command::new(program), &scratch), &library);
}

themes!(plain: arguments callbacks contain control credentials daemon detach errors every_call fork health host host_fds host_reaps identity layout log output pipeline process pty report ring service stdin subscription
    thousand threads; not);

mod without_clone3 {
    use super::*;

    fn without(theme: &str) {
        let (scratch, library) = (Scratch::new(theme), library());
        let filter = Linkage::plain(&library).build("without", &scratch);
        let program = Linkage::plain(&library).build(theme, &scratch);
        let mut command = Command::new(filter);
        command.arg(program).env("COREPROC_SCALE", scale(0.5));
        expect_tap(&run(&mut command, &scratch), &library);
    }

    #[test]
    fn errors() {
        without("errors");
    }

    #[test]
    fn fork() {
        without("fork");
    }

    #[test]
    fn host_fds() {
        without("host_fds");
    }

    #[test]
    fn host_reaps() {
        without("host_reaps");
    }

    #[test]
    fn process() {
        without("process");
    }

    #[test]
    fn threads() {
        without("threads");
    }
}
