//! [`Step`]: a system call that the child makes before exec because an option of the command asks for it. A plan without
//! such options has no step, and costs none.

use super::plan::{Failure, Stage};
use crate::sys::raw;

/// A system call of the child. Steps are made in their order, after its streams, its directory and its descriptors are
/// in place, with all signals blocked.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What an error names.
    pub(crate) stage: Stage,
    pub(crate) call: libc::c_long,
    /// Numbers, or addresses of what the plan's owner keeps until the spawn has returned.
    pub(crate) arguments: [usize; 5],
    pub(crate) expect: Expect,
}

/// What a step has to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
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
            (step, raw::syscall5(step.call, a, b, c, d, e))
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
}
