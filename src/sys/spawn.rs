//! Starting a child: clone with vfork semantics, so that the cost does not grow with the parent's memory.
//!
//! The child shares our memory while the parent's thread waits, runs on a stack of its own with all signals
//! blocked, makes raw system calls alone, and reports a failure as (stage, errno) through a shared page.
//! The ladder, chosen by what the kernel and its filters allow and remembered for the process:
//! clone3 (Linux 5.3; its CLONE_CLEAR_SIGHAND is of 5.5) → clone with the same sharing → fork, where a
//! close-on-exec pipe says when exec has happened → fork with pidfd_open.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crossbeam::queue::ArrayQueue;
use once_cell::sync::Lazy;

use super::deliver::{self, Recipient, Target};
use super::signal::AllBlocked;
use super::strings::Strings;
use super::{descriptor, pidfd, pipe, raw, retried_raw};

/// Where a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Stage {
    /// Making the child's stack and report page.
    Memory = 1,
    /// The clone itself: EAGAIN is RLIMIT_NPROC.
    Clone,
    /// setpgid or setsid.
    Group,
    Stdin,
    Stdout,
    Stderr,
    /// Keeping every other descriptor from the child.
    CloseFds,
    Chdir,
    Exec,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Memory => "memory",
            Stage::Clone => "clone",
            Stage::Group => "group",
            Stage::Stdin => "stdin",
            Stage::Stdout => "stdout",
            Stage::Stderr => "stderr",
            Stage::CloseFds => "close_range",
            Stage::Chdir => "chdir",
            Stage::Exec => "exec",
        }
    }

    fn from_raw(raw: u32) -> Stage {
        [
            Stage::Memory,
            Stage::Clone,
            Stage::Group,
            Stage::Stdin,
            Stage::Stdout,
            Stage::Stderr,
            Stage::CloseFds,
            Stage::Chdir,
        ]
        .into_iter()
        .find(|stage| *stage as u32 == raw)
        .unwrap_or(Stage::Exec)
    }
}

/// Why nothing was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) errno: i32,
    /// Of an exec: which candidate the errno is about, counted from 0.
    pub(crate) candidate: u32,
}

impl Failure {
    fn at(stage: Stage, errno: i32) -> Failure {
        Failure { stage, errno, candidate: 0 }
    }
}

/// The child's process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Grouping {
    Inherit,
    Own,
    Session,
}

/// All that the child needs, made before the clone.
pub(crate) struct Plan<'a> {
    /// Paths for execve, tried in turn.
    pub(crate) candidates: &'a Strings,
    pub(crate) argv: &'a Strings,
    pub(crate) envp: &'a Strings,
    pub(crate) cwd: Option<&'a CStr>,
    /// What becomes 0, 1 and 2: descriptors above 2, or None for the host's own.
    pub(crate) stdio: [Option<&'a OwnedFd>; 3],
    pub(crate) grouping: Grouping,
}

/// A running child that nobody has waited for.
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Starts a child; returns once exec has succeeded or the child is gone again.
pub(crate) fn spawn(plan: &Plan<'_>) -> Result<Started, Failure> {
    let (candidates, argv, envp) = (plan.candidates.addresses(), plan.argv.addresses(), plan.envp.addresses());
    let arena = Arena::take().map_err(|errno| Failure::at(Stage::Memory, errno))?;
    let context = Context {
        candidates: candidates.as_ptr(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        cwd: plan.cwd.map_or(std::ptr::null(), CStr::as_ptr),
        stdio: plan.stdio.map(|fd| fd.map_or(-1, AsRawFd::as_raw_fd)),
        grouping: plan.grouping,
        gate: [-1; 3],
        report: arena.report,
    };
    let outcome = run_ladder(&context, &arena);
    let report = arena.report();
    let failure = report.failure();
    report.clear();
    arena.put_back();
    let started = outcome?;
    match failure {
        None => Ok(started),
        Some(failure) => {
            pidfd::reap_blocking(&started.pidfd, started.pid);
            Err(failure)
        }
    }
}

/// What the child reads; lives in the parent's frame, or in a fork's copy of it.
#[repr(C)]
struct Context {
    candidates: *const usize,
    argv: *const usize,
    envp: *const usize,
    cwd: *const libc::c_char,
    stdio: [i32; 3],
    grouping: Grouping,
    /// See [`pass_gate`]; -1 if there is none.
    gate: [i32; 3],
    report: *const Report,
}

/// In a page shared with the child, also across a fork (and under emulators that make a vfork a fork).
#[repr(C)]
struct Report {
    stage: AtomicU32,
    errno: AtomicU32,
    candidate: AtomicU32,
}

impl Report {
    fn failure(&self) -> Option<Failure> {
        match self.stage.load(Ordering::Acquire) {
            0 => None,
            stage => Some(Failure {
                stage: Stage::from_raw(stage),
                errno: self.errno.load(Ordering::Relaxed) as i32,
                candidate: self.candidate.load(Ordering::Relaxed),
            }),
        }
    }

    fn clear(&self) {
        self.stage.store(0, Ordering::Relaxed);
    }
}

/// The child's stack, with a guard page below it, and its report page.
struct Arena {
    base: *mut libc::c_void,
    report: *const Report,
}

// SAFETY: an arena is used by one spawn at a time.
unsafe impl Send for Arena {}

const PAGE: usize = 4096;
const STACK: usize = 64 * 1024;
/// As many as there are spawns at once on most machines; more are made and unmapped.
static ARENAS: Lazy<ArrayQueue<Arena>> = Lazy::new(|| ArrayQueue::new(8));

impl Arena {
    fn take() -> Result<Arena, i32> {
        if let Some(arena) = ARENAS.pop() {
            return Ok(arena);
        }
        let map = |length: usize, flags: i32| {
            // SAFETY: a new anonymous mapping.
            let base = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    length,
                    libc::PROT_READ | libc::PROT_WRITE,
                    flags | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            if base == libc::MAP_FAILED { Err(super::errno()) } else { Ok(base) }
        };
        let base = map(PAGE + STACK, libc::MAP_PRIVATE | libc::MAP_STACK | libc::MAP_NORESERVE)?;
        let report = match map(PAGE, libc::MAP_SHARED) {
            Ok(report) => report,
            Err(errno) => {
                // SAFETY: mapped above.
                unsafe { libc::munmap(base, PAGE + STACK) };
                return Err(errno);
            }
        };
        // SAFETY: the lowest page of the mapping; without it an overflow would only be less loud.
        unsafe { libc::mprotect(base, PAGE, libc::PROT_NONE) };
        Ok(Arena { base, report: report.cast() })
    }

    fn put_back(self) {
        // A full queue gives it back, and dropping unmaps it.
        drop(ARENAS.push(self));
    }

    fn stack_top(&self) -> usize {
        self.base as usize + PAGE + STACK
    }

    fn report(&self) -> &Report {
        // SAFETY: mapped, zero-filled and alive as long as the arena.
        unsafe { &*self.report }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: both were mapped in `take` with these lengths, and nobody uses them any more.
        unsafe {
            libc::munmap(self.base, PAGE + STACK);
            libc::munmap(self.report.cast_mut().cast(), PAGE);
        }
    }
}

const RUNGS: u8 = 4;

fn run_ladder(context: &Context, arena: &Arena) -> Result<Started, Failure> {
    static LOWEST: AtomicU8 = AtomicU8::new(0);
    let first = LOWEST.load(Ordering::Relaxed);
    let mut refused = Failure::at(Stage::Clone, libc::ENOSYS);
    for rung in first..RUNGS {
        let outcome = match rung {
            0 => by_clone3(context, arena),
            1 => by_clone(context, arena),
            2 => by_fork(context, libc::CLONE_PIDFD),
            _ => by_fork(context, 0),
        };
        match outcome {
            // What a kernel without the call or the flag says, and what filters say.
            Err(errno @ (libc::ENOSYS | libc::EINVAL | libc::EPERM)) => {
                refused.errno = errno;
            }
            Err(errno) => return Err(Failure::at(Stage::Clone, errno)),
            Ok(started) => {
                if rung > first {
                    LOWEST.fetch_max(rung, Ordering::Relaxed);
                }
                return Ok(started);
            }
        }
    }
    Err(refused)
}

/// What clone(2) and clone3(2) leave: the PID and, by way of a pointer, the pidfd.
fn started(pid: isize, pidfd: i32) -> Result<Started, i32> {
    if pid < 0 {
        return Err(-pid as i32);
    }
    // SAFETY: the kernel made it for us alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let started = Started { pid: pid as i32, pidfd };
    if started.pidfd.as_raw_fd() > 2 {
        return Ok(started);
    }
    match descriptor::duplicate(started.pidfd.as_fd()) {
        Ok(pidfd) => Ok(Started { pidfd, ..started }),
        Err(errno) => {
            give_up(started);
            Err(errno)
        }
    }
}

fn give_up(started: Started) {
    let Started { pid, pidfd } = &started;
    let _ = deliver::send(Recipient { pidfd, pid: *pid, target: Target::Process, address: None }, libc::SIGKILL);
    pidfd::reap_blocking(pidfd, *pid);
}

fn by_clone3(context: &Context, arena: &Arena) -> Result<Started, i32> {
    /// `struct clone_args`, its first version: 64 bytes.
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
    }
    const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;
    let mut pidfd: i32 = -1;
    let arguments = CloneArgs {
        flags: (libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK) as u64 | CLONE_CLEAR_SIGHAND,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: arena.base as u64 + PAGE as u64,
        stack_size: STACK as u64,
        ..CloneArgs::default()
    };
    let pid = {
        let _blocked = AllBlocked::new();
        // SAFETY: vfork semantics, a stack of its own; `child` never returns.
        unsafe {
            raw::clone_onto_stack(
                libc::SYS_clone3,
                [&raw const arguments as usize, size_of::<CloneArgs>(), 0, 0],
                child,
                (&raw const *context).cast(),
            )
        }
    };
    started(pid, pidfd)
}

fn by_clone(context: &Context, arena: &Arena) -> Result<Started, i32> {
    let mut pidfd: i32 = -1;
    let flags = libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let pid = {
        let _blocked = AllBlocked::new();
        // SAFETY: vfork semantics, a stack of its own; `child` never returns.
        unsafe {
            raw::clone_onto_stack(
                libc::SYS_clone,
                [flags as usize, arena.stack_top(), &raw mut pidfd as usize, 0],
                child,
                (&raw const *context).cast(),
            )
        }
    };
    started(pid, pidfd)
}

/// Without shared memory: costs the copy of the parent's page tables. `pidfd_flag` is CLONE_PIDFD or 0.
fn by_fork(context: &Context, pidfd_flag: i32) -> Result<Started, i32> {
    if pidfd_flag == 0 {
        // Asked before there is a child that could not be watched.
        pidfd::open(std::process::id() as i32)?;
    }
    let (exec_done, held_by_child) = pipe::pipe()?;
    let gate = if pidfd_flag == 0 { Some(pipe::pipe()?) } else { None };
    let context = &Context {
        gate: gate
            .as_ref()
            .map_or([-1; 3], |(wait, open)| [wait.as_raw_fd(), open.as_raw_fd(), held_by_child.as_raw_fd()]),
        ..*context
    };
    let mut pidfd: i32 = -1;
    let pid = {
        let _blocked = AllBlocked::new();
        // SAFETY: the child is a copy that runs `child` alone, on its copy of this stack.
        unsafe {
            let pid =
                raw::syscall5(libc::SYS_clone, (pidfd_flag | libc::SIGCHLD) as usize, 0, &raw mut pidfd as usize, 0, 0);
            if pid == 0 {
                child((&raw const *context).cast());
            }
            pid
        }
    };
    drop(held_by_child);
    if pid > 0
        && let Some((_, gate)) = gate
    {
        pidfd = open_at_gate(pid as i32, &gate, &exec_done)?.into_raw_fd();
    }
    let started = started(pid, pidfd)?;
    // The child writes no more: the end comes with exec, or with its death.
    read_byte(&exec_done);
    Ok(started)
}

/// The pidfd of a child that waits at its gate. The host may reap it at any moment, if it reaps everything, and the
/// number is another's then: so the child, let through, says that it has been there all the time.
fn open_at_gate(pid: i32, gate: &OwnedFd, answer: &OwnedFd) -> Result<OwnedFd, i32> {
    let opened = pidfd::open(pid);
    // Without a reader there is no child any more, which the missing answer tells.
    let _ = pipe::write(gate, if opened.is_ok() { &[LET_THROUGH] } else { b"x" });
    if read_byte(answer) && opened.is_ok() {
        return opened;
    }
    reap_own(pid);
    opened.and(Err(libc::ECHILD))
}

/// What the child at the gate waits for; at anything else it ends.
const LET_THROUGH: u8 = b'>';

/// Waits for a byte; false at the end.
fn read_byte(fd: &OwnedFd) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte.
    let read = retried_raw(|| unsafe { libc::syscall(libc::SYS_read, fd.as_raw_fd(), &raw mut byte, 1usize) });
    read == Ok(1)
}

/// Reaps a child that has ended and that this very thread has started: another thread's may have its number by now.
fn reap_own(pid: i32) {
    let options = libc::WEXITED | libc::__WNOTHREAD;
    let none = std::ptr::null_mut::<u8>();
    // SAFETY: neither siginfo nor rusage is asked for.
    let _ = retried_raw(|| unsafe { libc::syscall(libc::SYS_waitid, libc::P_PID, pid, none, options, none) });
}

/// In the child: waits until the parent has the pidfd; false when it cannot have one.
///
/// # Safety
/// As for [`child`].
unsafe fn pass_gate([wait, open, answer]: [i32; 3]) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte each, of our copy of the stack; our copy of the other end would keep the pipe from ending.
    unsafe {
        raw::syscall3(libc::SYS_close, open as usize, 0, 0);
        raw::syscall3(libc::SYS_read, wait as usize, &raw mut byte as usize, 1);
        byte == LET_THROUGH && raw::syscall3(libc::SYS_write, answer as usize, &raw const byte as usize, 1) == 1
    }
}

/// The child, from clone to exec. Nothing here may allocate, lock, panic, or touch thread-local storage; and
/// nothing calls a function that does not return, before which sanitizers look at a stack that is not theirs.
unsafe extern "C" fn child(context: *const u8) -> ! {
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
        (*context.report).errno.store(failure.errno as u32, Ordering::Relaxed);
        (*context.report).candidate.store(failure.candidate, Ordering::Relaxed);
        (*context.report).stage.store(failure.stage as u32, Ordering::Release);
        loop {
            raw::syscall3(libc::SYS_exit_group, 127, 0, 0);
        }
    }
}

/// Everything before exec.
unsafe fn prepare(context: &Context) -> Result<(), Failure> {
    // SAFETY: the pointers in the context; raw system calls only.
    unsafe {
        // First of all: until then what is sent to the host's group is sent to the child as well.
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
        check(Stage::Stdin, place(context.stdio[0], 0))?;
        check(Stage::Stdout, place(context.stdio[1], 1))?;
        check(Stage::Stderr, place(context.stdio[2], 2))?;
        check(Stage::CloseFds, hide_descriptors())?;
        if !context.cwd.is_null() {
            check(Stage::Chdir, raw::syscall3(libc::SYS_chdir, context.cwd as usize, 0, 0))?;
        }
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

/// Every signal at its default: a host that ignores SIGPIPE must not give that to its children. (CLONE_CLEAR_SIGHAND
/// resets handlers alone.) What came before the child had its group was meant for the host's, a Ctrl-Z or Ctrl-C most
/// of all: it waits, blocked, and is dropped by ignoring the signal for a moment. A child that stopped here would hold
/// the host in its clone for ever, as the SIGCONT of the host's group does not reach it.
unsafe fn signals_in_its_own_group() {
    let mut pending: u64 = 0;
    // SAFETY: room for a set; whole actions.
    unsafe {
        raw::syscall3(libc::SYS_rt_sigpending, &raw mut pending as usize, size_of::<u64>(), 0);
        let mut signal = 1;
        while signal <= super::signal::MAX {
            if pending & (1 << (signal - 1)) != 0 {
                set_action(signal, &raw::Action::IGNORE);
            }
            set_action(signal, &raw::Action::DEFAULT);
            signal += 1;
        }
    }
}

/// As in a group of its own, but what comes for the group is for the child as well, with two exceptions. What the host
/// was told to ignore from the outside (SIGHUP by nohup, SIGINT and SIGQUIT by a shell's `&`) stays ignored. And a
/// Ctrl-Z until exec is lost, by a handler that does nothing and that exec resets: a child that stopped would keep the
/// host in its clone, so that the host could not stop, and its shell would wait for it.
unsafe fn signals_in_the_hosts_group() {
    let mut signal = 1;
    while signal <= super::signal::MAX {
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

unsafe fn place(source: i32, target: i32) -> isize {
    // SAFETY: no pointers. A duplicate has no close-on-exec flag; the host's own loses it.
    unsafe {
        if source >= 0 {
            raw::syscall3(libc::SYS_dup2, source as usize, target as usize, 0)
        } else {
            raw::syscall3(libc::SYS_fcntl, target as usize, libc::F_SETFD as usize, 0)
        }
    }
}

/// Everything above 2 is closed by exec. close_range is of Linux 5.9 (its flag of 5.11).
unsafe fn hide_descriptors() -> isize {
    // SAFETY: no pointers.
    let result =
        unsafe { raw::syscall3(libc::SYS_close_range, 3, u32::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize) };
    if result == 0 {
        return 0;
    }
    // SAFETY: as the caller's.
    unsafe { hide_listed_descriptors() }
}

/// For kernels without close_range: what /proc/self/fd lists.
unsafe fn hide_listed_descriptors() -> isize {
    const NAME: usize = 19; // offset of d_name in linux_dirent64
    // SAFETY: a literal path, a buffer of the size said, records as getdents64 lays them out.
    unsafe {
        let folder = raw::syscall3(
            libc::SYS_open,
            c"/proc/self/fd".as_ptr() as usize,
            (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) as usize,
            0,
        );
        if folder < 0 {
            return folder;
        }
        #[repr(align(8))]
        struct Records([u8; 2048]);
        let mut records = Records([0; 2048]);
        let base = (&raw mut records.0).cast::<u8>();
        loop {
            let length = raw::syscall3(libc::SYS_getdents64, folder as usize, base as usize, 2048);
            if length <= 0 {
                return length;
            }
            let mut at = 0usize;
            while at < length as usize {
                let record = base.add(at);
                let size = record.add(16).cast::<u16>().read() as usize;
                let mut number = 0i32;
                let mut name = record.add(NAME);
                let mut is_number = false;
                while (*name).wrapping_sub(b'0') < 10 {
                    number = number.wrapping_mul(10).wrapping_add((*name - b'0') as i32);
                    is_number = true;
                    name = name.add(1);
                }
                if is_number && number > 2 {
                    raw::syscall3(libc::SYS_fcntl, number as usize, libc::F_SETFD as usize, libc::FD_CLOEXEC as usize);
                }
                at = at.wrapping_add(size);
            }
        }
    }
}

/// Tries each candidate; returns what to report. A file that is being written (ETXTBSY) is tried again for
/// 100 ms: a concurrent fork of the host may still hold the descriptor it was written through.
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
