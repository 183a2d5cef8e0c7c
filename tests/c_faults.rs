//! Panics injected into the library as it is shipped, without a sanitizer beside it.

#[path = "c/driver.rs"]
mod driver;
#[path = "c/sanitizer.rs"]
mod sanitizer;

use std::process::Command;

use driver::{Linkage, Scratch, expect_tap, run};

#[test]
fn panics_come_back_as_errors() {
    let (scratch, library) = (Scratch::new("panic"), sanitizer::faulty());
    let program = Linkage::plain(library).build("panic", &scratch);
    expect_tap(&run(&mut Command::new(program), &scratch), library);
}
