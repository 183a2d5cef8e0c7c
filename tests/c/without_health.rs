//! The library built without its HTTP server and client.

use std::process::Command;

use crate::builds;
use support::c_program::{Linkage, expect_tap, run};
use support::tree::Scratch;

#[test]
fn health_functions_are_there_and_say_that_they_are_not_supported() {
    let (scratch, library) = (Scratch::new("without-health"), builds::without_health());
    let program = Linkage::plain(library).build("without_health", &scratch);
    expect_tap(&run(&mut Command::new(program), &scratch), library);
}
