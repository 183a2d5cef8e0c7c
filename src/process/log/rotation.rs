//! [`Rotation`]: a file that grows at its end and is renamed away when it is large or old, so that a bounded number of
//! files is kept. It knows nothing of processes.
//!
//! System calls: openat(2) with O_APPEND, write(2), ftruncate(2), fstat(2), rename(2), unlink(2).

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use memchr::{memchr, memrchr};

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
    /// Whether it could not be compressed.
    stays_plain: bool,
}

impl Segment {
    /// Returns the segment after this one, behind the bytes that its file has.
    fn after(&self, base: u64) -> Segment {
        Segment {
            id: self.id + 1,
            start: self.start + self.len,
            len: 0,
            base,
            is_compressed: false,
            stays_plain: false,
        }
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
        let current = Segment { id: 0, start: 0, len, base: 0, is_compressed: false, stays_plain: false };
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

    /// Appends whole lines, with the rotations that become due between them. Returns how many of the bytes were written,
    /// which end with a line, and the first failure, also if it was only that of a rotation.
    pub(super) fn append(&mut self, bytes: &[u8]) -> (usize, Option<Failure>) {
        let (mut done, mut failure) = (0, None);
        while done < bytes.len() {
            let rest = &bytes[done..];
            let mut fits = self.fitting(rest);
            if fits == 0 || self.is_old() {
                match self.rotate() {
                    Ok(()) => fits = self.fitting(rest),
                    Err(error) => _ = failure.get_or_insert(error),
                }
                if fits == 0 {
                    // They go to the old file, then.
                    fits = rest.len();
                }
            }
            if let Err(error) = self.write(&rest[..fits]) {
                return (done, Some(error));
            }
            done += fits;
        }
        (done, failure)
    }

    /// Returns how many of these bytes, in whole lines, fit into the file: none if it has bytes already and the first
    /// line does not, else at least the first line.
    fn fitting(&self, bytes: &[u8]) -> usize {
        let size = self.size();
        let room = match self.limits.max_bytes {
            0 => bytes.len(),
            max => usize::try_from(max.saturating_sub(size)).unwrap_or(usize::MAX).min(bytes.len()),
        };
        if room == bytes.len() {
            return room;
        }
        match memrchr(b'\n', &bytes[..room]) {
            Some(at) => at + 1,
            None if size > 0 => 0,
            None => memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1),
        }
    }

    fn size(&self) -> u64 {
        self.current.base + self.current.len
    }

    fn is_old(&self) -> bool {
        let most = self.limits.max_age_ns;
        most > 0 && self.size() > 0 && monotonic_ns() - self.opened_at >= most
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.file.as_ref().is_none_or(|file| file.file().is_err()) {
            self.reopen()?;
        }
        let Some(current) = &self.file else { return Err(LOST) };
        let (mut file, found) = current.file()?;
        if found != self.size() {
            // Another program has emptied the file, or writes to it: what it did is no part of the log.
            self.current = self.current.after(found);
        }
        if let Err(error) = file.write_all(bytes) {
            // Half a line would be taken for a whole one with what comes next.
            let _ = file::cut(file, found);
            return Err(("write", file::errno_of(error)));
        }
        self.current.len += bytes.len() as u64;
        Ok(())
    }

    /// Renames the files, and begins a new one.
    pub(super) fn rotate(&mut self) -> Result<(), Failure> {
        let is_named =
            |current: &LogFile| file::is_named(current.file()?.0, &self.path).map_err(|errno| ("fstat", errno));
        if !self.file.as_ref().map_or(Ok(false), is_named)? {
            // Another program has renamed or removed it.
            self.reopen()?;
            if self.current.base == 0 {
                return Ok(());
            }
        }
        if self.limits.keep == 0 {
            if let Some(current) = &self.file {
                file::cut(current.file()?.0, 0).map_err(|errno| ("truncate", errno))?;
            }
            self.current = self.current.after(0);
        } else {
            self.make_way()?;
            file::rename(&self.path, &names(&self.path, 0)[0]).map_err(|errno| ("rename", errno))?;
            self.rotated[0] = Some(self.current.clone());
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

    /// Frees the first number. The list follows the names, whatever fails.
    fn make_way(&mut self) -> Result<(), Failure> {
        if !self.rotated.is_empty() && !names(&self.path, 0).iter().any(|name| exists(name)) {
            return Ok(());
        }
        while self.rotated.len() >= self.limits.keep as usize {
            self.remove_last()?;
        }
        for index in (0..self.rotated.len()).rev() {
            if let Err(failure) = self.move_on(index) {
                self.rotated.insert(index + 1, None);
                return Err(failure);
            }
        }
        self.rotated.push_front(None);
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
                match file::open_through(&path) {
                    Ok(file) if file.metadata().is_ok_and(|facts| facts.is_file()) => {
                        return Ok(Some((segment.clone(), file)));
                    }
                    // Another program has removed it, or put something else in its place.
                    Ok(_) => continue,
                    Err(libc::ENOENT) => continue,
                    Err(errno) => return Err(("open", errno)),
                }
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

    /// Returns whether this segment is still kept.
    pub(super) fn has(&self, id: u64) -> bool {
        self.current.id == id || self.rotated.iter().flatten().any(|segment| segment.id == id)
    }

    /// Returns the oldest rotated file that is not compressed yet: its place, and its segment's number.
    fn oldest_plain(&self) -> Option<(usize, u64)> {
        let is_plain = |segment: &Segment| !segment.is_compressed && !segment.stays_plain;
        let mut known = self.rotated.iter().enumerate().rev();
        known.find_map(|(index, segment)| Some((index, segment.as_ref().filter(|known| is_plain(known))?.id)))
    }

    /// Returns whether a rotated file is not compressed yet.
    pub(super) fn has_uncompressed(&self) -> bool {
        self.oldest_plain().is_some()
    }

    /// Returns the oldest rotated file that is not compressed yet: its segment's number, and the file, opened, because
    /// its name changes.
    pub(super) fn uncompressed(&self) -> Option<(u64, Result<File, Failure>)> {
        let (index, id) = self.oldest_plain()?;
        let file = file::open_through(&names(&self.path, index)[0]);
        Some((id, file.map_err(|errno| ("open", errno))))
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

    /// Leaves a rotated file as it is.
    pub(super) fn leave_plain(&mut self, id: u64) {
        for segment in self.rotated.iter_mut().flatten().filter(|segment| segment.id == id) {
            segment.stays_plain = true;
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
