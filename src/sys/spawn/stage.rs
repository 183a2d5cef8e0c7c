//! [`Failure`]: at which [`Stage`] a start failed, and why.

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
    /// The entry into the cgroup that was made for the child.
    Cgroup,
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
    /// The step that brings the child to the foreground of the host's terminal.
    Foreground,
    Exec,
    // The options that are steps.
    Signals,
    Umask,
    Oom,
    Nice,
    Scheduling,
    IoPriority,
    Affinity,
    Limit,
    Capabilities,
    SupplementaryGroups,
    PrimaryGroup,
    User,
    NoNewPrivs,
    /// The binding to the host's life.
    Bound,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Memory => "memory",
            Stage::Clone => "clone",
            Stage::Group => "group",
            Stage::Cgroup => "contain",
            Stage::Stdin => "stdin",
            Stage::Stdout => "stdout",
            Stage::Stderr => "stderr",
            Stage::CloseFds => "close_range",
            Stage::Chdir => "chdir",
            Stage::Descriptor => "descriptor",
            Stage::Terminal => "pty",
            Stage::Foreground => "foreground",
            Stage::Exec => "exec",
            Stage::Signals => "signals",
            Stage::Umask => "umask",
            Stage::Oom => "oom score",
            Stage::Nice => "nice",
            Stage::Scheduling => "scheduling",
            Stage::IoPriority => "io priority",
            Stage::Affinity => "cpu affinity",
            Stage::Limit => "limit",
            Stage::Capabilities => "capabilities",
            Stage::SupplementaryGroups => "supplementary groups",
            Stage::PrimaryGroup => "primary group",
            Stage::User => "user",
            Stage::NoNewPrivs => "no new privileges",
            Stage::Bound => "die with host",
        }
    }

    pub(super) fn from_raw(raw: u32) -> Stage {
        [
            Stage::Memory,
            Stage::Clone,
            Stage::Group,
            Stage::Cgroup,
            Stage::Stdin,
            Stage::Stdout,
            Stage::Stderr,
            Stage::CloseFds,
            Stage::Chdir,
            Stage::Descriptor,
            Stage::Terminal,
            Stage::Foreground,
            Stage::Signals,
            Stage::Umask,
            Stage::Oom,
            Stage::Nice,
            Stage::Scheduling,
            Stage::IoPriority,
            Stage::Affinity,
            Stage::Limit,
            Stage::Capabilities,
            Stage::SupplementaryGroups,
            Stage::PrimaryGroup,
            Stage::User,
            Stage::NoNewPrivs,
            Stage::Bound,
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
    /// What the errno is about: the candidate of an exec, or the step, counted from 0; the number of a descriptor.
    pub(crate) candidate: u32,
}

impl Failure {
    pub(super) fn at(stage: Stage, errno: i32) -> Failure {
        Failure { stage, errno, candidate: 0 }
    }
}
