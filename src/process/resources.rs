//! [`Resource`], [`Scheduling`] and [`IoPriority`]: what a process may use, and before which others it comes; and
//! [`Limits`].

/// A limit of the kernel's for one process, `RLIMIT_` and this name in getrlimit(2), which has their units.
///
/// ```
/// use coreproc::{Command, Resource, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let mut command = Command::new("sh");
/// command.args(["-c", "ulimit -n; ulimit -c"]).resource_limit(Resource::Nofile, 64, 64);
/// let process = command.resource_limit(Resource::Core, 0, 0).spawn(&service)?;
/// process.wait(None)?;
/// assert_eq!(process.output()?, b"64\n0\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Resource {
    /// Processor time, in seconds. At the soft limit the process gets SIGXCPU, at the hard one SIGKILL.
    Cpu = 0,
    /// The size of a file that it writes, in bytes.
    Fsize,
    /// Its data segment, in bytes.
    Data,
    /// Its stack, in bytes. It bounds the arguments too.
    Stack,
    /// A core dump, in bytes.
    Core,
    /// Its resident memory; without an effect in today's kernels.
    Rss,
    /// The number of processes and threads of its user. The kernel does not apply it to root.
    Nproc,
    /// One more than the greatest descriptor that it may open.
    Nofile,
    /// Its locked memory, in bytes.
    Memlock,
    /// Its address space, in bytes.
    As,
    /// Locks of files; without an effect in today's kernels.
    Locks,
    /// Signals that wait for its user.
    Sigpending,
    /// Message queues of its user, in bytes.
    Msgqueue,
    /// The best nice value that it may set: 20 minus this.
    Nice,
    /// The highest real-time priority that it may set.
    Rtprio,
    /// Processor time under a real-time policy without a blocking call, in microseconds.
    Rttime,
}

impl Resource {
    /// All of them, in the order of their numbers.
    pub const ALL: [Resource; 16] = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ];

    /// Returns the name in lower case, such as `nofile`.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Fsize => "fsize",
            Resource::Data => "data",
            Resource::Stack => "stack",
            Resource::Core => "core",
            Resource::Rss => "rss",
            Resource::Nproc => "nproc",
            Resource::Nofile => "nofile",
            Resource::Memlock => "memlock",
            Resource::As => "as",
            Resource::Locks => "locks",
            Resource::Sigpending => "sigpending",
            Resource::Msgqueue => "msgqueue",
            Resource::Nice => "nice",
            Resource::Rtprio => "rtprio",
            Resource::Rttime => "rttime",
        }
    }
}

/// A scheduling policy; see sched(7).
///
/// ```
/// use coreproc::{Command, Scheduling, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let mut command = Command::new("sh");
/// // The 39th field after the name is the policy; that of SCHED_BATCH is 3.
/// command.args(["-c", "set -- $(cat /proc/self/stat); shift 40; echo $1"]).scheduling(Scheduling::Batch);
/// let process = command.spawn(&service)?;
/// process.wait(None)?;
/// assert_eq!(process.output()?, b"3\n");
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// SCHED_OTHER: the usual one, shared out by nice values.
    Other,
    /// SCHED_BATCH: as [`Scheduling::Other`], for work that does not wait for people.
    Batch,
    /// SCHED_IDLE: only what nobody else wants.
    Idle,
    /// SCHED_FIFO with a priority from 1 to 99: before all others, until it waits. Needs CAP_SYS_NICE or RLIMIT_RTPRIO.
    Fifo(u8),
    /// SCHED_RR with a priority from 1 to 99: as [`Scheduling::Fifo`], in turn with others of its priority.
    RoundRobin(u8),
}

/// A priority of reads and writes of disks; see ioprio_set(2). Not every scheduler of the kernel's respects it.
///
/// ```
/// use coreproc::{Command, ErrorKind, IoPriority, Service, ServiceOptions};
///
/// let service = Service::new(ServiceOptions::default())?;
/// let process = Command::new("true").io_priority(IoPriority::Idle).spawn(&service)?;
/// process.wait(None)?;
/// let refused = Command::new("true").io_priority(IoPriority::BestEffort(8)).spawn(&service);
/// assert_eq!(refused.err().unwrap().kind(), ErrorKind::InvalidArgument);
/// # Ok::<(), coreproc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoPriority {
    /// Before all others, at a level from 0, the best, to 7. Needs CAP_SYS_ADMIN or CAP_SYS_NICE.
    RealTime(u8),
    /// The usual class, at a level from 0, the best, to 7.
    BestEffort(u8),
    /// Only when nobody else wants the disk.
    Idle,
}

/// What a command says about the use of the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// The soft and the hard limit of each.
    pub(super) resources: Vec<(Resource, u64, u64)>,
    pub(super) nice: Option<i32>,
    pub(super) scheduling: Option<Scheduling>,
    pub(super) io_priority: Option<IoPriority>,
    /// The numbers of the processors, in order; empty if it may run on those of the host.
    pub(super) cpus: Vec<u32>,
    pub(super) oom_score: Option<i32>,
}
