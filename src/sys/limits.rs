//! Limits of this process.

use nix::sys::resource::{Resource, getrlimit};

/// Returns how many descriptors this process may have (the soft RLIMIT_NOFILE); 1024 if the kernel does not tell.
pub(crate) fn descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}
