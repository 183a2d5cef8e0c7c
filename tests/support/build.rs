//! Compiles the child program of the tests: static, so that the dynamic loader is not what is tested.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = "../fixtures/child.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let status = Command::new("cc")
        .args(["-O2", "-static", "-Wall", "-Wextra", "-o"])
        .arg(Path::new(&out).join("child"))
        .arg(SOURCE)
        .status()
        .expect("cc runs");
    assert!(status.success(), "cc {SOURCE}: {status}");
}
