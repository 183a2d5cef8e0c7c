//! Signals: actions and masks, of this host and of others.

use super::check;
use std::fs::File;

/// Returns the action of each signal as the kernel has it, SIGKILL and SIGSTOP included.
pub fn signal_table() -> Vec<[u64; 4]> {
    (1..=64)
        .map(|signal: libc::c_int| {
            let mut action = [0_u64; 4];
            // SAFETY: the kernel's struct sigaction has at most 32 bytes here, the mask 8.
            let result = unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, std::ptr::null::<u64>(), action.as_mut_ptr(), 8_usize)
            };
            assert_eq!(result, 0, "rt_sigaction {signal}");
            action
        })
        .collect()
}

/// Returns the calling thread's mask, all 64 signals.
pub fn signal_mask() -> u64 {
    let mut mask = 0_u64;
    // SAFETY: room for 8 bytes.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, std::ptr::null::<u64>(), &raw mut mask, 8_usize) };
    assert_eq!(result, 0, "rt_sigprocmask");
    mask
}

/// Returns the mask and the dispositions in an open /proc status file.
pub fn signals_in(status: &File) -> Vec<String> {
    let mut text = [0; 8192];
    let n = std::os::unix::fs::FileExt::read_at(status, &mut text, 0).expect("status");
    let lines = String::from_utf8_lossy(&text[..n]).into_owned();
    let set = |line: &&str| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|name| line.starts_with(name));
    lines.lines().filter(set).map(str::to_owned).collect()
}

pub fn block_all_signals() {
    let mask = u64::MAX;
    // SAFETY: 8 valid bytes.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, std::ptr::null::<u64>(), 8_usize)
    };
    assert_eq!(result, 0, "rt_sigprocmask");
}

/// Sets a signal's action in this process; for hosts of their own only.
pub fn set_action(signal: i32, action: libc::sighandler_t) {
    // SAFETY: SIG_IGN or SIG_DFL.
    let old = unsafe { libc::signal(signal, action) };
    assert_ne!(old, libc::SIG_ERR);
}

/// Gives a signal a handler that does nothing and after which system calls are not restarted; for hosts of their own
/// only.
pub fn set_handler(signal: i32) {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a zeroed sigaction is valid, and so is the handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as libc::sighandler_t;
        check(libc::sigaction(signal, &raw const action, std::ptr::null_mut())).expect("sigaction");
    }
}

/// Sets a signal's action, to the default if none is given. Returns the one before.
pub fn swap_action(signal: i32, action: Option<libc::sigaction>) -> libc::sigaction {
    // SAFETY: a zeroed sigaction is the default; both are valid.
    unsafe {
        let action = action.unwrap_or_else(|| std::mem::zeroed());
        let mut old = std::mem::zeroed();
        check(libc::sigaction(signal, &raw const action, &raw mut old)).expect("sigaction");
        old
    }
}

/// Calls a handler that a sigaction named.
pub fn call_handler(handler: libc::sighandler_t, signal: i32) {
    // SAFETY: a handler of one argument.
    let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
    handler(signal);
}

/// Sends a signal to one thread of this process.
pub fn kill_thread(tid: i32, signal: i32) {
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
    check(result as libc::c_int).expect("tgkill");
}
