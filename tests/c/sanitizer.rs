//! The library built with AddressSanitizer, and what a C program needs to share its runtime.
//!
//! gcc and rustc each bring an ASan runtime, and a process can have one only. Both instrument against the same interface
//! (`__asan_version_mismatch_check_v8`), so C is compiled by gcc with `-fsanitize=address` but linked without it, against
//! rustc's runtime, which is the newer one; the program exports it to the library.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::driver::{Linkage, root, target_dir, tool};

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

const FAULTS: &[&str] = &["--features", "fault-injection"];

/// Builds the crate with these features into a target directory of its own.
fn build(name: &str, flags: &str, features: &[&str]) -> PathBuf {
    let target = target_dir().join(name);
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args(["build", "--lib", "--locked", "--target", TARGET])
        .args(features)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", flags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // Sanitizers are not stable in rustc yet.
        .env("RUSTC_BOOTSTRAP", "1");
    tool(&mut cargo);
    target.join(TARGET).join("debug/libcoreproc.so")
}

/// The library with ASan and fault injection; built once.
pub(crate) fn sanitized() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build("asan", "-Zsanitizer=address", FAULTS))
}

/// The library with fault injection alone; built once.
pub(crate) fn faulty() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build("faults", "", FAULTS))
}

/// The library without the feature `health`; built once.
pub(crate) fn without_health() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build("without-health", "", &["--no-default-features"]))
}

fn runtime() -> PathBuf {
    let folder = tool(rustc().args(["--print", "target-libdir", "--target", TARGET]));
    let folder = Path::new(folder.trim());
    let names = ["librustc-stable_rt.asan.a", "librustc-nightly_rt.asan.a", "librustc-beta_rt.asan.a"];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no ASan runtime in {}", folder.display()))
}

/// Links a C program with the sanitized library and the runtime they share.
pub(crate) fn linkage() -> Linkage<'static> {
    let text = |arg: &str| arg.to_owned();
    Linkage {
        library: sanitized(),
        compile: vec![text("-fsanitize=address"), text("-fno-omit-frame-pointer")],
        link: vec![
            text("-Wl,--whole-archive"),
            runtime().display().to_string(),
            text("-Wl,--no-whole-archive"),
            text("-rdynamic"),
            text("-ldl"),
            text("-lrt"),
            text("-lm"),
        ],
    }
}
