//! [`CloseOnFork`]: our end of a child's pipe or terminal, which a child of the host's `fork` does not keep.
//!
//! For as long as that process lived, a copy there would keep a standard input open that was closed here, and would
//! keep SIGPIPE from a writer whose reader has closed. Unlike a socket, a pipe cannot be shut down while copies exist,
//! and a socket is no standard input that can be opened again by its name. So `pthread_atfork(3)` has the child close
//! its copies, if it was made by libc's fork, which runs such handlers, and not by a bare clone.
//!
//! System calls: fstat(2), ioctl(2) with TIOCGPTN, close(2), all allowed in the child of a fork of a program with threads.

use std::alloc::{Layout, alloc_zeroed};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::fork::Generation;
use super::{pipe, pty};

/// Descriptors above these, which few processes have, are not recorded, and copied like any other.
const CHUNKS: usize = 1024;
const CHUNK: usize = 1024;

/// For each descriptor's number, the inode of the pipe of ours that had it last, or [`TERMINAL`] and the number of the
/// terminal of ours that has it; 0 if there was none. Chunks are made
/// as they are needed and never given back, so that the child of a fork that comes at any moment can walk them without
/// a lock.
static PIPES: [AtomicPtr<[AtomicU64; CHUNK]>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// The mark of a terminal, above all inodes of pipes, which have 32 bits.
const TERMINAL: u64 = 1 << 63;

/// An end of a pipe, or our side of a terminal.
pub(crate) struct CloseOnFork {
    fd: ManuallyDrop<OwnedFd>,
    made: Generation,
}

impl CloseOnFork {
    /// Takes an end of a pipe.
    pub(crate) fn new(fd: OwnedFd) -> CloseOnFork {
        let inode = pipe::inode(&fd);
        CloseOnFork::recorded(fd, inode)
    }

    /// Takes our side of a terminal.
    pub(crate) fn terminal(fd: OwnedFd) -> CloseOnFork {
        let mark = pty::number(&fd).map(|number| TERMINAL | u64::from(number));
        CloseOnFork::recorded(fd, mark)
    }

    fn recorded(fd: OwnedFd, mark: Option<u64>) -> CloseOnFork {
        static HAS_HANDLER: AtomicBool = AtomicBool::new(false);
        // Not by a lock, which a fork could leave taken. Twice does no harm.
        if !HAS_HANDLER.load(Ordering::Acquire) {
            // SAFETY: a function that may run in a child of fork. Without memory for it there is no handler.
            unsafe { libc::pthread_atfork(None, None, Some(close_copies)) };
            HAS_HANDLER.store(true, Ordering::Release);
        }
        if let (Some(slot), Some(mark)) = (slot(&fd), mark) {
            slot.store(mark, Ordering::Release);
        }
        CloseOnFork { fd: ManuallyDrop::new(fd), made: Generation::now() }
    }
}

impl Deref for CloseOnFork {
    type Target = OwnedFd;
    fn deref(&self) -> &OwnedFd {
        &self.fd
    }
}

impl AsFd for CloseOnFork {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for CloseOnFork {
    fn drop(&mut self) {
        // In a child of fork it is closed already, and its number may be another file's.
        if self.made.is_over() {
            return;
        }
        // The inode of a pipe stays recorded: a fork copies descriptors before memory, and one that has copied this one
        // must find it. The number of a terminal does not, because the next terminal, which may be the host's, gets it.
        if let Some(slot) = slot(&self.fd)
            && slot.load(Ordering::Relaxed) & TERMINAL != 0
        {
            slot.store(0, Ordering::Release);
        }
        // SAFETY: once, and nothing uses it afterwards.
        unsafe { ManuallyDrop::drop(&mut self.fd) };
    }
}

/// Returns the place of a descriptor, which is made if there is memory.
fn slot(fd: &OwnedFd) -> Option<&'static AtomicU64> {
    let number = usize::try_from(fd.as_raw_fd()).ok()?;
    let place = PIPES.get(number / CHUNK)?;
    let mut chunk = place.load(Ordering::Acquire);
    if chunk.is_null() {
        let layout = Layout::new::<[AtomicU64; CHUNK]>();
        // SAFETY: the layout is not of size zero; zeros are valid atomics. A thread that comes second gives its own
        // back.
        unsafe {
            let made: *mut [AtomicU64; CHUNK] = alloc_zeroed(layout).cast();
            if made.is_null() {
                return None;
            }
            chunk = match place.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => made,
                Err(first) => {
                    std::alloc::dealloc(made.cast(), layout);
                    first
                }
            };
        }
    }
    // SAFETY: null, or made above and never given back.
    unsafe { chunk.as_ref() }.map(|chunk| &chunk[number % CHUNK])
}

/// Closes the copies in the child of a fork, before that returns, with calls that are allowed in a signal handler. The
/// descriptors were copied before the memory, and their numbers may be other files' by now, so each has to be the pipe
/// that is recorded.
extern "C" fn close_copies() {
    for (index, place) in PIPES.iter().enumerate() {
        // SAFETY: as in `slot`.
        let Some(chunk) = (unsafe { place.load(Ordering::Acquire).as_ref() }) else { continue };
        for (offset, slot) in chunk.iter().enumerate() {
            let inode = slot.load(Ordering::Acquire);
            if inode == 0 {
                continue;
            }
            slot.store(0, Ordering::Relaxed);
            let number = (index * CHUNK + offset) as libc::c_int;
            if inode & TERMINAL != 0 {
                if pty::number_of(number).is_some_and(|terminal| TERMINAL | u64::from(terminal) == inode) {
                    // SAFETY: it is closed by its one owner in this process.
                    unsafe { libc::syscall(libc::SYS_close, number) };
                }
                continue;
            }
            // SAFETY: fstat fills a structure of ours; the descriptor is closed by its one owner in this process.
            unsafe {
                let mut stat: libc::stat64 = std::mem::zeroed();
                let known = libc::fstat64(number, &raw mut stat) == 0;
                if known && stat.st_mode & libc::S_IFMT == libc::S_IFIFO && stat.st_ino == inode {
                    libc::syscall(libc::SYS_close, number);
                }
            }
        }
    }
}
