//! Panics injected into the library as it is shipped, without a sanitizer beside it; and what it counts in such a build.

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

#[test]
fn the_output_of_a_process_that_writes_much_is_not_copied() {
    let (scratch, library) = (Scratch::new("copies"), builds::faulty());
    let program = Linkage::plain(library).build("copies", &scratch);
    expect_tap(&run(&mut Command::new(program), &scratch), library);
}
