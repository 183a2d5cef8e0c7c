//! [`Content`]: what a PID file holds.

use std::fs::File;

use crate::error::quoted;
use crate::sys::file;

/// The longest text, in bytes, that may be a PID with blanks around it.
pub(super) const LONGEST: usize = 64;

/// What a PID file holds.
pub(super) enum Content {
    Pid(i32),
    Blank,
    /// Something other than a PID: what it is.
    Other(String),
}

/// Reads what a PID file holds.
pub(super) fn read(file: &File) -> std::result::Result<Content, i32> {
    let bytes = file::read_start(file, LONGEST)?;
    if bytes.len() > LONGEST {
        return Ok(Content::Other(format!("holds more than {LONGEST} bytes, which is no PID")));
    }
    // A file system that has lost the last write in a crash may leave zeros.
    let text = bytes.trim_ascii();
    if text.iter().all(|byte| *byte == 0) {
        return Ok(Content::Blank);
    }
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()).filter(|pid: &i32| *pid > 0) {
        Some(pid) => Ok(Content::Pid(pid)),
        None => Ok(Content::Other(format!("holds {}, which is no PID", quoted(text)))),
    }
}
