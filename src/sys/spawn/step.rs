//! [`Step`]: a system call that the child makes before exec because an option of the command asks for it. A plan without
//! such options has no step, and costs none.

use std::ffi::CStr;

use super::stage::{Failure, Stage};
use crate::sys::{capability, raw};

/// A system call of the child. Steps are made in their order, after its streams, its directory and its descriptors are
/// in place, with all signals blocked.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What an error names.
    pub(crate) stage: Stage,
    /// A number of a system call, or one of the sequences below.
    pub(crate) call: libc::c_long,
    /// Numbers, or addresses of what the plan's owner keeps until the spawn has returned.
    pub(crate) arguments: [usize; 5],
    pub(crate) expect: Expect,
}

/// A sequence of system calls instead of one: opens the file at an address, and writes so many bytes from another.
const WRITE_FILE: libc::c_long = -1;
/// A sequence of system calls: drops the capabilities of a mask from all sets but the bounding one.
const DROP_CAPABILITIES: libc::c_long = -2;
/// A sequence of system calls: brings the child's own group to the foreground of a terminal.
const TAKE_FOREGROUND: libc::c_long = -3;

/// What a step has to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Anything but an error.
    Success,
    /// This error: the call must be refused.
    Refused(i32),
    /// This value; another one fails with the given errno.
    Value(isize, i32),
}

impl Step {
    pub(crate) fn new(stage: Stage, call: libc::c_long, arguments: [usize; 5]) -> Step {
        Step { stage, call, arguments, expect: Expect::Success }
    }

    pub(crate) fn drop_capabilities(mask: u64) -> Step {
        Step::new(Stage::Capabilities, DROP_CAPABILITIES, [mask as usize, 0, 0, 0, 0])
    }

    /// Makes the step by which a child that leads a group brings that to the foreground. All signals are blocked, so that
    /// SIGTTOU does not stop it.
    pub(crate) fn take_foreground(terminal: i32) -> Step {
        Step::new(Stage::Foreground, TAKE_FOREGROUND, [terminal as usize, 0, 0, 0, 0])
    }

    /// Makes a step that must be refused with EPERM.
    pub(crate) fn refused(self) -> Step {
        Step { expect: Expect::Refused(libc::EPERM), ..self }
    }
}

/// The steps of a plan, with what their addresses point to.
#[derive(Default)]
pub(crate) struct Steps {
    list: Vec<Step>,
    kept: Vec<Box<[u64]>>,
    /// Whether the child must not share the host's memory: see [`Plan::own_memory`](super::Plan).
    pub(crate) own_memory: bool,
}

impl Steps {
    pub(crate) fn list(&self) -> &[Step] {
        &self.list
    }

    pub(crate) fn add(&mut self, step: Step) {
        self.list.push(step);
    }

    /// Adds a system call that must succeed.
    pub(crate) fn call(&mut self, stage: Stage, call: libc::c_long, arguments: [usize; 5]) {
        self.add(Step::new(stage, call, arguments));
    }

    /// Adds the writing of a file that exists.
    pub(crate) fn write_file(&mut self, stage: Stage, path: &'static CStr, text: &str) {
        let at = self.keep(text.as_bytes());
        self.call(stage, WRITE_FILE, [path.as_ptr() as usize, at, text.len(), 0, 0]);
    }

    /// Keeps a copy of these bytes for a step. Returns its address, which is a multiple of 8.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> usize {
        let word = |part: &[u8]| {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            u64::from_ne_bytes(word)
        };
        let words: Box<[u64]> = bytes.chunks(8).map(word).collect();
        let address = words.as_ptr() as usize;
        self.kept.push(words);
        address
    }
}

/// Makes the steps. The failure of one names its place, counted from 0.
///
/// # Safety
/// In the child alone; `steps` has `count` elements, whose addresses are valid.
pub(super) unsafe fn take_steps(steps: *const Step, count: usize) -> Result<(), Failure> {
    let mut at = 0;
    while at < count {
        // SAFETY: within the array; the arguments are the plan's.
        let (step, result) = unsafe {
            let step = &*steps.add(at);
            let [a, b, c, d, e] = step.arguments;
            let result = match step.call {
                WRITE_FILE => write_file(a, b, c),
                TAKE_FOREGROUND => take_foreground(a),
                DROP_CAPABILITIES => capability::drop_of_this_thread(a as u64),
                call => raw::syscall5(call, a, b, c, d, e),
            };
            (step, result)
        };
        let errno = match step.expect {
            Expect::Success if result < 0 => -result as i32,
            // What must be refused was granted.
            Expect::Refused(_) if result >= 0 => libc::EPERM,
            Expect::Refused(errno) if result != -(errno as isize) => -result as i32,
            Expect::Value(value, errno) if result != value => errno,
            _ => 0,
        };
        if errno != 0 {
            return Err(Failure { candidate: at as u32, ..Failure::at(step.stage, errno) });
        }
        at = at.wrapping_add(1);
    }
    Ok(())
}

unsafe fn take_foreground(terminal: usize) -> isize {
    // SAFETY: TIOCSPGRP reads one pid_t.
    unsafe {
        let group = raw::syscall3(libc::SYS_getpid, 0, 0, 0) as libc::pid_t;
        raw::syscall3(libc::SYS_ioctl, terminal, libc::TIOCSPGRP as usize, &raw const group as usize)
    }
}

unsafe fn write_file(path: usize, text: usize, length: usize) -> isize {
    // SAFETY: a path and as many bytes, which the plan's owner keeps.
    unsafe {
        let file = raw::syscall3(libc::SYS_open, path, (libc::O_WRONLY | libc::O_CLOEXEC) as usize, 0);
        if file < 0 {
            return file;
        }
        let written = raw::syscall3(libc::SYS_write, file as usize, text, length);
        raw::syscall3(libc::SYS_close, file as usize, 0, 0);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(steps: &[Step]) -> Result<(), (u32, i32)> {
        // SAFETY: calls without an effect.
        unsafe { take_steps(steps.as_ptr(), steps.len()) }.map_err(|failure| (failure.candidate, failure.errno))
    }

    #[test]
    fn a_step_that_returns_something_else_fails_at_its_place() {
        let pid = std::process::id() as isize;
        let getpid = Step::new(Stage::Exec, libc::SYS_getpid, [0; 5]);
        let close = Step::new(Stage::Exec, libc::SYS_close, [usize::MAX, 0, 0, 0, 0]);
        assert_eq!(take(&[]), Ok(()));
        assert_eq!(take(&[getpid, Step { expect: Expect::Value(pid, libc::ESRCH), ..getpid }]), Ok(()));
        assert_eq!(take(&[Step { expect: Expect::Value(1, libc::ESRCH), ..getpid }]), Err((0, libc::ESRCH)));
        assert_eq!(take(&[getpid, close, getpid]), Err((1, libc::EBADF)));
        assert_eq!(take(&[Step { expect: Expect::Refused(libc::EBADF), ..close }]), Ok(()));
        assert_eq!(take(&[Step { expect: Expect::Refused(libc::EPERM), ..close }]), Err((0, libc::EBADF)));
        assert_eq!(take(&[Step { expect: Expect::Refused(libc::EPERM), ..getpid }]), Err((0, libc::EPERM)));
    }

    #[test]
    fn a_file_is_written_and_one_that_does_not_exist_fails() {
        let mut steps = Steps::default();
        steps.write_file(Stage::Oom, c"/dev/null", "some text");
        assert_eq!(take(steps.list()), Ok(()));
        steps.write_file(Stage::Oom, c"/proc/no-such-file", "some text");
        assert_eq!(take(steps.list()), Err((1, libc::ENOENT)));
        assert_eq!(steps.keep(b"123456789") % 8, 0);
    }
}
