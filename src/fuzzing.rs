//! What the fuzz targets call: parsers that are not public, with what must hold of them. For test builds.

use crate::{Command, Error, ErrorKind, Pipeline, daemon};

/// A file in the registry's folder: read as an entry, an entry can be written, and is the same when it is read again.
pub fn registry_json(file: &[u8]) {
    let Ok(entry) = daemon::parse_entry(file) else { return };
    // A time with an offset may be beyond the last year that can be written.
    let Ok(text) = daemon::write_entry(&entry) else { return };
    if let Ok(again) = daemon::parse_entry(&text) {
        assert_eq!(again, entry);
    } else {
        // Escapes may make it longer than an entry may be.
        assert!(text.len() > file.len(), "{}", String::from_utf8_lossy(&text));
    }
}

/// A pipeline, and a command, as JSON: what is taken can run, what is refused is said on one line.
pub fn pipeline_json(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match Pipeline::from_json(text) {
        Ok(pipeline) => assert!(pipeline.problems().is_empty() && pipeline.check().is_ok()),
        Err(error) => refused(&error),
    }
    if let Err(error) = Command::from_json(text) {
        refused(&error);
    }
}

fn refused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(!error.to_string().contains(char::is_control), "{error}");
}
