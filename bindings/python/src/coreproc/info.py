"""What is known about a process at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .constants import Cause, Flag, State

if TYPE_CHECKING:
    from ._abi import ProcessInfo


@dataclass(frozen=True)
class Info:
    """A snapshot of a process.

    Attributes:
        id: Counts from 1 in each service; never used again.
        pid: The kernel's number; may belong to somebody else once the process has ended.
        state: Running, exited or closed.
        exit_code: None unless the process exited by itself.
        signal: The signal that ended it; None when none did.
        cause: What made it end.
        flags: `STATUS_UNKNOWN`: the host reaped the child and the kernel could not tell how it
            ended. `CORE_DUMPED`. `DRAIN_BOUND`: somebody still held its output when it closed.
        stdout_bytes: Read so far.
        stderr_bytes: Read so far.
        dropped_bytes: Overwritten in, or never stored by, the capture.
        discarded_bytes: Read after it closed, or lost from a spool: beyond its size, or known to
            wait there when the child emptied it (`echo > /dev/stdout`).
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

    @property
    def ok(self) -> bool:
        """It exited by itself, with code 0."""
        return self.exit_code == 0

    @property
    def duration(self) -> float | None:
        """Seconds from start to exit; None while it runs."""
        if self.exited_monotonic_ns is None:
            return None
        return (self.exited_monotonic_ns - self.started_monotonic_ns) / 1e9


def from_library(raw: ProcessInfo) -> Info:
    """The C structure, with None where C has a number that means nothing."""
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
    )
