//! [`Rotation`]: a file that grows at its end and is renamed away when it is large or old, so that a bounded number of
//! files is kept. It knows nothing of processes.
//!
//! System calls: openat(2) with O_APPEND, write(2), ftruncate(2), fstat(2), rename(2), unlink(2).

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::sys::clock::monotonic_ns;
use crate::sys::file::{self, Facts};
use crate::util::path::with_suffix;

/// The limits of a log.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of one file; 0: any number.
    pub(super) max_bytes: u64,
    /// Nanoseconds after which a file is old; 0: never.
    pub(super) max_age_ns: u64,
    /// How many files are kept besides the current one.
    pub(super) keep: u32,
    pub(super) mode: u32,
}

/// A part of the log in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its number, which is not that in the file's name.
    pub(super) id: u64,
    /// The offset of its first byte in the log.
    pub(super) start: u64,
    pub(super) len: u64,
    /// How many bytes of its file come before it.
    pub(super) base: u64,
    pub(super) is_compressed: bool,
}

impl Segment {
    /// Returns the segment after this one, behind the bytes that its file has.
    fn after(&self, base: u64) -> Segment {
        Segment { id: self.id + 1, start: self.start + self.len, len: 0, base, is_compressed: false }
    }
}

/// The current file. The host may have closed its descriptor, and opened a file of its own at the same number.
struct LogFile {
    /// None only while it is dropped.
    file: Option<File>,
    facts: Facts,
}

impl LogFile {
    fn open(path: &Path, mode: u32) -> Result<LogFile, Failure> {
        let file = file::open(path, file::Open::Append(mode)).map_err(|errno| ("open", errno))?;
        let facts = file::facts(&file).map_err(|errno| ("fstat", errno))?;
        Ok(LogFile { file: Some(file), facts })
    }

    /// Returns the file and its length, if the descriptor is still its own.
    fn file(&self) -> Result<(&File, u64), Failure> {
        let file = self.file.as_ref().ok_or(LOST)?;
        let facts = file::facts(file).map_err(|errno| ("fstat", errno))?;
        if facts.is_same_file(&self.facts) { Ok((file, facts.size)) } else { Err(LOST) }
    }
}

/// The descriptor is another file's.
const LOST: Failure = ("fstat", libc::EBADF);

impl Drop for LogFile {
    fn drop(&mut self) {
        if self.file().is_err() {
            std::mem::forget(self.file.take());
        }
    }
}

pub(super) struct Rotation {
    path: PathBuf,
    limits: Limits,
    /// The current file; None if it could not be opened again.
    file: Option<LogFile>,
    opened_at: u64,
    current: Segment,
    /// The files before it, the newest first: the first is named `PATH.1`. None is a file that was there before.
    rotated: VecDeque<Option<Segment>>,
    rotations: u64,
}

/// What failed, and the errno.
pub(super) type Failure = (&'static str, i32);

impl Rotation {
    /// Opens the log, and goes on where it ends.
    pub(super) fn open(path: PathBuf, limits: Limits) -> Result<Rotation, Failure> {
        let file = LogFile::open(&path, limits.mode)?;
        let len = file.facts.size;
        let current = Segment { id: 0, start: 0, len, base: 0, is_compressed: false };
        let mut rotated = VecDeque::new();
        while rotated.len() < limits.keep as usize && names(&path, rotated.len()).iter().any(|name| exists(name)) {
            rotated.push_back(None);
        }
        Ok(Rotation { path, limits, file: Some(file), opened_at: monotonic_ns(), current, rotated, rotations: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the offset after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.current.start + self.current.len
    }

    /// Returns how often a file was renamed away.
    pub(super) fn rotations(&self) -> u64 {
        self.rotations
    }

    /// Appends the bytes as a whole or not at all, after a rotation if one is due. The rotation's failure is told
    /// besides: the bytes are in the old file then.
    pub(super) fn append(&mut self, bytes: &[u8]) -> (Result<(), Failure>, Result<(), Failure>) {
        let rotated = if self.is_due(bytes.len() as u64) { self.rotate() } else { Ok(()) };
        (self.write(bytes), rotated)
    }

    fn is_due(&self, more: u64) -> bool {
        let Limits { max_bytes, max_age_ns, .. } = self.limits;
        let size = self.current.base + self.current.len;
        let is_full = max_bytes > 0 && size.saturating_add(more) > max_bytes;
        let is_old = max_age_ns > 0 && monotonic_ns() - self.opened_at >= max_age_ns;
        size > 0 && (is_full || is_old)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.file.as_ref().is_none_or(|file| file.file().is_err()) {
            self.reopen()?;
        }
        let Some(current) = &self.file else { return Err(LOST) };
        let (mut file, found) = current.file()?;
        if found != self.current.base + self.current.len {
            // Another program has emptied the file, or writes to it: what it did is no part of the log.
            self.current = self.current.after(found);
        }
        if let Err(error) = file.write_all(bytes) {
            // Half a line would be taken for a whole one with what comes next.
            let _ = file::cut(file, found);
            return Err(("write", error.raw_os_error().unwrap_or(libc::EIO)));
        }
        self.current.len += bytes.len() as u64;
        Ok(())
    }

    /// Renames the files, and begins a new one.
    pub(super) fn rotate(&mut self) -> Result<(), Failure> {
        if self.limits.keep == 0 {
            if let Some(current) = &self.file {
                file::cut(current.file()?.0, 0).map_err(|errno| ("truncate", errno))?;
            }
            self.current = self.current.after(0);
        } else {
            while self.rotated.len() >= self.limits.keep as usize {
                self.remove_last()?;
            }
            for index in (0..self.rotated.len()).rev() {
                self.move_on(index)?;
            }
            file::rename(&self.path, &names(&self.path, 0)[0]).map_err(|errno| ("rename", errno))?;
            self.rotated.push_front(Some(self.current.clone()));
            self.file = None;
            self.current = self.current.after(0);
            self.file = Some(LogFile::open(&self.path, self.limits.mode)?);
        }
        self.rotations += 1;
        self.opened_at = monotonic_ns();
        Ok(())
    }

    /// Opens the file of this name again: another program has renamed it.
    pub(super) fn reopen(&mut self) -> Result<(), Failure> {
        let file = LogFile::open(&self.path, self.limits.mode)?;
        self.current = self.current.after(file.facts.size);
        self.file = Some(file);
        self.opened_at = monotonic_ns();
        Ok(())
    }

    fn remove_last(&mut self) -> Result<(), Failure> {
        let index = self.rotated.len() - 1;
        for name in names(&self.path, index) {
            missing_is_fine(file::unlink(&name)).map_err(|errno| ("unlink", errno))?;
        }
        self.rotated.pop_back();
        Ok(())
    }

    /// Renames the file at this index to the next number.
    fn move_on(&self, index: usize) -> Result<(), Failure> {
        let (from, to) = (names(&self.path, index), names(&self.path, index + 1));
        for (from, to) in from.iter().zip(&to) {
            missing_is_fine(file::rename(from, to)).map_err(|errno| ("rename", errno))?;
        }
        Ok(())
    }

    /// Returns the segment with the byte at this offset, or the next one that is kept; and its file, opened.
    pub(super) fn find(&self, offset: u64) -> Result<Option<(Segment, File)>, Failure> {
        let known =
            self.rotated.iter().enumerate().rev().filter_map(|(index, segment)| Some((index, segment.as_ref()?)));
        for (index, segment) in known {
            if offset < segment.start + segment.len {
                let [plain, packed] = names(&self.path, index);
                let path = if segment.is_compressed { packed } else { plain };
                let file = File::open(path).map_err(|error| ("open", error.raw_os_error().unwrap_or(libc::EIO)))?;
                return Ok(Some((segment.clone(), file)));
            }
        }
        if offset >= self.end() {
            return Ok(None);
        }
        let Some(current) = &self.file else { return Ok(None) };
        let file =
            current.file()?.0.try_clone().map_err(|error| ("dup", error.raw_os_error().unwrap_or(libc::EMFILE)))?;
        Ok(Some((self.current.clone(), file)))
    }

    /// Returns a rotated file that is not compressed yet: its segment's number and its path.
    pub(super) fn uncompressed(&self) -> Option<(u64, PathBuf)> {
        let is_plain = |segment: &Option<Segment>| segment.as_ref().is_some_and(|segment| !segment.is_compressed);
        let index = self.rotated.iter().rposition(is_plain)?;
        let id = self.rotated.get(index)?.as_ref()?.id;
        Some((id, names(&self.path, index)[0].clone()))
    }

    /// Puts a compressed copy in the place of a rotated file, if that is still kept.
    pub(super) fn put_compressed(&mut self, id: u64, copy: &Path) -> Result<(), Failure> {
        let is_it = |segment: &Option<Segment>| segment.as_ref().is_some_and(|segment| segment.id == id);
        let Some(index) = self.rotated.iter().position(is_it) else {
            return missing_is_fine(file::unlink(copy)).map_err(|errno| ("unlink", errno));
        };
        let [plain, packed] = names(&self.path, index);
        file::rename(copy, &packed).map_err(|errno| ("rename", errno))?;
        if let Some(Some(segment)) = self.rotated.get_mut(index) {
            segment.is_compressed = true;
        }
        missing_is_fine(file::unlink(&plain)).map_err(|errno| ("unlink", errno))
    }

    /// Gives up on compressing a rotated file.
    pub(super) fn forget(&mut self, id: u64) {
        for segment in &mut self.rotated {
            if segment.as_ref().is_some_and(|segment| segment.id == id) {
                *segment = None;
            }
        }
    }
}

/// Returns the names that a rotated file may have: as it was, and compressed.
fn names(path: &Path, index: usize) -> [PathBuf; 2] {
    let number = index + 1;
    [with_suffix(path, &format!(".{number}")), with_suffix(path, &format!(".{number}.gz"))]
}

fn exists(path: &Path) -> bool {
    file::look(path).is_ok()
}

fn missing_is_fine(result: Result<(), i32>) -> Result<(), i32> {
    result.or_else(|errno| if errno == libc::ENOENT { Ok(()) } else { Err(errno) })
}
