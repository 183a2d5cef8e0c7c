"""What processes do and use."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from . import _abi
from ._lib import lib
from .constants import Doing

#: A figure that may not be seen.
_UNKNOWN = 2**64 - 1


@dataclass(frozen=True)
class Figures:
    """What a process, or a tree of processes, uses.

    Attributes:
        cpu_ns: CPU time, in steps of 10 ms. That of a tree has that of ended processes too, for
            which a member of it has waited.
        rss_bytes: Resident memory; what processes share counts for each of them.
        threads: How many threads there are.
        descriptors: How many descriptors are open; None if that may not be seen.
        read_bytes: Bytes that calls have read, from pipes and terminals too, with those of the
            children that were waited for; None if that may not be seen, as the three below.
        written_bytes: Bytes that calls have written.
        disk_read_bytes: Bytes that were fetched from disks.
        disk_written_bytes: Bytes that were sent to disks.
    """

    cpu_ns: int
    rss_bytes: int
    threads: int
    descriptors: int | None
    read_bytes: int | None
    written_bytes: int | None
    disk_read_bytes: int | None
    disk_written_bytes: int | None


@dataclass(frozen=True)
class Activity:
    """What a process does and uses now, with its tree.

    The tree is its descendants, and the members of the group or session that it leads. A descendant
    that has left both, and whose parent has ended, is not found.

    Attributes:
        id: The number of the process in its service.
        pid: Its PID.
        doing: What the process itself does.
        stop_signal: The signal by which it is stopped; None if it is not, or it is not known.
        awaits_input: Whether a process of the tree is blocked until the standard input of the
            process, or a terminal, can be read; None if that cannot be told.
        awaits_pid: The PID of the process that waits for input; None if none does.
        processes: How many processes the tree has that have not ended.
        own: What the process itself uses.
        tree: What the whole tree uses.
    """

    id: int
    pid: int
    doing: Doing
    stop_signal: int | None
    awaits_input: bool | None
    awaits_pid: int | None
    processes: int
    own: Figures
    tree: Figures


def from_library(raw: _abi.Activity) -> Activity:
    """Converts the C structure; a number that means nothing becomes None."""
    awaits = {_abi.AWAITS_NOTHING: False, _abi.AWAITS_INPUT: True}
    return Activity(
        id=raw.id,
        pid=raw.pid,
        doing=Doing(raw.doing),
        stop_signal=raw.stop_signal or None,
        awaits_input=awaits.get(raw.awaits),
        awaits_pid=raw.awaits_pid if raw.awaits_pid > 0 else None,
        processes=raw.processes,
        own=_figures(raw, ""),
        tree=_figures(raw, "tree_"),
    )


def all_from_library(pointer: ctypes.c_void_p) -> list[Activity]:
    """Converts a coreproc_activities and frees it."""
    try:
        count, stride = ctypes.c_size_t(), ctypes.c_size_t()
        first = lib.coreproc_activities_first(pointer, ctypes.byref(count), ctypes.byref(stride))
        return [
            from_library(_abi.Activity.from_address(first + at * stride.value))
            for at in range(count.value)
        ]
    finally:
        lib.coreproc_activities_free(pointer)


def _figures(raw: _abi.Activity, prefix: str) -> Figures:
    def known(name: str) -> int | None:
        value: int = getattr(raw, prefix + name)
        return None if value == _UNKNOWN else value

    return Figures(
        cpu_ns=getattr(raw, prefix + "cpu_ns"),
        rss_bytes=getattr(raw, prefix + "rss_bytes"),
        threads=getattr(raw, prefix + "threads"),
        descriptors=known("descriptors"),
        read_bytes=known("read_bytes"),
        written_bytes=known("written_bytes"),
        disk_read_bytes=known("disk_read_bytes"),
        disk_written_bytes=known("disk_written_bytes"),
    )
