//! [`Draft`]: a file that is written beside the place that it will take, so that a reader finds the old file or the new
//! one there, and never a part.
//!
//! The steps are those that survive a crash of the machine: create, write, fsync(2), rename(2), and then an fsync(2) of
//! the directory, which is left to the caller, because it may have more to change there first.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::file::{self, Open};

/// A new file that is removed when it is dropped, unless it was published.
pub(crate) struct Draft {
    path: PathBuf,
    file: File,
    is_published: bool,
}

impl Draft {
    /// Makes the file, with this mode less what the umask takes. `path_of` makes its path of our PID and a number, which
    /// no other draft of this process has.
    pub(crate) fn create(mode: u32, path_of: impl Fn(u32, u64) -> PathBuf) -> Result<Draft, i32> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let path = path_of(std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            match file::open(&path, Open::New(mode)) {
                Ok(file) => return Ok(Draft { path, file, is_published: false }),
                // A process that had our PID was ended before it was done, or one in another PID namespace has it now.
                Err(libc::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Returns the open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the whole text and waits until it is on the disk. An error names the step that failed and its errno.
    pub(crate) fn write(&self, text: &[u8]) -> Result<(), (&'static str, i32)> {
        file::write_start(&self.file, text).map_err(|errno| ("write", errno))?;
        file::sync(&self.file).map_err(|errno| ("sync", errno))
    }

    /// Gives the file the name `to`, and so replaces what had that name, in one step. ENOENT if the draft was removed.
    pub(crate) fn publish(mut self, to: &Path) -> Result<(), i32> {
        file::rename(&self.path, to)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = file::unlink(&self.path);
        }
    }
}
