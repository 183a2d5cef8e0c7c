//! `coreproc_activity`: what processes do and use.

use std::mem::MaybeUninit;

use super::call::call;
use super::error::{coreproc_error, coreproc_result};
use super::handle::{array, free_memory, shared};
use super::process::coreproc_process;
use super::service::coreproc_service;
use super::versioned::versioned;
use crate::{Activity, AwaitsInput, Doing, Figures};

/// One of its threads runs, or could.
pub const COREPROC_DOING_RUNNING: u32 = 1;
/// It waits for something: input, a child, a time.
pub const COREPROC_DOING_SLEEPING: u32 = 2;
/// It waits in the kernel and cannot be interrupted, usually for a disk.
pub const COREPROC_DOING_UNINTERRUPTIBLE: u32 = 3;
/// It is stopped.
pub const COREPROC_DOING_STOPPED: u32 = 4;
/// A debugger has stopped it.
pub const COREPROC_DOING_TRACED: u32 = 5;
/// It has ended, and is about to be reaped.
pub const COREPROC_DOING_ZOMBIE: u32 = 6;

/// No process of the tree waits for input.
pub const COREPROC_AWAITS_NOTHING: u32 = 1;
/// A process of the tree waits for input: it is blocked until the standard input of the root, or a
/// terminal, can be read, in read(2), or in poll(2), select(2) or epoll_wait(2) beside other files.
pub const COREPROC_AWAITS_INPUT: u32 = 2;
/// It cannot be told of a process of the tree: it may not be traced, or is a 32-bit program, or
/// waits in io_uring.
pub const COREPROC_AWAITS_UNKNOWN: u32 = 3;

/// What a process does and uses now, with its tree: its descendants, and the members of the group
/// or session that it leads. A descendant that has left both, and whose parent has ended, is not
/// found. Plain data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct coreproc_activity {
    /// sizeof(coreproc_activity), set by the caller where it gives the room; as much as both sides
    /// know is written.
    pub struct_size: u32,
    /// A COREPROC_DOING value: what the process itself does.
    pub doing: u32,
    /// The number of the process in its service.
    pub id: u64,
    /// Its PID.
    pub pid: i32,
    /// The signal by which it is stopped; else 0, also if someone has waited for the stop, which
    /// makes the kernel forget it.
    pub stop_signal: i32,
    /// A COREPROC_AWAITS value.
    pub awaits: u32,
    /// The PID of the process that waits for input; else -1.
    pub awaits_pid: i32,
    /// How many processes the tree has, the process itself among them, that have not ended.
    pub processes: u64,
    /// CPU time of its threads, in steps of 10 ms.
    pub cpu_ns: u64,
    /// Resident memory, with what it shares with others.
    pub rss_bytes: u64,
    /// How many threads it has.
    pub threads: u64,
    /// How many descriptors it has open; UINT64_MAX if that may not be seen.
    pub descriptors: u64,
    /// Bytes that its calls have read, from pipes and terminals too, with those of the children
    /// that it has waited for; UINT64_MAX if that may not be seen, as the three below.
    pub read_bytes: u64,
    /// Bytes that its calls have written.
    pub written_bytes: u64,
    /// Bytes that were fetched from disks for it.
    pub disk_read_bytes: u64,
    /// Bytes that were sent to disks for it.
    pub disk_written_bytes: u64,
    /// CPU time of the tree, with that of ended processes for which a member of it has waited.
    pub tree_cpu_ns: u64,
    /// Resident memory of the tree: what its processes share counts for each of them.
    pub tree_rss_bytes: u64,
    /// The threads of the tree.
    pub tree_threads: u64,
    /// The open descriptors of the tree; UINT64_MAX if those of one process may not be seen.
    pub tree_descriptors: u64,
    /// Bytes that calls of the tree have read; UINT64_MAX if those of one process may not be seen,
    /// as the three below.
    pub tree_read_bytes: u64,
    /// Bytes that calls of the tree have written.
    pub tree_written_bytes: u64,
    /// Bytes that were fetched from disks for the tree.
    pub tree_disk_read_bytes: u64,
    /// Bytes that were sent to disks for the tree.
    pub tree_disk_written_bytes: u64,
}

versioned!(coreproc_activity, 168);
const _: () = assert!(size_of::<coreproc_activity>() == 168);

impl coreproc_activity {
    fn new(struct_size: u32, activity: &Activity) -> coreproc_activity {
        let (doing, stop_signal) = match activity.doing {
            Doing::Running => (COREPROC_DOING_RUNNING, 0),
            Doing::Sleeping => (COREPROC_DOING_SLEEPING, 0),
            Doing::Uninterruptible => (COREPROC_DOING_UNINTERRUPTIBLE, 0),
            Doing::Stopped { signal } => (COREPROC_DOING_STOPPED, signal.unwrap_or(0)),
            Doing::Traced => (COREPROC_DOING_TRACED, 0),
            Doing::Zombie => (COREPROC_DOING_ZOMBIE, 0),
        };
        let (awaits, awaits_pid) = match activity.awaits_input {
            AwaitsInput::No => (COREPROC_AWAITS_NOTHING, -1),
            AwaitsInput::Yes(pid) => (COREPROC_AWAITS_INPUT, pid),
            AwaitsInput::Unknown => (COREPROC_AWAITS_UNKNOWN, -1),
        };
        let [own, tree] = [activity.own, activity.tree].map(Unfolded::from);
        coreproc_activity {
            struct_size,
            doing,
            id: activity.id,
            pid: activity.pid,
            stop_signal,
            awaits,
            awaits_pid,
            processes: activity.processes,
            cpu_ns: activity.own.cpu_ns,
            rss_bytes: activity.own.rss_bytes,
            threads: activity.own.threads,
            descriptors: own.descriptors,
            read_bytes: own.io[0],
            written_bytes: own.io[1],
            disk_read_bytes: own.io[2],
            disk_written_bytes: own.io[3],
            tree_cpu_ns: activity.tree.cpu_ns,
            tree_rss_bytes: activity.tree.rss_bytes,
            tree_threads: activity.tree.threads,
            tree_descriptors: tree.descriptors,
            tree_read_bytes: tree.io[0],
            tree_written_bytes: tree.io[1],
            tree_disk_read_bytes: tree.io[2],
            tree_disk_written_bytes: tree.io[3],
        }
    }
}

/// Figures that may be unknown, as C has them.
struct Unfolded {
    descriptors: u64,
    io: [u64; 4],
}

impl From<Figures> for Unfolded {
    fn from(figures: Figures) -> Unfolded {
        let io = figures.io.map(|io| [io.read, io.written, io.disk_read, io.disk_written]);
        Unfolded { descriptors: figures.descriptors.unwrap_or(u64::MAX), io: io.unwrap_or([u64::MAX; 4]) }
    }
}

/// Tells what a process does, and what it and its tree use, by one pass over /proc. Nothing is told
/// of a stranger, even if processes end meanwhile and their numbers are used again. The caller sets
/// `out->struct_size`. For many processes, coreproc_service_activities is cheaper. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; NOT_RUNNING once it has ended; UNSUPPORTED if /proc does not show it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_process_activity(
    process: Option<&coreproc_process>,
    out: *mut coreproc_activity,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("activity", err, |op| {
        let process = op.handle("process", process)?;
        // SAFETY: `out` begins with its size.
        let out = unsafe { op.room(out) }?;
        let activity = coreproc_activity::new(out.size(), &process.0.activity()?);
        out.write(activity);
        Ok(())
    })
}

/// The activities of the processes of a service. Immutable; owned by the caller that got them; any
/// thread may read them.
pub struct coreproc_activities(Vec<coreproc_activity>);

const _: () = shared::<coreproc_activities>();

/// Tells what the processes of a service do that run, and what they and their trees use, by one pass
/// over /proc for all of them, in the order of their ids. A process that ends meanwhile, or that
/// /proc hides, is left out. Free `*out` with coreproc_activities_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; UNSUPPORTED without a /proc that shows the processes of this PID
/// namespace.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_service_activities(
    service: Option<&coreproc_service>,
    out: Option<&mut MaybeUninit<Box<coreproc_activities>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("activity", err, |op| {
        let service = op.handle("service", service)?;
        let out = op.out(out)?;
        let size = size_of::<coreproc_activity>() as u32;
        let activities = service.0.activities()?;
        let activities = activities.iter().map(|activity| coreproc_activity::new(size, activity));
        out.write(Box::new(coreproc_activities(activities.collect())));
        Ok(())
    })
}

/// Returns the first activity. `*count` becomes their number, `*stride` the bytes from one to the
/// next; both may be NULL. Valid until the activities are freed. NULL, with 0, for NULL.
/// Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_activities_first(
    activities: Option<&coreproc_activities>,
    count: *mut usize,
    stride: *mut usize,
) -> *const coreproc_activity {
    // SAFETY: `count` and `stride` are NULL or valid.
    unsafe { array(activities, |activities| &activities.0, count, stride) }
}

/// Frees activities. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_activities_free(activities: Option<Box<coreproc_activities>>) {
    free_memory(activities);
}
