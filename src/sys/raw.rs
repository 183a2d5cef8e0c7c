//! System calls without libc, for the child between clone and exec: it shares the parent's memory, thread
//! pointer and errno, so nothing may touch thread-local storage. They return a negative errno on failure. See
//! syscall(2), clone(2), rt_sigaction(2).

use std::arch::{asm, naked_asm};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("coreproc supports Linux on x86-64");

/// # Safety
/// As for the system call `number` with these arguments.
#[inline(always)]
pub(super) unsafe fn syscall5(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result: isize;
    // SAFETY: the kernel's x86-64 convention: number in rax, arguments as named, rcx and r11 clobbered; the
    // caller upholds what the call itself needs.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// # Safety
/// As for the system call `number` with these arguments.
#[inline(always)]
pub(super) unsafe fn syscall4(number: i64, a: usize, b: usize, c: usize, d: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall5(number, a, b, c, d, 0) }
}

/// # Safety
/// As for the system call `number` with these arguments.
#[inline(always)]
pub(super) unsafe fn syscall3(number: i64, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall5(number, a, b, c, 0, 0) }
}

/// Runs a clone call whose child continues in `entry(argument)` on the stack that the call's arguments name.
///
/// # Safety
/// `number` is clone or clone3, with flags that make the parent wait (vfork) when memory is shared, and a
/// stack that is the child's alone; `entry` never returns.
#[inline(always)]
pub(super) unsafe fn clone_onto_stack(
    number: i64,
    arguments: [usize; 4],
    entry: unsafe extern "C" fn(*const u8) -> !,
    argument: *const u8,
) -> isize {
    let result: isize;
    // SAFETY: the child never runs past `call`, so it touches no frame of the parent; the kernel keeps every
    // register but rax, rcx and r11 in both, and memory is assumed changed.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") 0usize,
            in("r12") argument,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The action of a signal, as the kernel has it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Action {
    pub(super) handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

impl Action {
    pub(super) const DEFAULT: Action = Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    pub(super) const IGNORE: Action = Action { handler: libc::SIG_IGN, flags: 0, restorer: 0, mask: 0 };

    /// Returns an action whose handler does nothing, and which exec resets.
    pub(super) fn swallow() -> Action {
        /// `SA_RESTORER`: the kernel has nowhere else to return to.
        const RESTORER: usize = 0x0400_0000;
        let flags = libc::SA_RESTART as usize | RESTORER;
        Action { handler: swallow as *const () as usize, flags, restorer: restore as *const () as usize, mask: 0 }
    }

    pub(super) fn is_ignore(&self) -> bool {
        self.handler == libc::SIG_IGN
    }
}

/// Does nothing, without a frame, above all an instrumented one: it runs in a child that has the parent's thread
/// pointer.
#[unsafe(naked)]
extern "C" fn swallow() {
    naked_asm!("ret")
}

#[unsafe(naked)]
extern "C" fn restore() {
    naked_asm!("mov eax, {rt_sigreturn}", "syscall", rt_sigreturn = const libc::SYS_rt_sigreturn)
}
