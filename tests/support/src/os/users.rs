//! The user of this host, and the modes of files that it makes.

use super::check;

pub fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}

/// Sets the effective user of all threads of this process.
pub fn set_effective_user(user: u32) {
    // SAFETY: no pointers.
    check(unsafe { libc::seteuid(user) }).expect("seteuid");
}

pub fn effective_user() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() }
}

/// Sets the user of all threads of this process, with no way back.
pub fn set_real_user_for_good(user: u32) {
    // SAFETY: no pointers.
    check(unsafe { libc::setresuid(user, user, user) }).expect("setresuid");
}

pub fn set_umask(mask: libc::mode_t) {
    // SAFETY: no pointers; cannot fail.
    unsafe { libc::umask(mask) };
}

/// Returns the real, effective and saved user and group ids of this thread.
pub fn own_ids() -> [u32; 6] {
    let mut ids = [0; 6];
    let [a, b, c, d, e, f] = &mut ids;
    // SAFETY: room for each.
    check(unsafe { libc::getresuid(a, b, c) | libc::getresgid(d, e, f) }).expect("ids");
    ids
}

/// Returns whether this process may be dumped and traced: PR_GET_DUMPABLE.
pub fn is_dumpable() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

/// Has this thread, and the children that it starts, keep all capabilities when the user changes: the securebit
/// NO_SETUID_FIXUP.
pub fn keep_capabilities_with_other_users() {
    const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) }).expect("securebits");
}
