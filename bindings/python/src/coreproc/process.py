"""Processes."""

from __future__ import annotations

import ctypes
import warnings
from typing import TYPE_CHECKING, NamedTuple

from . import _abi
from . import activity as _activity
from . import info as _info
from ._convert import Deadline, insist, interruptible
from ._errors import NotRunning, StdinClosed, TimedOut
from ._handle import Owner
from ._lib import call, lib, take_bytes
from .constants import Scope, State
from .terminal import checked_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .activity import Activity
    from .info import Info
    from .stop import Stop


#: The bytes that a capture keeps by default.
_DEFAULT_CAPTURE = 1024 * 1024


class OutputDropped(UserWarning):
    """A process wrote more than the default capture keeps: `Process.output` lacks the start."""


class Holder(NamedTuple):
    """A process that still holds the output of a closed one; `pid` is None if it is unknown."""

    pid: int | None
    command: bytes


class Captured(NamedTuple):
    """What a capture holds of the output of a process.

    Attributes:
        head: The first bytes, if `capture_head` asked for them.
        gap: How many bytes between the first and the last are not held.
        tail: The last bytes.
    """

    head: bytes
    gap: int
    tail: bytes


class TreeMember(NamedTuple):
    """A living process of a tree; `reachable` says whether a signal to the tree reaches it."""

    pid: int
    command: bytes
    reachable: bool


class Process(Owner):
    """A process; any thread may use it. `Command.spawn` and `Service.process` give one.

    Dropping it stops nothing. As a context manager it leaves nothing behind: the end of the block
    closes standard input, and waits until the process is closed. An exception, in the block or
    during that wait, stops the process first. A second exception kills it, and a third one ends the
    wait.
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
        """Waits until it is closed; stops it first if the block failed."""
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
        """Shows its id and PID."""
        if self._owned is None:
            return "<coreproc.Process released>"
        return f"<coreproc.Process id={self.id} pid={self.pid}>"

    @property
    def id(self) -> int:
        """Its number in its service, from 1, never used again. Events name processes by it."""
        number: int = lib.coreproc_process_id(self._handle)
        return number

    @property
    def pid(self) -> int:
        """Its PID; another process may have it once this one has ended."""
        number: int = lib.coreproc_process_pid(self._handle)
        return number

    @property
    def identity(self) -> str:
        """What names it for good: `open_process` finds it again by that, in any program.

        Raises:
            NotRunning: The process has ended.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_process_identity, self._handle, ctypes.byref(out))
        return take_bytes(out).decode()

    def info(self) -> Info:
        """Takes a snapshot of it."""
        raw = _abi.ProcessInfo()
        call(lib.coreproc_process_info_get, self._handle, ctypes.byref(raw))
        return _info.from_library(raw)

    def activity(self) -> Activity:
        """Tells what it does and uses now, with its tree, by one pass over /proc.

        For many processes, `Service.activities` is cheaper.

        Raises:
            NotRunning: The process has ended.
        """
        raw = _abi.Activity()
        call(lib.coreproc_process_activity, self._handle, ctypes.byref(raw))
        return _activity.from_library(raw)

    def wait(self, timeout: float | None = None) -> Info:
        """Waits until it is closed: it has ended, and all its output was read.

        Raises:
            TimedOut: `timeout` seconds are over. The process runs on.
        """
        return self._wait(State.CLOSED, timeout)

    def wait_exit(self, timeout: float | None = None) -> Info:
        """Waits until it has ended; output may follow.

        Raises:
            TimedOut: `timeout` seconds are over. The process runs on.
        """
        return self._wait(State.EXITED, timeout)

    def _wait(self, until: State, timeout: float | None) -> Info:
        raw = _abi.ProcessInfo()
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_process_wait, handle, until, milliseconds, ctypes.byref(raw))

        interruptible(attempt, timeout)
        return _info.from_library(raw)

    def wait_fd(self, until: State = State.CLOSED) -> int:
        """Opens a descriptor that becomes readable when it has ended, for event loops.

        It is the read end of a pipe, which the caller closes (`os.close`). Its bytes mean nothing,
        and it stays readable.
        """
        out = ctypes.c_int32()
        call(lib.coreproc_process_wait_fd, self._handle, until, ctypes.byref(out))
        return out.value

    def output(self) -> bytes:
        """Copies the capture: both streams, in order of arrival.

        The capture keeps the last MiB, or as much as `capture=` says. `Info.dropped_bytes` is the
        number of bytes at the start that are gone. If no size was chosen, and bytes are gone, it
        warns: `OutputDropped`.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_process_output, self._handle, ctypes.byref(out))
        output = take_bytes(out)
        # A capture of another size was asked for, so its caller knows that bytes may be gone.
        if len(output) == _DEFAULT_CAPTURE and self.info().dropped_bytes:
            warnings.warn(
                "output() lacks the start of what the process wrote: the capture keeps its last "
                "1 MiB unless told (capture=)",
                OutputDropped,
                stacklevel=2,
            )
        return output

    def post_mortem(self) -> str:
        """Tells people what became of it, in at most ten lines; the words may change.

        Its command and PID, how it ended and why, how long it ran, its CPU time and peak memory,
        how much it wrote, who holds its output, and the last lines of that.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_process_post_mortem, self._handle, ctypes.byref(out))
        return take_bytes(out).decode()

    def info_json(self) -> str:
        """Returns all that is known of it as a JSON object; `docs/reports.md` lists the fields."""
        out = ctypes.c_void_p()
        call(lib.coreproc_process_info_json, self._handle, ctypes.byref(out))
        return take_bytes(out).decode()

    def holders(self) -> list[Holder]:
        """Lists the processes that held its output when it was closed at the drain bound."""
        out = ctypes.c_void_p()
        call(lib.coreproc_process_holders, self._handle, ctypes.byref(out))
        return parse_holders(take_bytes(out))

    def tree(self) -> list[TreeMember]:
        """Lists the living processes of its tree, also after a stop and once it is closed.

        In a cgroup nothing can have left the tree. Otherwise, for a command with `contain=`, what
        has left is among them, as far as its environment can be read and still has its mark. A
        process that was just killed may be seen for a moment.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_process_tree, self._handle, ctypes.byref(out))
        return [_tree_member(line) for line in take_bytes(out).splitlines()]

    def pause(self, scope: Scope = Scope.DEFAULT) -> None:
        """Keeps it from running until `resume`; by default with all that is held together with it.

        A tree in a cgroup is frozen; otherwise each process gets a SIGSTOP. A stop resumes it.

        Raises:
            NotRunning: The process has ended.
        """
        call(lib.coreproc_process_pause, self._handle, scope)

    def resume(self, scope: Scope = Scope.DEFAULT) -> None:
        """Lets it run on after `pause`.

        Raises:
            NotRunning: The process has ended.
        """
        call(lib.coreproc_process_resume, self._handle, scope)

    def look_for_stops(self) -> None:
        """Looks at once whether it is stopped, or runs on: for who gets SIGCHLD.

        Raises:
            InvalidArgument: Its command has no `report_stops`.
        """
        call(lib.coreproc_process_look_for_stops, self._handle)

    def signal(self, number: int, scope: Scope = Scope.PROCESS) -> None:
        """Sends a signal; 0 only checks whether one could be sent.

        Raises:
            NotRunning: The process has ended.
        """
        call(lib.coreproc_process_signal, self._handle, number, scope)

    def kill(self, scope: Scope = Scope.DEFAULT) -> None:
        """Sends SIGKILL, by default to all that is held together with it: tree or group.

        Raises:
            NotRunning: The process has ended. (A group can be killed until the process is closed.)
        """
        call(lib.coreproc_process_kill, self._handle, scope)

    def stop(self, options: Stop | None = None) -> None:
        """Begins to stop it, as `options` or else its command says, and does not wait.

        A second stop moves to the next step at once, which is usually SIGKILL. A process that has
        ended is left as it is.
        """
        raw = None if options is None else ctypes.byref(options._to_library("stop"))
        call(lib.coreproc_process_stop, self._handle, raw)

    def write(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> int:
        """Writes to its standard input; returns the number of bytes that were taken.

        They are fewer than all if the time is over, or the reader ends, before all were written.

        Raises:
            TimedOut: Nothing was taken within `timeout` seconds.
            NotRunning: The process has ended, even if its standard input was closed before.
            StdinClosed: The process runs, but its standard input is no pipe, was closed, or has no
                reader.
        """

        def write(handle: ctypes.c_void_p, *rest: object) -> None:
            call(lib.coreproc_process_write, handle, *rest)

        return self._write(write, data, timeout)

    def resize(self, columns: int, rows: int) -> None:
        """Changes the size of its pseudo-terminal; the terminal's foreground group gets SIGWINCH.

        Raises:
            InvalidArgument: It has no pseudo-terminal, or the size is not from 1 to 65535.
            NotRunning: The process has ended, and no descendant has the terminal open.
        """
        call(lib.coreproc_process_resize, self._handle, *checked_size("resize", columns, rows))

    def foreground(self) -> None:
        """Gives it the foreground of our terminal again after a stop, and continues its group.

        It has the settings again that it had made there, as with `fg` of a shell.

        Raises:
            InvalidArgument: Its command has no `foreground`.
            InvalidState: This process does not have the foreground to give.
            NotRunning: The process has ended.
        """
        call(lib.coreproc_process_foreground, self._handle)

    def write_descriptor(
        self, number: int, data: bytes | bytearray | memoryview, timeout: float | None = None
    ) -> int:
        """Writes to the `Descriptor.INPUT` at this number, as `write` does to standard input."""

        def write(handle: ctypes.c_void_p, *rest: object) -> None:
            call(lib.coreproc_process_descriptor_write, handle, number, *rest)

        return self._write(write, data, timeout)

    def close_descriptor(self, number: int) -> None:
        """Closes our end of the pipe at a descriptor above 2: its reader sees the end."""
        call(lib.coreproc_process_descriptor_close, self._handle, number)

    def captured(self, number: int | None = None) -> Captured:
        """Copies what a capture holds, its first and its last bytes.

        Without a number: of both standard outputs together. 1 or 2 is one of them if the command
        has `capture_apart`, another number that of a `Descriptor.OUTPUT`.
        """
        out, head, gap = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_uint64()
        call(
            lib.coreproc_process_output_of,
            self._handle,
            _abi.OUTPUT_TOGETHER if number is None else number,
            ctypes.byref(head),
            ctypes.byref(gap),
            ctypes.byref(out),
        )
        content = take_bytes(out)
        return Captured(content[: head.value], gap.value, content[head.value :])

    def _write(
        self,
        write: Callable[..., None],
        data: bytes | bytearray | memoryview,
        timeout: float | None,
    ) -> int:
        content = bytes(data)
        start = ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0
        handle = self._handle
        taken = 0

        def attempt(milliseconds: int) -> None:
            nonlocal taken
            written = ctypes.c_size_t()
            rest = len(content) - taken
            write(handle, start + taken, rest, milliseconds, ctypes.byref(written))
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

        Raises: TimedOut: Not all was taken within `timeout` seconds. NotRunning: The process ended
        first. StdinClosed: The process runs, but its standard input has no reader left.

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
        """Closes its standard input, so that its reader sees the end; idempotent."""
        call(lib.coreproc_process_close_stdin, self._handle)


def _tree_member(line: bytes) -> TreeMember:
    """Reads a line "+PID COMMAND" or "-PID COMMAND" of the library."""
    number, _, command = line[1:].partition(b" ")
    return TreeMember(int(number), command, line.startswith(b"+"))


def parse_holders(listing: bytes) -> list[Holder]:
    """Reads the lines "PID COMMAND" of the library."""
    holders = []
    for line in listing.splitlines():
        number, _, command = line.partition(b" ")
        known = number.isdigit()
        holders.append(Holder(int(number), command) if known else Holder(None, line))
    return holders
