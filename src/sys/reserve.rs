//! A reserve of memory for when malloc(3) refuses: the allocator of the shared and the static library (feature
//! `reserve`, which Rust programs do not get, because the allocator of a Rust program is its own to choose).
//!
//! Rust's collections, and the crates that we use, abort the process when an allocation fails. So a small allocation
//! that malloc refuses is served from the reserve, which exists from the start, and goes back to it when it is freed.
//! Calls are refused with OUT_OF_MEMORY while half of the reserve is in use ([`is_low`]); the other half is for calls
//! and threads that are under way. Large allocations are not served: the code that makes them can bear a refusal.
//!
//! Calls: malloc(3), free(3), by way of Rust's `System` allocator and directly.

use crate::error::{Error, ErrorKind, Result};

/// Fails unless malloc has some room: for steps that would abort the process without it, because they do not use our
/// allocator. The start of a thread is one (Rust's handle of it), and a thread's first use of a variable that has a
/// destructor (glibc).
pub(crate) fn check_room(operation: &'static str) -> Result<()> {
    if has_room() { Ok(()) } else { Err(Error::new(ErrorKind::OutOfMemory, operation, "no memory")) }
}

/// Returns whether malloc has some room.
pub(crate) fn has_room() -> bool {
    const ROOM: usize = 16 * 1024;
    // SAFETY: a block that is given back at once, and only once. The optimiser cannot leave out what it cannot see.
    unsafe {
        let block = std::hint::black_box(libc::malloc(ROOM));
        libc::free(block);
        !block.is_null()
    }
}

#[cfg(not(feature = "reserve"))]
pub(crate) fn is_low() -> bool {
    false
}

#[cfg(not(feature = "reserve"))]
pub(crate) fn unlock_after_fork() {}

#[cfg(feature = "reserve")]
pub(crate) use on::{is_low, unlock_after_fork};

#[cfg(feature = "reserve")]
mod on {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::UnsafeCell;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    /// The size of a block, the unit that is handed out.
    const BLOCK: usize = 64;
    const WORDS: usize = 256;
    /// 1 MiB, of which nothing is touched until it is needed.
    const SIZE: usize = WORDS * 64 * BLOCK;
    /// Larger allocations are refused.
    const LARGEST: usize = 32 * 1024;

    #[global_allocator]
    static RESERVE: Reserve = Reserve {
        memory: UnsafeCell::new(Memory([0; SIZE])),
        taken: [const { AtomicU64::new(0) }; WORDS],
        blocks: AtomicUsize::new(0),
        locked: AtomicBool::new(false),
    };

    #[repr(align(4096))]
    struct Memory(#[allow(dead_code, reason = "handed out by address")] [u8; SIZE]);

    struct Reserve {
        memory: UnsafeCell<Memory>,
        /// A bit for each block; changed under the lock alone.
        taken: [AtomicU64; WORDS],
        /// The number of blocks that are taken.
        blocks: AtomicUsize,
        locked: AtomicBool,
    }

    // SAFETY: each block of the memory is handed out to one owner at a time, which `taken` records under the lock.
    unsafe impl Sync for Reserve {}

    /// Returns whether so much of the reserve is in use that no call should begin.
    pub(crate) fn is_low() -> bool {
        RESERVE.blocks.load(Ordering::Relaxed) > SIZE / BLOCK / 2
    }

    /// Gives back, in a child of fork, the lock of a thread that only the parent has. What that thread was marking is
    /// left as it is: blocks that are taken for ever at worst, never blocks with two owners.
    pub(crate) fn unlock_after_fork() {
        RESERVE.locked.store(false, Ordering::Release);
    }

    impl Reserve {
        fn start(&self) -> usize {
            self.memory.get() as usize
        }

        fn owns(&self, pointer: *mut u8) -> bool {
            (pointer as usize).wrapping_sub(self.start()) < SIZE
        }

        /// Runs under a lock that is held for a few hundred instructions; unlike a mutex, a spin lock does not
        /// allocate.
        fn locked<T>(&self, run: impl FnOnce() -> T) -> T {
            while self.locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
                std::thread::yield_now();
            }
            let result = run();
            self.locked.store(false, Ordering::Release);
            result
        }

        fn is_taken(&self, block: usize) -> bool {
            self.taken[block / 64].load(Ordering::Relaxed) & (1 << (block % 64)) != 0
        }

        /// Takes the first run of free blocks that is long enough and aligned.
        fn take(&self, layout: Layout) -> *mut u8 {
            let count = layout.size().div_ceil(BLOCK).max(1);
            if layout.size() > LARGEST || layout.align() > 4096 {
                return std::ptr::null_mut();
            }
            let step = (layout.align() / BLOCK).max(1);
            self.locked(|| {
                let mut first = 0;
                while first + count <= SIZE / BLOCK {
                    match (first..first + count).rev().find(|block| self.is_taken(*block)) {
                        Some(block) => first = (block + 1).next_multiple_of(step),
                        None => {
                            self.mark(first, count, true);
                            return (self.start() + first * BLOCK) as *mut u8;
                        }
                    }
                }
                std::ptr::null_mut()
            })
        }

        fn give_back(&self, pointer: *mut u8, layout: Layout) {
            let first = (pointer as usize - self.start()) / BLOCK;
            self.locked(|| self.mark(first, layout.size().div_ceil(BLOCK).max(1), false));
        }

        fn mark(&self, first: usize, count: usize, taken: bool) {
            for block in first..first + count {
                let (word, bit) = (&self.taken[block / 64], 1 << (block % 64));
                let old = word.load(Ordering::Relaxed);
                word.store(if taken { old | bit } else { old & !bit }, Ordering::Relaxed);
            }
            let blocks = self.blocks.load(Ordering::Relaxed);
            self.blocks.store(if taken { blocks + count } else { blocks - count }, Ordering::Relaxed);
        }
    }

    // SAFETY: what malloc gives is malloc's; what the reserve gives has one owner until it is given back, and is as
    // large and as aligned as was asked for.
    unsafe impl GlobalAlloc for Reserve {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise.
            let pointer = unsafe { System.alloc(layout) };
            if pointer.is_null() { self.take(layout) } else { pointer }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise; the reserve's memory is as long as asked for.
            unsafe {
                let pointer = System.alloc_zeroed(layout);
                if !pointer.is_null() {
                    return pointer;
                }
                let pointer = self.take(layout);
                if !pointer.is_null() {
                    pointer.write_bytes(0, layout.size());
                }
                pointer
            }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            if self.owns(pointer) {
                return self.give_back(pointer, layout);
            }
            // SAFETY: the caller's promise; it is malloc's.
            unsafe { System.dealloc(pointer, layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller's promise, for each step; both blocks are as long as what is copied.
            unsafe {
                if !self.owns(pointer) {
                    let moved = System.realloc(pointer, layout, size);
                    if !moved.is_null() {
                        return moved;
                    }
                }
                let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !moved.is_null() {
                    std::ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                    self.dealloc(pointer, layout);
                }
                moved
            }
        }
    }
}
