//! The library, built in other ways than by this `cargo test`; each is built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::tree::{root, target_dir, tool};

pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn rustc() -> Command {
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

/// Returns the library with ASan and fault injection.
pub(crate) fn sanitized() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build("asan", "-Zsanitizer=address", FAULTS))
}

/// Returns the library with fault injection alone.
pub(crate) fn faulty() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build("faults", "", FAULTS))
}

/// Returns the library without the feature `health`.
pub(crate) fn without_health() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build("without-health", "", &["--no-default-features"]))
}
