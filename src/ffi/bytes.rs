//! `coreproc_bytes`: bytes that the library made.

use super::handle::{free_memory, read, shared};

/// Bytes that the library made. Immutable; owned by the caller that got them; any thread may read
/// them. A NUL follows the last one and is not counted: text without a NUL of its own can be used
/// as a C string.
pub struct coreproc_bytes {
    /// The bytes, with the NUL.
    bytes: Vec<u8>,
}

const _: () = shared::<coreproc_bytes>();

impl coreproc_bytes {
    pub(super) fn new(bytes: impl Into<Vec<u8>>) -> Box<coreproc_bytes> {
        let mut bytes = bytes.into();
        // Not `push` alone: that could double what is large. A capture's copy has the room.
        bytes.reserve_exact(1);
        bytes.push(0);
        Box::new(coreproc_bytes { bytes })
    }
}

/// Returns the first byte, or the NUL if there is none; NULL for NULL only. Lives as long as the
/// bytes. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_bytes_data(bytes: Option<&coreproc_bytes>) -> *const u8 {
    read(bytes, std::ptr::null(), |bytes| bytes.bytes.as_ptr())
}

/// Returns how many bytes there are, without the NUL at the end; 0 for NULL. Thread-safe.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_bytes_len(bytes: Option<&coreproc_bytes>) -> usize {
    read(bytes, 0, |bytes| bytes.bytes.len() - 1)
}

/// Frees bytes. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_bytes_free(bytes: Option<Box<coreproc_bytes>>) {
    free_memory(bytes);
}
