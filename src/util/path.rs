//! Paths: those beside another, and how messages show them.

use std::path::{Path, PathBuf};

use crate::error;

/// Appends something to the name of a path: `/run/it.sock` with `.lock` is `/run/it.sock.lock`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes the path for a message: in quotation marks, with escapes for what cannot be printed.
pub(crate) fn quoted(path: &Path) -> String {
    error::quoted(path.as_os_str().as_encoded_bytes())
}
