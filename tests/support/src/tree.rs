//! Paths: the sources, what this build made, a directory for each test. And tools that are run on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Returns the directory of the sources.
pub fn root() -> &'static Path {
    // This crate lies two directories below the repository.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository")
}

/// Returns the directory of the test programs and libraries of this build.
fn deps() -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    test.parent().expect("deps").to_path_buf()
}

/// Returns the path of the library that this very `cargo test` built: cargo refreshes `deps/`, not the copy one
/// directory up.
pub fn library() -> PathBuf {
    let library = deps().join("libcoreproc.so");
    assert!(library.exists(), "{} is missing: the crate must be a cdylib", library.display());
    library
}

/// Returns the target directory of this build.
pub fn target_dir() -> PathBuf {
    deps().ancestors().nth(2).expect("target").to_path_buf()
}

/// A directory of its own for each test, removed when the test has passed.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = target_dir().join("tmp").join(format!("{name}-{}-{unique}", std::process::id()));
        fs::create_dir_all(&path).expect("scratch directory");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Runs a tool to its end. Returns its stdout, or panics with everything that it printed.
pub fn tool(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
