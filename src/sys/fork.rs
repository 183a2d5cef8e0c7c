//! Tells a child of the host's `fork` from the process that loaded us, by a page that the kernel wipes on fork
//! (`madvise(MADV_WIPEONFORK)`, Linux 4.14), so that the check is one load. A vfork child shares our memory and sees
//! the mark, as it should: it runs none of our code but the exec path.
//!
//! System calls: mmap(2), madvise(2).

use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::sync::OnceCell;

use crate::error::{Error, ErrorKind, Result};

static MARK: OnceCell<&'static AtomicU32> = OnceCell::new();
const ALIVE: u32 = 0xC0DE;

/// Fails with [`ErrorKind::Forked`] in a child of `fork` of the process that first called this.
pub(crate) fn check(operation: &'static str) -> Result<()> {
    let mark = MARK.get_or_try_init(map)?;
    if mark.load(Ordering::Relaxed) == ALIVE {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forked, operation, "called in a child of fork, which has none of the library's threads"))
}

/// Returns true in a child of `fork`; for calls that cannot fail, such as a drop.
pub(crate) fn happened() -> bool {
    MARK.get().is_some_and(|mark| mark.load(Ordering::Relaxed) != ALIVE)
}

/// Maps the page, and marks it.
fn map() -> Result<&'static AtomicU32> {
    const PAGE: usize = 4096;
    // SAFETY: a new anonymous mapping, never unmapped, so the reference is valid for ever.
    unsafe {
        let page = libc::mmap(
            std::ptr::null_mut(),
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
        let mark = &*page.cast::<AtomicU32>();
        mark.store(ALIVE, Ordering::Relaxed);
        Ok(mark)
    }
}
