//! Versions.

use std::ffi::c_char;

/// Returns the ABI counter of the loaded library, as in its SONAME. A binding that loads the
/// library at run time compares it with the `COREPROC_ABI_VERSION` that it was written for.
/// Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_abi_version() -> u32 {
    const ABI: u32 = parse(env!("COREPROC_ABI_VERSION"));
    ABI
}

/// Returns the version of the loaded library, such as "0.1.0". Static. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

const fn parse(text: &str) -> u32 {
    let digits = text.as_bytes();
    let mut value = 0;
    let mut at = 0;
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0') as u32;
        at += 1;
    }
    value
}
