//! Resource limits.

use super::check;
use std::io;

pub fn limit(resource: libc::__rlimit_resource_t) -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid rlimit.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) }).expect("getrlimit");
    limit
}

pub fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: a valid rlimit.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)
}

/// Raises the soft limit of open files to the hard limit, which is returned.
pub fn raise_file_limit() -> u64 {
    let hard = limit(libc::RLIMIT_NOFILE).rlim_max;
    set_limit(libc::RLIMIT_NOFILE, hard, hard).expect("setrlimit");
    hard
}
