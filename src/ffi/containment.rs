//! By what means a process is held together with all that it starts, and what reaches the whole tree.

use std::mem::MaybeUninit;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::command::{coreproc_command, set};
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::limit::most;
use super::process::coreproc_process;
use super::stop::scope;
use crate::error::Result;
use crate::{Containment, Rung};

/// Its group if it leads one, and nothing more. The default.
pub const COREPROC_CONTAIN_DEFAULT: u32 = 0;
/// The best rung that the system allows.
pub const COREPROC_CONTAIN_PREFER: u32 = 1;
/// No group and no cgroup, but a mark, by which coreproc_process_tree names what got away.
pub const COREPROC_CONTAIN_PROCESS: u32 = 2;
/// Its group, and the mark; the spawn fails if it leads none.
pub const COREPROC_CONTAIN_GROUP: u32 = 3;
/// A cgroup, or the spawn fails.
pub const COREPROC_CONTAIN_CGROUP: u32 = 4;

/// Sets by what means the process is held together with all that it starts; `containment` is a
/// COREPROC_CONTAIN value. A cgroup is made below the host's own cgroup in the v2 hierarchy, and
/// removed when the last process in it has ended; the process begins in it, and what its processes
/// start is in it, too, whatever sessions and parents they give themselves. Without a cgroup the
/// environment gets a mark (COREPROC_TREE). With any containment, COREPROC_SCOPE_DEFAULT of kill and
/// stop is COREPROC_SCOPE_TREE, and so is that of timeouts and of a close of the service.
///
/// Errors: INVALID_ARGUMENT; from the spawn UNSUPPORTED at the stage `contain` if it requires a
/// cgroup and the system allows none: the message says which part is missing.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_contain(
    command: Option<&mut coreproc_command>,
    containment: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |op, command| Ok(command.contain(containment_of(op, containment)?)))
}

/// Limits the memory of all its processes together, in bytes (0, UNLIMITED: any), by `memory.max` of
/// cgroup v2. If the limit is reached the kernel reclaims, and if that is not enough it kills:
/// `oom_kills` of coreproc_process_info. A limit needs a cgroup, whatever containment is asked for.
///
/// Errors: INVALID_ARGUMENT; from the spawn UNSUPPORTED at the stage `contain` if no cgroup can be
/// made, or its controller, which the message names, cannot be enabled for it: the host's cgroup has
/// to be the root of the hierarchy, or the controller must be enabled below it already.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_memory_max(
    command: Option<&mut coreproc_command>,
    bytes: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.memory_max(most(bytes))))
}

/// Limits how many processes and threads it may have at once, itself included (0, UNLIMITED: any),
/// by `pids.max` of cgroup v2: a fork beyond them fails with EAGAIN.
///
/// Errors: as for coreproc_command_memory_max.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_processes_max(
    command: Option<&mut coreproc_command>,
    count: u64,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.processes_max(most(count))))
}

/// Limits the processor time of all its processes together, in thousandths of one processor, by
/// `cpu.max` of cgroup v2: 500 is half of one, 2000 are two; from 10 to 1000000 (0: any).
///
/// Errors: as for coreproc_command_memory_max.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_command_cpu_max(
    command: Option<&mut coreproc_command>,
    thousandths: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    set(command, err, |_, command| Ok(command.cpu_max(share(thousandths))))
}

/// Names the living processes of its tree, a line each, with its PID and its command line as for
/// coreproc_process_holders: `+PID COMMAND\n` if a signal to the tree reaches it, `-PID COMMAND\n` if
/// not, because it has left the tree or the kernel refused to signal it. On the rung of a cgroup
/// nothing can have left; on the others it is found by the mark of coreproc_command_contain, as far as
/// its environment can be read and still has it. So after a stop or a kill it names what that did not
/// reach, even once the process is closed; one that was just killed may be seen for a moment. Other
/// users' processes may be hidden. Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_tree(
    process: Option<&coreproc_process>,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("tree", err, |op| {
        let process = op.handle("process", process)?;
        op.out(out)?.write(coreproc_bytes::new(tree_text(&process.0.tree()?)));
        Ok(())
    })
}

/// Keeps it from running until coreproc_process_resume. `scope` is a COREPROC_SCOPE value, of which
/// the default is as for coreproc_process_kill. A tree in a cgroup is frozen (`cgroup.freeze`), which
/// no process in it sees or can undo; otherwise each process gets a SIGSTOP, of which its parent is
/// told. Signals wait until it is resumed; but SIGKILL ends it, and a stop resumes it. Timeouts run on.
/// Thread-safe.
///
/// Errors: those of coreproc_process_signal.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_pause(
    process: Option<&coreproc_process>,
    scope: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("pause", err, |op| op.handle("process", process)?.0.pause(self::scope(op, scope)?))
}

/// Lets it run on after coreproc_process_pause with the same scope: thaws the cgroup, or sends
/// SIGCONT. Thread-safe.
///
/// Errors: those of coreproc_process_signal.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_process_resume(
    process: Option<&coreproc_process>,
    scope: u32,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("resume", err, |op| op.handle("process", process)?.0.resume(self::scope(op, scope)?))
}

pub(super) fn containment_of(op: Operation, containment: u32) -> Result<Containment> {
    match containment {
        COREPROC_CONTAIN_DEFAULT => Ok(Containment::Default),
        COREPROC_CONTAIN_PREFER => Ok(Containment::Prefer),
        COREPROC_CONTAIN_PROCESS => Ok(Containment::Require(Rung::Process)),
        COREPROC_CONTAIN_GROUP => Ok(Containment::Require(Rung::Group)),
        COREPROC_CONTAIN_CGROUP => Ok(Containment::Require(Rung::Cgroup)),
        other => Err(op.unknown("containment", other)),
    }
}

/// Takes thousandths of a processor, of which 0 is no limit.
pub(super) fn share(thousandths: u32) -> u32 {
    if thousandths == 0 { u32::MAX } else { thousandths }
}

fn tree_text(members: &[crate::TreeMember]) -> String {
    let line = |member: &crate::TreeMember| {
        let sign = if member.reachable { '+' } else { '-' };
        format!("{sign}{} {}\n", member.pid, member.command)
    };
    members.iter().map(line).collect()
}
