//! Counts the bytes of output that the library copies, in test builds: those of a chatty child are to be shared.

#[cfg(feature = "fault-injection")]
static COPIED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Notes that bytes of output are copied, other than for a caller who asked for a copy.
#[inline]
pub(crate) fn note(_bytes: usize) {
    #[cfg(feature = "fault-injection")]
    COPIED.fetch_add(_bytes as u64, std::sync::atomic::Ordering::Relaxed);
}

/// Returns how many bytes of output were copied in this process so far.
#[cfg(feature = "fault-injection")]
pub(crate) fn total() -> u64 {
    COPIED.load(std::sync::atomic::Ordering::Relaxed)
}
