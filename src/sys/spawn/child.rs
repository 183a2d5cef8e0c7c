//! The child, from clone to exec. It shares the parent's memory, thread pointer and errno, so only raw system calls are
//! made, and nothing allocates, locks, panics or touches thread-local storage.
//!
//! System calls: setpgid(2), setsid(2), openat(2), write(2), dup2(2), fcntl(2), chdir(2), fchdir(2), rt_sigprocmask(2),
//! execve(2), nanosleep(2), exit_group(2).

use super::arena::Report;
use super::descriptors::{Placed, hide_descriptors, place_descriptors, write_pid};
use super::gate::pass_gate;
use super::plan::Grouping;
use super::signals::{signals_in_its_own_group, signals_in_the_hosts_group};
use super::stage::{Failure, Stage};
use super::step::{Step, take_steps};
use crate::sys::raw;

/// The context that the child reads: addresses of what the plan holds, in the parent's frame or in a fork's copy of it.
#[repr(C)]
pub(super) struct Context {
    pub(super) candidates: *const usize,
    pub(super) argv: *const usize,
    pub(super) envp: *const usize,
    pub(super) cwd: *const libc::c_char,
    /// The directory as a descriptor; -1 if it is not given as one.
    pub(super) cwd_fd: i32,
    pub(super) stdio: [i32; 3],
    /// The descriptors above 2, and how many they are.
    pub(super) placed: *const Placed,
    pub(super) placed_count: usize,
    /// The place in the environment for the child's own PID; null if it has none.
    pub(super) pid_place: *mut u8,
    pub(super) grouping: Grouping,
    /// The directory of the cgroup that the child enters; -1 if it enters none, or begins in it.
    pub(super) cgroup: i32,
    /// What else the child does, and how many steps that are.
    pub(super) steps: *const Step,
    pub(super) step_count: usize,
    /// See [`pass_gate`]; -1 if there is none.
    pub(super) gate: [i32; 3],
    pub(super) report: *const Report,
}

impl Context {
    /// Returns whether the child gets a descriptor at this number.
    pub(super) fn places_at(&self, number: i32) -> bool {
        // SAFETY: the array has so many elements, and lives as long as the context.
        let placed = unsafe { std::slice::from_raw_parts(self.placed, self.placed_count) };
        placed.iter().any(|placed| placed.target == number)
    }
}

/// Prepares and execs, or reports why it cannot. Nothing here calls a function that does not return, because before
/// such a call sanitizers look at a stack that is not theirs.
///
/// # Safety
/// `context` is a [`Context`] whose addresses are valid until exec, and this is the child of a clone.
pub(super) unsafe extern "C" fn child(context: *const u8) -> ! {
    // SAFETY: the parent's frame, or our copy of it, holds the context until exec.
    let context = unsafe { &*context.cast::<Context>() };
    // SAFETY: all pointers were made by `spawn` and outlive us; the report page is mapped in parent and child.
    unsafe {
        while context.gate[0] >= 0 && !pass_gate(context.gate) {
            raw::syscall3(libc::SYS_exit_group, 127, 0, 0);
        }
        let failure = match prepare(context) {
            Ok(()) => exec(context),
            Err(failure) => failure,
        };
        (*context.report).tell(failure);
        loop {
            raw::syscall3(libc::SYS_exit_group, 127, 0, 0);
        }
    }
}

/// Takes all steps before exec.
unsafe fn prepare(context: &Context) -> Result<(), Failure> {
    // SAFETY: the pointers in the context; raw system calls only.
    unsafe {
        // This comes first: until then a signal to the host's group reaches the child as well.
        let grouped = match context.grouping {
            Grouping::Inherit => 0,
            Grouping::Own => raw::syscall3(libc::SYS_setpgid, 0, 0, 0),
            Grouping::Session => raw::syscall3(libc::SYS_setsid, 0, 0, 0),
        };
        check(Stage::Group, grouped)?;
        match context.grouping {
            Grouping::Inherit => signals_in_the_hosts_group(),
            Grouping::Own | Grouping::Session => signals_in_its_own_group(),
        }
        check(Stage::Cgroup, enter_cgroup(context.cgroup))?;
        check(Stage::Stdin, place(context.stdio[0], 0))?;
        check(Stage::Stdout, place(context.stdio[1], 1))?;
        check(Stage::Stderr, place(context.stdio[2], 2))?;
        check(Stage::CloseFds, hide_descriptors())?;
        if context.cwd_fd >= 0 {
            check(Stage::Chdir, raw::syscall3(libc::SYS_fchdir, context.cwd_fd as usize, 0, 0))?;
        }
        if !context.cwd.is_null() {
            check(Stage::Chdir, raw::syscall3(libc::SYS_chdir, context.cwd as usize, 0, 0))?;
        }
        if let Err((number, errno)) = place_descriptors(context.placed, context.placed_count) {
            return Err(Failure { candidate: number as u32, ..Failure::at(Stage::Descriptor, errno) });
        }
        if !context.pid_place.is_null() {
            write_pid(context.pid_place, raw::syscall3(libc::SYS_getpid, 0, 0, 0) as u32);
        }
        take_steps(context.steps, context.step_count)?;
        let none: u64 = 0;
        raw::syscall4(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK as usize,
            &raw const none as usize,
            0,
            size_of::<u64>(),
        );
    }
    Ok(())
}

/// Moves the child into a cgroup: writes to `cgroup.procs`, where 0 names the writer.
unsafe fn enter_cgroup(directory: i32) -> isize {
    if directory < 0 {
        return 0;
    }
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: literal strings. The descriptor is closed here, so that it lies in the way of nothing.
    unsafe {
        let procs = raw::syscall4(libc::SYS_openat, directory as usize, c"cgroup.procs".as_ptr() as usize, flags, 0);
        if procs < 0 {
            return procs;
        }
        let written = raw::syscall3(libc::SYS_write, procs as usize, c"0".as_ptr() as usize, 1);
        raw::syscall3(libc::SYS_close, procs as usize, 0, 0);
        written
    }
}

/// Makes `source` (if it is negative, the host's own stream) the standard stream `target`.
unsafe fn place(source: i32, target: i32) -> isize {
    // SAFETY: no pointers. A duplicate has no close-on-exec flag; the flag of the host's own is cleared.
    unsafe {
        if source >= 0 {
            raw::syscall3(libc::SYS_dup2, source as usize, target as usize, 0)
        } else {
            raw::syscall3(libc::SYS_fcntl, target as usize, libc::F_SETFD as usize, 0)
        }
    }
}

/// Tries each candidate. Returns the failure to report. A file that is being written (ETXTBSY) is tried again for 100
/// ms: a concurrent fork of the host may still hold the descriptor it was written through.
unsafe fn exec(context: &Context) -> Failure {
    let mut denied = None;
    let mut last = Failure::at(Stage::Exec, libc::ENOENT);
    let mut candidate = context.candidates;
    let mut patience_ms = 100i64;
    // SAFETY: null-terminated arrays of C strings.
    unsafe {
        while *candidate != 0 {
            let result = raw::syscall3(libc::SYS_execve, *candidate, context.argv as usize, context.envp as usize);
            last.errno = -result as i32;
            match last.errno {
                libc::ETXTBSY if patience_ms > 0 => {
                    patience_ms -= 2;
                    let pause = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
                    raw::syscall3(libc::SYS_nanosleep, &raw const pause as usize, 0, 0);
                    continue;
                }
                libc::EACCES if denied.is_none() => denied = Some(last),
                libc::EACCES => {}
                libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ESTALE | libc::ETIMEDOUT => {}
                _ => return last,
            }
            candidate = candidate.add(1);
            last.candidate = last.candidate.wrapping_add(1);
        }
    }
    denied.unwrap_or(last)
}

fn check(stage: Stage, result: isize) -> Result<(), Failure> {
    if result < 0 { Err(Failure::at(stage, -result as i32)) } else { Ok(()) }
}
