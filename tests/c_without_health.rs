//! The library built without its HTTP server and client.

#[path = "c/driver.rs"]
mod driver;
#[path = "c/sanitizer.rs"]
mod sanitizer;

use std::process::Command;

use driver::{Linkage, Scratch, expect_tap, run};

#[test]
fn health_functions_are_there_and_say_that_they_are_not_supported() {
    let (scratch, library) = (Scratch::new("without-health"), sanitizer::without_health());
    let program = Linkage::plain(library).build("without_health", &scratch);
    expect_tap(&run(&mut Command::new(program), &scratch), library);
}
