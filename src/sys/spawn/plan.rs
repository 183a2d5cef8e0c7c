//! [`Plan`]: all that the child needs, made before the clone.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::step::Step;
use crate::sys::strings::Strings;

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
    /// The directory instead of `cwd`, at a number above 2.
    pub(crate) cwd_fd: Option<&'a OwnedFd>,
    /// The descriptors that become 0, 1 and 2: each above 2, or None for the host's own.
    pub(crate) stdio: [Option<&'a OwnedFd>; 3],
    /// What the child gets at numbers above 2, which differ.
    pub(crate) descriptors: &'a [(u16, Arc<OwnedFd>)],
    /// Whether the last string of `envp` ends with [`PID_ROOM`], into which the child writes its PID.
    pub(crate) has_pid_room: bool,
    pub(crate) grouping: Grouping,
    /// The directory of the cgroup that the child begins in; None: the host's.
    pub(crate) cgroup: Option<&'a OwnedFd>,
    /// What else the child does before exec.
    pub(crate) steps: &'a [Step],
    /// Whether the child gets a copy of the host's memory instead of sharing it, at a cost that grows with the host.
    /// One that changes its credentials needs that: the kernel would make the shared memory undumpable, so the host as
    /// well, and a process of the child's new user could reach into it.
    pub(crate) own_memory: bool,
}

/// Room for a process id as text.
pub(crate) const PID_ROOM: [u8; 10] = [0; 10];

/// A running child that was not waited for yet.
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}
