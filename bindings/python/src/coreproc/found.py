"""Processes that are found by what names them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from . import _abi
from ._convert import interruptible
from ._handle import Owner
from ._lib import call, lib, take_bytes
from .constants import Flag, Scope, State


@dataclass(frozen=True)
class FoundInfo:
    """A snapshot of a process that was found by its identity.

    Attributes:
        pid: The PID; another process may have it once this one has ended.
        state: Running or exited.
        exit_code: The exit code; None unless the process exited by itself.
        signal: The signal that ended it; None if none did.
        flags: `STATUS_UNKNOWN`: it has ended, and the kernel does not tell how: never before Linux
            6.15 if it is no child of this program, else once its parent has reaped it.
            `CORE_DUMPED`: it left a core dump.
    """

    pid: int
    state: State
    exit_code: int | None
    signal: int | None
    flags: Flag

    @property
    def ok(self) -> bool:
        """Whether it exited by itself, with code 0."""
        return self.exit_code == 0


class FoundProcess(Owner):
    """A process that `open_process` found: any, not only a child; any thread may use it.

    It names this process for good, whatever becomes of its number. It never reaps, and dropping it
    does nothing to the process.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Shows its PID."""
        if self._owned is None:
            return "<coreproc.FoundProcess released>"
        return f"<coreproc.FoundProcess pid={self.pid}>"

    @property
    def pid(self) -> int:
        """Its PID; another process may have it once this one has ended."""
        number: int = lib.coreproc_handle_pid(self._handle)
        return number

    def fileno(self) -> int:
        """Its pidfd, for `select` and event loops: readable once it has ended."""
        number: int = lib.coreproc_handle_fd(self._handle)
        return number

    def info(self) -> FoundInfo:
        """Takes a snapshot of it."""
        raw = _abi.HandleInfo()
        call(lib.coreproc_handle_info_get, self._handle, ctypes.byref(raw))
        return _from_library(raw)

    def wait(self, timeout: float | None = None) -> FoundInfo:
        """Waits until it has ended.

        If its parent has still to reap it before the kernel tells the status, that is waited for
        as well, but not longer than 0.1 s.

        Raises:
            TimedOut: `timeout` seconds are over. The process runs on.
        """
        raw = _abi.HandleInfo()
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_handle_wait, handle, milliseconds, ctypes.byref(raw))

        interruptible(attempt, timeout)
        return _from_library(raw)

    def signal(self, number: int, scope: Scope = Scope.PROCESS) -> None:
        """Sends a signal; 0 only checks whether one could be sent.

        `Scope.GROUP` is the group that it leads, also after it has ended itself (Linux 6.9).

        Raises:
            NotRunning: The process has ended, or leads no group with a process in it.
        """
        call(lib.coreproc_handle_signal, self._handle, number, scope)


def open_process(identity: str) -> FoundProcess:
    """Finds the process that an identity names (`Process.identity`, `identity_of_pid`).

    What is found is never another process that has got the number since.

    Raises:
        NotFound: The process has ended and was reaped.
        Malformed: The text is no identity.
        InvalidArgument: The process is of another boot or another PID namespace.
        Unsupported: There is no `pidfd_open(2)` (Linux 5.3), or no /proc.
    """
    text = identity.encode("utf-8", "surrogatepass")
    out = ctypes.c_void_p()
    call(lib.coreproc_handle_open, text, len(text), ctypes.byref(out))
    return FoundProcess(out, lib.coreproc_handle_free)


def identity_of_pid(pid: int) -> str:
    """Returns what names the process that has this PID now, child or not.

    Raises:
        NotFound: No process has this number.
        Unsupported: There is no `pidfd_open(2)` (Linux 5.3), or no /proc.
    """
    out = ctypes.c_void_p()
    call(lib.coreproc_identity_of_pid, pid, ctypes.byref(out))
    return take_bytes(out).decode()


def _from_library(raw: _abi.HandleInfo) -> FoundInfo:
    """Converts the C structure; a number that means nothing becomes None."""
    return FoundInfo(
        pid=raw.pid,
        state=State(raw.state),
        exit_code=raw.exit_code if raw.exit_code >= 0 else None,
        signal=raw.signal or None,
        flags=Flag(raw.flags),
    )
