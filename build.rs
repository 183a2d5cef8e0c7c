//! Writes the C header into `OUT_DIR` (a test compares it with the committed one), and gives the shared
//! library its SONAME and `-z nodelete`. Nothing else.

use std::path::PathBuf;
use std::{env, fs};

/// The ABI counter of the SONAME; raised only when the ABI breaks.
const ABI_VERSION: u32 = 1;

fn main() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=build.rs");

    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcoreproc.so.{ABI_VERSION}");
    // Our threads and callbacks may outlive a dlclose; unmapped code would crash the host.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-env=COREPROC_ABI_VERSION={ABI_VERSION}");

    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("coreproc.h");
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    config.after_includes = Some(version_macros());
    // The order of these files is the order of the header.
    let sources = [
        "error",
        "version",
        "bytes",
        "ring",
        "service",
        "command",
        "process",
        "subscription",
        "pid_file",
        "registry",
        "health",
        "daemon",
        "pipeline",
        "history",
        "progress",
        "run",
        "report",
    ];
    let bindings = sources
        .iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, name| {
            builder.with_src(root.join("src/ffi").join(name).with_extension("rs"))
        })
        .generate()
        .expect("cbindgen reads src/ffi");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    fs::write(&header, without_safety_sections(&text)).expect("OUT_DIR is writable");
    println!("cargo:rustc-env=COREPROC_HEADER={}", header.display());
}

/// Rust's `# Safety` sections say to Rust callers what the header's prose says to C's.
fn without_safety_sections(header: &str) -> String {
    let mut in_section = false;
    let mut kept: Vec<&str> = Vec::new();
    for line in header.lines() {
        if line.trim() == "// # Safety" {
            in_section = true;
            // And the empty comment line before it.
            kept.pop_if(|last| last.trim() == "//");
        }
        in_section &= line.trim_start().starts_with("//");
        if !in_section {
            kept.push(line);
        }
    }
    kept.join("\n") + "\n"
}

fn version_macros() -> String {
    let part = |name: &str| env::var(format!("CARGO_PKG_VERSION{name}")).expect("cargo sets the version");
    format!(
        "\n// Version of this header; `coreproc_version` and `coreproc_abi_version` tell that of the library.\n\
         #define COREPROC_VERSION \"{}\"\n#define COREPROC_VERSION_MAJOR {}\n#define COREPROC_VERSION_MINOR {}\n\
         #define COREPROC_VERSION_PATCH {}\n#define COREPROC_ABI_VERSION {ABI_VERSION}",
        part(""),
        part("_MAJOR"),
        part("_MINOR"),
        part("_PATCH"),
    )
}
