"""Logs: files that output is written to without a reader."""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from . import _abi
from ._convert import interruptible
from ._handle import Owner
from ._lib import call, lib, take_bytes


class LogInfo(NamedTuple):
    """What is known of a log.

    Attributes:
        written: Bytes that were written to its files.
        lost: Bytes of output that are in none of them.
        rotations: How often the file was renamed, or emptied.
        end: The offset after the last byte, for `Log.follow`.
        error: What failed last, until a line could be written again; else None.
    """

    written: int
    lost: int
    rotations: int
    end: int
    error: OSError | None


class Log(Owner):
    """A log, opened by `Service.open_log`; any thread may use it."""

    __slots__ = ()

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        """Takes over a coreproc_log."""
        super().__init__(pointer, lib.coreproc_log_free)

    def info(self) -> LogInfo:
        """Tells what was written, and what was not."""
        raw = _abi.LogInfo()
        call(lib.coreproc_log_info_get, self._handle, ctypes.byref(raw))
        error = OSError(raw.error, os.strerror(raw.error)) if raw.error else None
        return LogInfo(raw.written, raw.lost, raw.rotations, raw.end, error)

    def rotate(self) -> None:
        """Renames the file now, as if it were full."""
        call(lib.coreproc_log_rotate, self._handle)

    def reopen(self) -> None:
        """Opens the file of the log's name again, for a program that renames it from outside."""
        call(lib.coreproc_log_reopen, self._handle)

    def wait_idle(self, timeout: float | None = None) -> None:
        """Waits until all output is in the file, and the processes that write to it are closed.

        Raises:
            TimedOut: `timeout` seconds are over.
        """
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_log_wait_idle, handle, milliseconds)

        interruptible(attempt, timeout)

    def follow(self, offset: int = 0) -> LogFollower:
        """Makes a reader of the log, through all its files, from an offset on.

        Offset 0 is the first byte that the file had when the log was opened.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_log_follow, self._handle, offset, ctypes.byref(out))
        return LogFollower(out, offset)


class LogFollower(Owner):
    """A reader of a log, made by `Log.follow`.

    Attributes:
        offset: The offset of the next byte.
        skipped: How many bytes it could not read, because their files were gone.
    """

    __slots__ = ("offset", "skipped")

    def __init__(self, pointer: ctypes.c_void_p, offset: int) -> None:
        """Takes over a coreproc_log_follower."""
        super().__init__(pointer, lib.coreproc_log_follower_free)
        self.offset = offset
        self.skipped = 0

    def read(self, most: int = 65536, timeout: float | None = None) -> bytes:
        """Waits for the next bytes, and returns at least one of them and up to `most`.

        Raises:
            TimedOut: Nothing was written within `timeout` seconds; 0 only looks.
            Closed: The log has ended.
        """
        handle = self._handle
        out = ctypes.c_void_p()
        offset, skipped = ctypes.c_uint64(), ctypes.c_uint64()

        def attempt(milliseconds: int) -> None:
            call(
                lib.coreproc_log_follower_read,
                handle,
                most,
                milliseconds,
                ctypes.byref(offset),
                ctypes.byref(skipped),
                ctypes.byref(out),
            )

        interruptible(attempt, timeout)
        self.offset, self.skipped = offset.value, skipped.value
        return take_bytes(out)
