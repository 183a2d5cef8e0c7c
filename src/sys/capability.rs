//! Capabilities: their names, and what this thread has; see capabilities(7).
//!
//! System calls: capget(2), capset(2), prctl(2) with PR_CAPBSET_READ.

use super::raw;

/// The names without `cap_`, in the order of their numbers.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The number of CAP_SETPCAP.
const SETPCAP: u32 = 8;

/// Returns the mask of a capability (`cap_net_raw` or `net_raw`, in any case), or of `all`, also of those that this
/// library does not know by name.
pub(crate) fn mask_of(name: &str) -> Option<u64> {
    let name = name.to_ascii_lowercase();
    if name == "all" {
        return Some(u64::MAX);
    }
    let name = name.strip_prefix("cap_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name).map(|number| 1 << number)
}

/// Returns which capabilities of a mask are in this thread's bounding set.
pub(crate) fn bounding(mask: u64) -> impl Iterator<Item = u32> {
    // SAFETY: no pointers. A number that the kernel does not know is an error.
    let has = |number: u32| unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(number), 0, 0, 0) == 1 };
    (0..64).filter(move |number| mask >> number & 1 == 1 && has(*number))
}

/// Returns whether this thread may take capabilities from its bounding set.
pub(crate) fn may_drop_from_bounding() -> bool {
    let mut sets = [0; 6];
    // SAFETY: room for the sets.
    let result = unsafe { with_sets(libc::SYS_capget, &mut sets) };
    result == 0 && sets[0] >> SETPCAP & 1 == 1
}

/// Takes the capabilities of a mask from this thread's effective, permitted, inheritable and ambient sets, by raw
/// system calls alone. Returns 0 or a negative errno.
///
/// # Safety
/// Only in the child of a clone: the rest of a program expects that its threads have the same.
pub(super) unsafe fn drop_of_this_thread(mask: u64) -> isize {
    let mut sets = [0; 6];
    // SAFETY: room for the sets; raw system calls.
    unsafe {
        let result = with_sets(libc::SYS_capget, &mut sets);
        if result < 0 {
            return result;
        }
        let (low, high) = (!(mask as u32), !((mask >> 32) as u32));
        let [effective, permitted, inheritable, effective_high, permitted_high, inheritable_high] = sets;
        sets = [
            effective & low,
            permitted & low,
            inheritable & low,
            effective_high & high,
            permitted_high & high,
            inheritable_high & high,
        ];
        // The kernel takes what is neither permitted nor inheritable from the ambient set.
        with_sets(libc::SYS_capset, &mut sets)
    }
}

/// Calls capget or capset for this thread. The sets are the effective, permitted and inheritable ones, the lower halves
/// first.
unsafe fn with_sets(call: libc::c_long, sets: &mut [u32; 6]) -> isize {
    /// `_LINUX_CAPABILITY_VERSION_3`.
    const VERSION: u32 = 0x2008_0522;
    let mut header = [VERSION, 0];
    // SAFETY: a header of the version, and sets as it lays them out.
    unsafe { raw::syscall3(call, &raw mut header as usize, &raw mut *sets as usize, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_known_by_name() {
        assert_eq!(mask_of("cap_chown"), Some(1));
        assert_eq!(mask_of("NET_RAW"), Some(1 << 13));
        assert_eq!(mask_of("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(mask_of("all"), Some(u64::MAX));
        for name in ["", "cap_", "cap_all", "cap_no_such", "net raw"] {
            assert_eq!(mask_of(name), None, "{name}");
        }
    }

    #[test]
    fn the_sets_are_those_that_proc_tells() {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            u64::from_str_radix(line.trim(), 16).expect("a number")
        };
        let bounding_set = bounding(u64::MAX).fold(0, |mask, number| mask | 1 << number);
        assert_eq!(bounding_set, of("CapBnd:"));
        assert_eq!(bounding(0).count(), 0);
        assert_eq!(may_drop_from_bounding(), of("CapEff:") >> SETPCAP & 1 == 1);
    }
}
