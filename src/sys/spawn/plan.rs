//! [`Plan`]: all that the child needs, made before the clone; and [`Failure`]: at which stage a start failed, and why.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::step::Step;
use crate::sys::strings::Strings;

/// The step at which a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Stage {
    /// The making of the child's stack and report page.
    Memory = 1,
    /// The clone itself: EAGAIN is RLIMIT_NPROC.
    Clone,
    /// setpgid or setsid.
    Group,
    Stdin,
    Stdout,
    Stderr,
    /// The step that keeps every other descriptor from the child.
    CloseFds,
    Chdir,
    /// The step that gives the child a descriptor above 2.
    Descriptor,
    /// The step that makes a pseudo-terminal the child's controlling terminal.
    Terminal,
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
            Stage::Descriptor => "descriptor",
            Stage::Terminal => "pty",
            Stage::Exec => "exec",
        }
    }

    pub(super) fn from_raw(raw: u32) -> Stage {
        [
            Stage::Memory,
            Stage::Clone,
            Stage::Group,
            Stage::Stdin,
            Stage::Stdout,
            Stage::Stderr,
            Stage::CloseFds,
            Stage::Chdir,
            Stage::Descriptor,
            Stage::Terminal,
        ]
        .into_iter()
        .find(|stage| *stage as u32 == raw)
        .unwrap_or(Stage::Exec)
    }
}

/// The reason why no child was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) errno: i32,
    /// What the errno is about: the candidate of an exec, counted from 0; the number of a descriptor.
    pub(crate) candidate: u32,
}

impl Failure {
    pub(super) fn at(stage: Stage, errno: i32) -> Failure {
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
    /// The descriptors that become 0, 1 and 2: each above 2, or None for the host's own.
    pub(crate) stdio: [Option<&'a OwnedFd>; 3],
    /// What the child gets at numbers above 2, which differ.
    pub(crate) descriptors: &'a [(u16, Arc<OwnedFd>)],
    /// Whether the last string of `envp` ends with [`PID_ROOM`], into which the child writes its PID.
    pub(crate) has_pid_room: bool,
    pub(crate) grouping: Grouping,
    /// What else the child does before exec.
    pub(crate) steps: &'a [Step],
}

/// Room for a process id as text.
pub(crate) const PID_ROOM: [u8; 10] = [0; 10];

/// A running child that was not waited for yet.
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}
