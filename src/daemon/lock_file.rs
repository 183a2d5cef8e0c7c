//! Locking a file that exists for its lock alone, beside what the lock protects.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::runtime::Deadline;
use crate::sys::file::{self, Open};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// The result of an attempt to lock.
pub(super) enum Locked {
    /// This process holds the lock until it calls [`file::unlock`].
    Yes(File),
    /// Another process held it until the deadline.
    Busy,
    /// The file system has no locks.
    Unsupported(Error),
}

/// Opens and locks the file, and waits until the deadline for another process that holds it. `check` may refuse the
/// open file.
pub(super) fn lock(
    operation: &'static str,
    path: &Path,
    how: Open,
    deadline: Deadline,
    check: impl Fn(&File) -> Result<()>,
) -> Result<Locked> {
    let fail = |stage| move |errno| Error::system(operation, stage, errno);
    loop {
        let file = file::open(path, how).map_err(fail("open lock"))?;
        check(&file)?;
        match file::lock(&file) {
            Err(errno) => return Ok(Locked::Unsupported(fail("lock")(errno))),
            // Its last holder may have removed the file between our open and our lock.
            Ok(true) if !file::is_named(&file, path).map_err(fail("lock"))? => {}
            Ok(true) => return Ok(Locked::Yes(file)),
            Ok(false) if deadline.is_over() => return Ok(Locked::Busy),
            Ok(false) => thread::sleep(PAUSE),
        }
    }
}
