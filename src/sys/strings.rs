//! Arrays of C strings for execve(2), in two allocations, the limits that the kernel sets them, and the host's
//! environment.
//!
//! System calls: getrlimit(2); see environ(7).

use std::ffi::CStr;

use nix::sys::resource::{Resource, getrlimit};

/// NUL-terminated strings, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// Makes room for this many strings with this many bytes, their NULs included.
    pub(crate) fn with_capacity(count: usize, bytes: usize) -> Strings {
        Strings { bytes: Vec::with_capacity(bytes), starts: Vec::with_capacity(count) }
    }

    /// Adds one string, made of parts that have no NUL.
    pub(crate) fn push(&mut self, parts: &[&[u8]]) {
        self.starts.push(self.bytes.len());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.bytes.push(0);
    }

    /// Returns the strings, without their NUL.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.bytes[*start..end - 1])
    }

    /// Returns the addresses, and a null at the end, as execve takes them. They are valid while these strings are
    /// neither changed nor dropped.
    pub(super) fn addresses(&self) -> Vec<usize> {
        let base = self.bytes.as_ptr() as usize;
        self.starts.iter().map(|start| base + start).chain([0]).collect()
    }
}

/// The most bytes of one string that execve takes, without its NUL: MAX_ARG_STRLEN of the kernel.
pub(crate) const LONGEST: usize = 32 * 4096 - 1;

/// Returns the bytes that a string counts against [`most_in_all`]: its NUL and its address as well.
pub(crate) fn cost(string: &[u8]) -> usize {
    string.len() + 1 + size_of::<usize>()
}

/// Returns the bytes that arguments and environment may cost together: see execve(2), "Limits on size of arguments and
/// environment".
pub(crate) fn most_in_all() -> usize {
    const LEAST: u64 = 128 * 1024;
    const MOST: u64 = 6 * 1024 * 1024;
    let stack = getrlimit(Resource::RLIMIT_STACK).map_or(u64::MAX, |(soft, _)| soft);
    (stack / 4).clamp(LEAST, MOST) as usize
}

/// Calls `visit` for each `KEY=VALUE` of the host's environment. It races with a setenv of the host.
pub(crate) fn for_each_variable(mut visit: impl FnMut(&[u8])) {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: libc keeps a null-terminated array of C strings there, or null.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            visit(CStr::from_ptr(*entry).to_bytes());
            entry = entry.add(1);
        }
    }
}
