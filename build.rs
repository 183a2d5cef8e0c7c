//! Writes the C header into `OUT_DIR` (a test compares it with the committed one), and gives the shared library its
//! SONAME and `-z nodelete`.

use std::path::{Path, PathBuf};
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
    sources(&root.join("src/ffi"))
        .into_iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, source| builder.with_src(source))
        .generate()
        .expect("cbindgen reads src/ffi")
        .write_to_file(&header);
    println!("cargo:rustc-env=COREPROC_HEADER={}", header.display());
}

/// The files that the header is made of, in the order in which `src/ffi/mod.rs` exports them.
fn sources(ffi: &Path) -> Vec<PathBuf> {
    let exports = fs::read_to_string(ffi.join("mod.rs")).expect("src/ffi/mod.rs is readable");
    let list = exports.split_once("pub use self::{").and_then(|(_, rest)| rest.split_once('}'));
    let (list, _) = list.expect("src/ffi/mod.rs exports its files in one list");
    let names = list.split(',').filter_map(|export| export.trim().strip_suffix("::*"));
    names.map(|name| ffi.join(name).with_extension("rs")).collect()
}

fn version_macros() -> String {
    let part = |name: &str| env::var(format!("CARGO_PKG_VERSION{name}")).expect("cargo sets the version");
    format!(
        "\n// The version of this header; `coreproc_version` and `coreproc_abi_version` return that of the\n// library.\n\
         #define COREPROC_VERSION \"{}\"\n#define COREPROC_VERSION_MAJOR {}\n#define COREPROC_VERSION_MINOR {}\n\
         #define COREPROC_VERSION_PATCH {}\n#define COREPROC_ABI_VERSION {ABI_VERSION}",
        part(""),
        part("_MAJOR"),
        part("_MINOR"),
        part("_PATCH"),
    )
}
