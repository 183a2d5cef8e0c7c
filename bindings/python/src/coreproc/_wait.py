"""Waiting for several processes."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from ._convert import interruptible
from ._lib import call, lib
from .constants import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .process import Process


def wait_any(
    processes: Sequence[Process], timeout: float | None = None, until: State = State.CLOSED
) -> Process:
    """Waits until one of several processes has ended, and returns it.

    If several have, it is the first to do so, as far as that is known. They may be of several
    services. No thread is made.

    Args:
        processes: The processes, at least one.
        timeout: The seconds to wait; None waits for ever, 0 only looks.
        until: `State.CLOSED`, or `State.EXITED` for the end alone, which output may follow.

    Raises:
        TimedOut: `timeout` seconds are over. The processes run on.
    """
    index = ctypes.c_size_t()
    handles = _Array(processes)

    def attempt(milliseconds: int) -> None:
        call(
            lib.coreproc_process_wait_any,
            handles,
            len(processes),
            until,
            milliseconds,
            None,
            ctypes.byref(index),
        )

    interruptible(attempt, timeout)
    return processes[index.value]


def wait_all(
    processes: Sequence[Process], timeout: float | None = None, until: State = State.CLOSED
) -> None:
    """Waits until all of several processes have ended, as `wait_any` for one.

    Raises:
        TimedOut: `timeout` seconds are over. Those that have not ended run on.
    """
    handles = _Array(processes)

    def attempt(milliseconds: int) -> None:
        call(lib.coreproc_process_wait_all, handles, len(processes), until, milliseconds, None)

    interruptible(attempt, timeout)


class _Array:
    """An array of handles, which live as long as it does, even if others release the processes."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._handles = [process._handle for process in processes]
        pointers = [handle._as_parameter_.value for handle in self._handles]
        array = (ctypes.c_void_p * len(pointers))(*pointers)
        # The pointer keeps the array.
        self._as_parameter_ = ctypes.cast(array, ctypes.POINTER(ctypes.c_void_p))
