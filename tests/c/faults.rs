//! Panics injected into the library as it is shipped, without a sanitizer beside it.

use std::process::Command;

use crate::builds;
use support::c_program::{Linkage, expect_tap, run};
use support::tree::Scratch;

#[test]
fn panics_come_back_as_errors() {
    let (scratch, library) = (Scratch::new("panic"), builds::faulty());
    let program = Linkage::plain(library).build("panic", &scratch);
    expect_tap(&run(&mut Command::new(program), &scratch), library);
}
