//! [`Arena`]: the memory of one spawn: the child's stack, and the page in which it reports why it failed.
//!
//! Arenas are kept for the next spawns. System calls: mmap(2), mprotect(2), munmap(2).

use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam::queue::ArrayQueue;

use super::stage::{Failure, Stage};
use crate::sys::errno;
use crate::sys::fork::Renewed;

/// The child's stack, with a guard page below it, and its report page.
pub(super) struct Arena {
    base: *mut libc::c_void,
    report: *const Report,
}

// SAFETY: an arena is used by one spawn at a time.
unsafe impl Send for Arena {}

const PAGE: usize = 4096;
const STACK: usize = 64 * 1024;
/// Arenas that are free: as many as there are spawns at once on most machines. Further ones are unmapped after their
/// use.
static ARENAS: Renewed<ArrayQueue<Arena>> = Renewed::new();

fn arenas() -> &'static ArrayQueue<Arena> {
    ARENAS.get(|| ArrayQueue::new(8))
}

impl Arena {
    /// Takes an arena that is free, or makes one.
    pub(super) fn take() -> Result<Arena, i32> {
        if let Some(arena) = arenas().pop() {
            return Ok(arena);
        }
        let map = |length: usize, flags: i32| {
            // SAFETY: a new anonymous mapping.
            let base = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    length,
                    libc::PROT_READ | libc::PROT_WRITE,
                    flags | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            if base == libc::MAP_FAILED { Err(errno()) } else { Ok(base) }
        };
        let base = map(PAGE + STACK, libc::MAP_PRIVATE | libc::MAP_STACK | libc::MAP_NORESERVE)?;
        let report = match map(PAGE, libc::MAP_SHARED) {
            Ok(report) => report,
            Err(errno) => {
                // SAFETY: mapped above.
                unsafe { libc::munmap(base, PAGE + STACK) };
                return Err(errno);
            }
        };
        // SAFETY: the lowest page of the mapping; without it an overflow would only be less loud.
        unsafe { libc::mprotect(base, PAGE, libc::PROT_NONE) };
        Ok(Arena { base, report: report.cast() })
    }

    pub(super) fn put_back(self) {
        // A full queue returns it, and the drop unmaps it.
        drop(arenas().push(self));
    }

    /// Returns the lowest address of the stack, and its size.
    pub(super) fn stack(&self) -> (usize, usize) {
        (self.base as usize + PAGE, STACK)
    }

    pub(super) fn report(&self) -> &Report {
        // SAFETY: mapped, zero-filled and alive as long as the arena.
        unsafe { &*self.report }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: both were mapped in `take` with these lengths, and nothing uses them afterwards.
        unsafe {
            libc::munmap(self.base, PAGE + STACK);
            libc::munmap(self.report.cast_mut().cast(), PAGE);
        }
    }
}

/// The child's report, in a page that is shared with the child, even across a fork (and under emulators that make a
/// vfork a fork).
#[repr(C)]
pub(super) struct Report {
    stage: AtomicU32,
    errno: AtomicU32,
    candidate: AtomicU32,
}

impl Report {
    pub(super) fn failure(&self) -> Option<Failure> {
        match self.stage.load(Ordering::Acquire) {
            0 => None,
            stage => Some(Failure {
                stage: Stage::from_raw(stage),
                errno: self.errno.load(Ordering::Relaxed) as i32,
                candidate: self.candidate.load(Ordering::Relaxed),
            }),
        }
    }

    /// Tells the parent, from the child; the parent reads it once the child is gone.
    pub(super) fn tell(&self, failure: Failure) {
        self.errno.store(failure.errno as u32, Ordering::Relaxed);
        self.candidate.store(failure.candidate, Ordering::Relaxed);
        self.stage.store(failure.stage as u32, Ordering::Release);
    }

    /// Clears the report for the next child.
    pub(super) fn clear(&self) {
        self.stage.store(0, Ordering::Relaxed);
    }
}
