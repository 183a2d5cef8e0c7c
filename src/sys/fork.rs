//! Tells a child of the host's `fork` from the process that loaded us, by a page that the kernel wipes on fork
//! (`madvise(MADV_WIPEONFORK)`, Linux 4.14), so that the check is one load. A vfork child shares our memory and sees
//! the mark, as it should: it runs none of our code but the exec path.
//!
//! The mark is the [`Generation`] of the process. A child has none until it asks for one ([`begin_again`]); what is
//! older stays useless there, because its threads are gone and its locks may be held for ever.
//!
//! System calls: mmap(2), madvise(2).

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Without a lock, which a fork could leave taken.
static MARK: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// The last generation among the ancestors of this process, which a fork copies.
static LAST: AtomicU32 = AtomicU32::new(FIRST);
/// The process that first used the library.
const FIRST: u32 = 1;

/// The process in which something was made: itself, and not its children, counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// Returns that of this process.
    pub(crate) fn now() -> Generation {
        Generation(mark().map_or(FIRST, |mark| mark.load(Ordering::Relaxed)))
    }

    /// Returns whether this is another process than that.
    pub(crate) fn is_over(self) -> bool {
        self.0 == 0 || Generation::now() != self
    }

    /// Fails with [`ErrorKind::Forked`] in another process than that.
    pub(crate) fn check(self, operation: &'static str) -> Result<()> {
        check(operation)?;
        if self.is_over() {
            return Err(Error::new(ErrorKind::Forked, operation, "it was made before the fork, and is the parent's"));
        }
        Ok(())
    }
}

/// Fails with [`ErrorKind::Forked`] in a child of `fork` that has not begun again.
pub(crate) fn check(operation: &'static str) -> Result<()> {
    let mark = match mark() {
        Some(mark) => mark,
        None => map()?,
    };
    if mark.load(Ordering::Relaxed) != 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forked, operation, "called in a child of fork, which has none of the library's threads"))
}

/// Fails with [`ErrorKind::Forked`] in every child of `fork`, begun again or not.
pub(crate) fn check_original(operation: &'static str) -> Result<()> {
    check(operation)?;
    if is_child() {
        let cause = "daemons, and what belongs to them, work only in the process that first used the library";
        return Err(Error::new(ErrorKind::Forked, operation, cause));
    }
    Ok(())
}

/// Returns true in a child of `fork` that has not begun again; for calls that cannot fail, such as a drop.
pub(crate) fn happened() -> bool {
    mark().is_some_and(|mark| mark.load(Ordering::Relaxed) == 0)
}

/// Returns true in every child of `fork`.
pub(crate) fn is_child() -> bool {
    mark().is_some_and(|mark| mark.load(Ordering::Relaxed) != FIRST)
}

/// Gives a child of `fork` a generation of its own; nothing in any other process.
pub(crate) fn begin_again() {
    if let Some(mark) = mark().filter(|mark| mark.load(Ordering::Relaxed) == 0) {
        super::reserve::unlock_after_fork();
        mark.store(LAST.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

fn mark() -> Option<&'static AtomicU32> {
    // SAFETY: null, or mapped below and never unmapped.
    unsafe { MARK.load(Ordering::Acquire).as_ref() }
}

/// Maps the page, and marks it.
fn map() -> Result<&'static AtomicU32> {
    const PAGE: usize = 4096;
    // SAFETY: a new anonymous mapping, unmapped only while nothing else knows it, so the reference is valid for ever.
    unsafe {
        let page = libc::mmap(
            ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page == libc::MAP_FAILED {
            return Err(Error::system("initialise", "mmap", super::errno()));
        }
        if libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) != 0 {
            let errno = super::errno();
            libc::munmap(page, PAGE);
            return Err(Error::system("initialise", "madvise", errno));
        }
        let made: *mut AtomicU32 = page.cast();
        (*made).store(FIRST, Ordering::Relaxed);
        match MARK.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(&*made),
            Err(first) => {
                libc::munmap(page, PAGE);
                Ok(&*first)
            }
        }
    }
}

/// Something that one process has in static memory, and that a child which begins again gets anew: the state of its
/// own copy is unknown, because another thread may have been in the middle of a change. The copy is left as it is.
pub(crate) struct Renewed<T: 'static>(AtomicPtr<Made<T>>);

struct Made<T> {
    generation: Generation,
    value: T,
    /// That of the parent, so that leak checkers find it; nothing uses it.
    _parents: *mut Made<T>,
}

impl<T: Sync + 'static> Renewed<T> {
    pub(crate) const fn new() -> Renewed<T> {
        Renewed(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns that of this process, which is made when it is first asked for. No thread waits for another.
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        let found = self.0.load(Ordering::Acquire);
        let generation = Generation::now();
        // SAFETY: null, or made below and never freed.
        if let Some(made) = unsafe { found.as_ref() }.filter(|made| made.generation == generation) {
            return &made.value;
        }
        let made = Box::into_raw(Box::new(Made { generation, value: make(), _parents: found }));
        match self.0.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: never freed from now on.
            Ok(_) => unsafe { &(*made).value },
            // SAFETY: no one else knows it; the first is never freed.
            Err(first) => unsafe {
                drop(Box::from_raw(made));
                &(*first).value
            },
        }
    }
}
