"""Snapshots of processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _abi
from .constants import Cause, Flag, Rung, State

if TYPE_CHECKING:
    from ._abi import ProcessInfo


@dataclass(frozen=True)
class ResourceUsage:
    """What a process used of the machine, with the children that it waited for; see getrusage(2).

    Attributes:
        user_time: Seconds of CPU time in user mode.
        system_time: Seconds of CPU time in the kernel.
        max_rss_bytes: The most memory that it, or one of those children, had resident.
        max_rss_is_exact: Whether that is exact. If not, it is an upper bound: the kernel counts
            what this process itself had resident when it started the other, which has not been
            beyond the peak of this one.
        minor_faults: Page faults that needed no I/O.
        major_faults: Page faults that needed I/O.
        voluntary_switches: Context switches because it waited.
        involuntary_switches: Context switches because its time was up.
        blocks_read: Reads from block devices, in blocks of 512 bytes.
        blocks_written: Writes to block devices, in blocks of 512 bytes.
    """

    user_time: float
    system_time: float
    max_rss_bytes: int
    max_rss_is_exact: bool
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int
    blocks_read: int
    blocks_written: int


@dataclass(frozen=True)
class TreeUsage:
    """What all processes of a cgroup used; None is what the kernel or its controllers do not tell.

    Attributes:
        cpu_time: Seconds of CPU time.
        memory_peak: The most bytes of memory at once.
        oom_kills: How many processes the kernel killed at the memory limit.
        processes_peak: The most processes and threads at once.
    """

    cpu_time: float | None
    memory_peak: int | None
    oom_kills: int | None
    processes_peak: int | None


@dataclass(frozen=True)
class Info:
    """A snapshot of a process.

    Attributes:
        id: The number of the process in its service, from 1; never used again.
        pid: The PID; another process may have it once this one has ended.
        state: Running, exited or closed.
        exit_code: The exit code; None unless the process exited by itself.
        signal: The signal that ended it; None if none did.
        cause: What made it end.
        flags: `STATUS_UNKNOWN`: the host reaped the child, and the kernel could not tell how it
            ended. `CORE_DUMPED`: it left a core dump. `DRAIN_BOUND`: another process still held its
            output when it was closed. `STOP_REFUSED`: the kernel refuses the signal of a stop.
        started_monotonic_ns: When it was started, on CLOCK_MONOTONIC.
        started_realtime_ns: When it was started, on CLOCK_REALTIME.
        exited_monotonic_ns: When its end was seen; None before.
        closed_monotonic_ns: When it was closed; None before.
        stdout_bytes: Bytes read from its standard output so far.
        stderr_bytes: Bytes read from its standard error so far.
        dropped_bytes: Bytes of output that its capture does not hold.
        discarded_bytes: Bytes read after it was closed, or lost from a spool: beyond its size, or
            seen to wait there when the child emptied it (`echo > /dev/stdout`).
        unwritten_bytes: Bytes of its `input` that its pipe has not taken: while it runs, they wait
            for it to read; once it has ended, or closed its input, they are left over.
        rusage: What it used of the machine, once it has ended; None also if the host reaped it.
        rung: By what means it is held together with what it starts.
        tree_usage: What all its processes used, if it has a cgroup.
        stopped: The signal by which it is stopped, as far as `report_stops` has seen it; 0 if that
            is not known, because someone else has waited for the stop. None if it runs.
    """

    id: int
    pid: int
    state: State
    exit_code: int | None
    signal: int | None
    cause: Cause
    flags: Flag
    started_monotonic_ns: int
    started_realtime_ns: int
    exited_monotonic_ns: int | None
    closed_monotonic_ns: int | None
    stdout_bytes: int
    stderr_bytes: int
    dropped_bytes: int
    discarded_bytes: int
    unwritten_bytes: int
    rusage: ResourceUsage | None
    rung: Rung
    tree_usage: TreeUsage | None
    stopped: int | None

    @property
    def ok(self) -> bool:
        """Whether it exited by itself, with code 0."""
        return self.exit_code == 0

    @property
    def duration(self) -> float | None:
        """The seconds from its start to its exit; None while it runs."""
        if self.exited_monotonic_ns is None:
            return None
        return (self.exited_monotonic_ns - self.started_monotonic_ns) / 1e9


def from_library(raw: ProcessInfo) -> Info:
    """Converts the C structure; a number that means nothing becomes None."""
    return Info(
        id=raw.id,
        pid=raw.pid,
        state=State(raw.state),
        exit_code=raw.exit_code if raw.exit_code >= 0 else None,
        signal=raw.signal or None,
        cause=Cause(raw.cause),
        flags=Flag(raw.flags),
        started_monotonic_ns=raw.started_monotonic_ns,
        started_realtime_ns=raw.started_realtime_ns,
        exited_monotonic_ns=raw.exited_monotonic_ns or None,
        closed_monotonic_ns=raw.closed_monotonic_ns or None,
        stdout_bytes=raw.stdout_bytes,
        stderr_bytes=raw.stderr_bytes,
        dropped_bytes=raw.dropped_bytes,
        discarded_bytes=raw.discarded_bytes,
        unwritten_bytes=raw.unwritten_bytes,
        rusage=_rusage(raw),
        rung=Rung(raw.rung),
        tree_usage=_tree_usage(raw),
        stopped=raw.stop_signal if raw.stopped else None,
    )


def _tree_usage(raw: ProcessInfo) -> TreeUsage | None:
    if raw.rung != Rung.CGROUP:
        return None

    def known(figure: int) -> int | None:
        return None if figure == _abi.UNKNOWN else figure

    cpu_ns = known(raw.tree_cpu_ns)
    return TreeUsage(
        cpu_time=None if cpu_ns is None else cpu_ns / 1e9,
        memory_peak=known(raw.tree_memory_peak),
        oom_kills=known(raw.tree_oom_kills),
        processes_peak=known(raw.tree_processes_peak),
    )


def _rusage(raw: ProcessInfo) -> ResourceUsage | None:
    if raw.rusage == _abi.RUSAGE_UNKNOWN:
        return None
    return ResourceUsage(
        user_time=raw.user_time_ns / 1e9,
        system_time=raw.system_time_ns / 1e9,
        max_rss_bytes=raw.max_rss_bytes,
        max_rss_is_exact=raw.rusage == _abi.RUSAGE_EXACT,
        minor_faults=raw.minor_faults,
        major_faults=raw.major_faults,
        voluntary_switches=raw.voluntary_switches,
        involuntary_switches=raw.involuntary_switches,
        blocks_read=raw.blocks_read,
        blocks_written=raw.blocks_written,
    )
