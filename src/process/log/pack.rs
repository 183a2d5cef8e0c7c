//! Compresses a rotated file by gzip (RFC 1952).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::rotation::Failure;
use crate::sys::file;
use crate::util::path::with_suffix;

/// Makes a compressed copy of a file beside the log, and returns its path.
pub(super) fn compress(mut from: File, log: &Path) -> Result<PathBuf, Failure> {
    let failed = |stage: &'static str| move |error: io::Error| (stage, file::errno_of(error));
    let mode = from.metadata().map_err(failed("fstat"))?.mode() & 0o777;
    let copy = with_suffix(log, ".gz.new");
    let to =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&copy).map_err(failed("open"))?;
    let mut encoder = GzEncoder::new(to, Compression::default());
    let copied = io::copy(&mut from, &mut encoder).and_then(|_| encoder.finish());
    match copied {
        Ok(_) => Ok(copy),
        Err(error) => {
            let _ = file::unlink(&copy);
            Err(failed("write")(error))
        }
    }
}
