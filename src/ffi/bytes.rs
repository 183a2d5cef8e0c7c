//! `coreproc_bytes`: bytes that the library made.

use super::guard;

/// Bytes that the library made. Immutable; owned by whoever got them; any thread may read them. A NUL follows the
/// last one and is not counted: text without a NUL of its own can be used as a C string.
pub struct coreproc_bytes {
    /// With the NUL.
    bytes: Vec<u8>,
}

impl coreproc_bytes {
    pub(super) fn into_raw(mut bytes: Vec<u8>) -> *mut coreproc_bytes {
        // Not `push` alone: that could double what is large. A capture's copy has the room.
        bytes.reserve_exact(1);
        bytes.push(0);
        Box::into_raw(Box::new(coreproc_bytes { bytes }))
    }
}

/// The first byte, or the NUL when there is none; never NULL but for NULL. Lives as long as the bytes. Thread-safe.
///
/// # Safety
/// `bytes` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_bytes_data(bytes: *const coreproc_bytes) -> *const u8 {
    // SAFETY: the caller's promise.
    guard::get(std::ptr::null(), || unsafe { bytes.as_ref() }.map_or(std::ptr::null(), |b| b.bytes.as_ptr()))
}

/// How many they are, without the NUL at the end; 0 for NULL. Thread-safe.
///
/// # Safety
/// `bytes` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_bytes_len(bytes: *const coreproc_bytes) -> usize {
    // SAFETY: the caller's promise.
    guard::get(0, || unsafe { bytes.as_ref() }.map_or(0, |b| b.bytes.len() - 1))
}

/// Frees bytes; NULL is fine.
///
/// # Safety
/// `bytes` is NULL or live, and dead afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_bytes_free(bytes: *mut coreproc_bytes) {
    if !bytes.is_null() {
        // SAFETY: the caller's promise; made by `into_raw`.
        guard::get((), || drop(unsafe { Box::from_raw(bytes) }));
    }
}
