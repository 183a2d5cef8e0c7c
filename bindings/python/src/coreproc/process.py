"""A spawned process."""

from __future__ import annotations

import ctypes
import warnings
from typing import TYPE_CHECKING, NamedTuple

from . import _abi
from . import info as _info
from ._convert import Deadline, insist, interruptible
from ._errors import NotRunning, StdinClosed, TimedOut
from ._handle import Owner
from ._lib import call, lib, take_bytes
from .constants import Scope, State

if TYPE_CHECKING:
    from types import TracebackType

    from .info import Info
    from .stop import Stop


#: What the capture keeps unless told.
_DEFAULT_CAPTURE = 1024 * 1024


class OutputDropped(UserWarning):
    """The process wrote more than the default capture keeps; `Process.output` lacks the start."""


class Holder(NamedTuple):
    """A process that still holds the output of a closed one; `pid` is None when it is unknown."""

    pid: int | None
    command: bytes


class Process(Owner):
    """A process; any thread may use it. `Command.spawn` and `Service.process` give one.

    Dropping it stops nothing. As a context manager it leaves nothing behind: the end of the block
    closes standard input and waits until the process is closed, an exception, also one while it
    waits, stops it first; a second one kills it, a third one is not waited for.
    """

    __slots__ = ()

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        """Takes over a coreproc_process."""
        super().__init__(pointer, lib.coreproc_process_free)

    def __enter__(self) -> Process:
        """The process itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits until it is closed; stops it first when the block failed."""
        self.close_stdin()
        if kind is not None:
            insist(self.stop, self.wait)
            return
        try:
            self.wait()
        except BaseException:
            insist(self.stop, self.wait)
            raise

    def __repr__(self) -> str:
        """Its id and PID."""
        if self._owned is None:
            return "<coreproc.Process released>"
        return f"<coreproc.Process id={self.id} pid={self.pid}>"

    @property
    def id(self) -> int:
        """Counts from 1 in each service; never used again. Events name processes by it."""
        number: int = lib.coreproc_process_id(self._handle)
        return number

    @property
    def pid(self) -> int:
        """The kernel's number."""
        number: int = lib.coreproc_process_pid(self._handle)
        return number

    def info(self) -> Info:
        """What is known now."""
        raw = _abi.ProcessInfo()
        call(lib.coreproc_process_info_get, self._handle, ctypes.byref(raw))
        return _info.from_library(raw)

    def wait(self, timeout: float | None = None) -> Info:
        """Waits until it is closed: ended, and all its output read.

        Raises:
            TimedOut: After `timeout` seconds. The process runs on.
        """
        return self._wait(State.CLOSED, timeout)

    def wait_exit(self, timeout: float | None = None) -> Info:
        """Waits until it has ended; output may still be on its way.

        Raises:
            TimedOut: After `timeout` seconds. The process runs on.
        """
        return self._wait(State.EXITED, timeout)

    def _wait(self, until: State, timeout: float | None) -> Info:
        raw = _abi.ProcessInfo()
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_process_wait, handle, until, milliseconds, ctypes.byref(raw))

        interruptible(attempt, timeout)
        return _info.from_library(raw)

    def output(self) -> bytes:
        """What the capture holds now: both streams, in order of arrival.

        That is the end of it when there was more than the capture keeps, 1 MiB unless told.
        `Info.dropped_bytes` says how much of the start is gone, and where nobody has chosen a size
        a warning says that something is: `OutputDropped`.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_process_output, self._handle, ctypes.byref(out))
        output = take_bytes(out)
        # Another size was asked for, so what it means is known.
        if len(output) == _DEFAULT_CAPTURE and self.info().dropped_bytes:
            warnings.warn(
                "output() lacks the start of what the process wrote: the capture keeps its last "
                "1 MiB unless told (capture=)",
                OutputDropped,
                stacklevel=2,
            )
        return output

    def holders(self) -> list[Holder]:
        """Who still held its output when it closed at the drain bound."""
        out = ctypes.c_void_p()
        call(lib.coreproc_process_holders, self._handle, ctypes.byref(out))
        return parse_holders(take_bytes(out))

    def signal(self, number: int, scope: Scope = Scope.PROCESS) -> None:
        """Sends a signal; 0 only asks whether it could be sent.

        Raises:
            NotRunning: It has ended.
        """
        call(lib.coreproc_process_signal, self._handle, number, scope)

    def kill(self, scope: Scope = Scope.DEFAULT) -> None:
        """Sends SIGKILL, by default to its group, where it leads one.

        Raises:
            NotRunning: It has ended. (A group can be killed until the process is closed.)
        """
        call(lib.coreproc_process_kill, self._handle, scope)

    def stop(self, options: Stop | None = None) -> None:
        """Starts to stop it, by `options` or as its command says, and does not wait.

        A second stop sends SIGKILL at once. Stopping what has ended is fine.
        """
        raw = None if options is None else ctypes.byref(options._to_library("stop"))
        call(lib.coreproc_process_stop, self._handle, raw)

    def write(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> int:
        """Writes to its standard input; returns how much was taken.

        That is less than all when the time, or the reader, ended before all was written.

        Raises:
            TimedOut: Nothing was taken for `timeout` seconds.
            NotRunning: It has ended, whatever became of its standard input before.
            StdinClosed: It runs, but standard input is no pipe, was closed, or nobody reads it.
        """
        content = bytes(data)
        start = ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0
        handle = self._handle
        taken = 0

        def attempt(milliseconds: int) -> None:
            nonlocal taken
            written = ctypes.c_size_t()
            rest = len(content) - taken
            call(
                lib.coreproc_process_write,
                handle,
                start + taken,
                rest,
                milliseconds,
                ctypes.byref(written),
            )
            taken += written.value

        deadline = Deadline(timeout)
        while True:
            try:
                interruptible(attempt, deadline.left())
            except (TimedOut, StdinClosed, NotRunning):
                if taken == 0:
                    raise
                return taken
            if taken == len(content):
                return taken

    def write_all(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """Writes all of `data` to its standard input.

        Raises:
            TimedOut: Not all was taken after `timeout` seconds.
            NotRunning: It ended first.
            StdinClosed: It runs, but nobody reads any more.

        Each has `written`, the number of bytes that were taken before.
        """
        deadline = Deadline(timeout)
        rest = memoryview(bytes(data))
        written = 0
        while True:
            try:
                written += self.write(rest[written:], deadline.left())
            except (TimedOut, StdinClosed, NotRunning) as error:
                error.written = written
                raise
            if written == len(rest):
                return

    def close_stdin(self) -> None:
        """Closes its standard input, so that it reads to the end; idempotent."""
        call(lib.coreproc_process_close_stdin, self._handle)


def parse_holders(listing: bytes) -> list[Holder]:
    """Reads lines of "PID COMMAND"."""
    holders = []
    for line in listing.splitlines():
        number, _, command = line.partition(b" ")
        known = number.isdigit()
        holders.append(Holder(int(number), command) if known else Holder(None, line))
    return holders
