//! The signals of a child before exec: defaults, and an end to what came for the host's group.
//!
//! System calls: rt_sigpending(2), rt_sigaction(2).

use crate::sys::raw;
use crate::sys::signal::MAX;

/// Sets every signal to its default: a host that ignores SIGPIPE must not pass that on to its children.
/// (CLONE_CLEAR_SIGHAND resets handlers alone.) A signal that came before the child had its group was meant for the
/// host's group, above all a Ctrl-Z or Ctrl-C. It waits, blocked, and is dropped by ignoring the signal for a moment: a
/// child that stopped here would hold the host in its clone for ever, because the SIGCONT for the host's group does not
/// reach it.
pub(super) unsafe fn signals_in_its_own_group() {
    let mut pending: u64 = 0;
    // SAFETY: room for a set; whole actions.
    unsafe {
        raw::syscall3(libc::SYS_rt_sigpending, &raw mut pending as usize, size_of::<u64>(), 0);
        let mut signal = 1;
        while signal <= MAX {
            if pending & (1 << (signal - 1)) != 0 {
                set_action(signal, &raw::Action::IGNORE);
            }
            set_action(signal, &raw::Action::DEFAULT);
            signal += 1;
        }
    }
}

/// Does the same as for a group of its own, but a signal to the group is for the child as well, with two exceptions. A
/// signal that the host was told to ignore from the outside (SIGHUP by nohup, SIGINT and SIGQUIT by a shell's `&`)
/// stays ignored. And a Ctrl-Z before exec is lost, because its handler does nothing (exec resets it): a child that
/// stopped would keep the host in its clone, so that the host could not stop, and its shell would wait for it.
pub(super) unsafe fn signals_in_the_hosts_group() {
    let mut signal = 1;
    while signal <= MAX {
        // SAFETY: whole actions.
        unsafe {
            match signal {
                libc::SIGHUP | libc::SIGINT | libc::SIGQUIT if is_ignored(signal) => {}
                libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => set_action(signal, &raw::Action::swallow()),
                _ => set_action(signal, &raw::Action::DEFAULT),
            }
        }
        signal += 1;
    }
}

unsafe fn set_action(signal: i32, action: &raw::Action) {
    if signal != libc::SIGKILL && signal != libc::SIGSTOP {
        // SAFETY: a whole action of the kernel's size; the old one is not asked for.
        unsafe {
            let action = &raw const *action as usize;
            raw::syscall4(libc::SYS_rt_sigaction, signal as usize, action, 0, size_of::<u64>());
        }
    }
}

unsafe fn is_ignored(signal: i32) -> bool {
    let mut action = raw::Action::DEFAULT;
    // SAFETY: room for an action of the kernel's size, which is not changed.
    unsafe {
        let action = &raw mut action as usize;
        raw::syscall4(libc::SYS_rt_sigaction, signal as usize, 0, action, size_of::<u64>());
    }
    action.is_ignore()
}
