//! The libraries as `make build` makes them to be shipped: what only optimised code shows, and what is in them.

use crate::memcheck;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::c_program::{Linkage, cc, expect_tap, run};
use support::tree::{Scratch, root, tool};

/// Returns the directory of the shipped libraries, built by the first test that asks.
fn release() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut make = Command::new("make");
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LD_LIBRARY_PATH"] {
            make.env_remove(name);
        }
        tool(make.arg("build").current_dir(root()));
        root().join("target/release")
    })
}

fn shared() -> PathBuf {
    release().join("libcoreproc.so")
}

fn archive() -> PathBuf {
    release().join("libcoreproc.a")
}

#[test]
fn every_call() {
    let scratch = Scratch::new("every_call");
    let program = Linkage::plain(&shared()).build("every_call", &scratch);
    expect_tap(&run(Command::new(program).env("COREPROC_UNDER", "release"), &scratch), &shared());
}

mod valgrind_finds_no_jump_on_undefined_bytes {
    use super::*;

    #[test]
    fn in_pipelines() {
        memcheck::passes("pipeline", &shared());
    }

    #[test]
    fn in_reports() {
        memcheck::passes("report", &shared());
    }
}

#[test]
fn the_static_library_goes_beside_another_rust_library() {
    let scratch = Scratch::new("beside");
    let source = root().join("tests/c/beside");
    let other = scratch.path().join("libother.a");
    tool(
        Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition", "2024", "--crate-type", "staticlib", "-O", "-o"])
            .arg(&other)
            .arg(source.join("other.rs")),
    );
    let needs = fs::read_to_string(release().join("native-static-libs")).expect("written by make build");
    for how in [&[][..], &["-static"]] {
        let program = scratch.path().join("both");
        let mut cc = cc();
        cc.args(how).arg(source.join("both.c")).arg("-o").arg(&program).arg(archive()).arg(&other);
        tool(cc.args(needs.split_whitespace()));
        let outcome = run(&mut Command::new(&program), &scratch);
        assert!(outcome.success && outcome.said.contains("exit code 7, sum 6, panics 1"), "{how:?}: {}", outcome.said);
    }
}

#[test]
fn the_static_library_has_no_global_symbol_but_those_of_the_header() {
    let listed = fs::read_to_string(root().join("tests/abi/symbols.txt")).expect("the list");
    let said = tool(Command::new("nm").args(["--defined-only", "--extern-only", "--quiet"]).arg(archive()));
    let mut symbols: Vec<&str> = said.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    symbols.sort_unstable();
    assert_eq!(symbols, listed.lines().collect::<Vec<_>>());
}

#[test]
fn no_path_of_the_machine_that_built_them_is_in_the_libraries() {
    let home = std::env::var("HOME").expect("HOME");
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let root = root().to_str().expect("text");
    for library in [shared(), archive()] {
        let bytes = fs::read(&library).expect("a library");
        for path in [&*home, &*cargo, root] {
            // A HOME of "/" is in every path.
            let found = path.len() > 1 && memchr::memmem::find(&bytes, path.as_bytes()).is_some();
            assert!(!found, "{}: has {path} in it", library.display());
        }
    }
}
