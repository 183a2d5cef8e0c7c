"""Events, and the subscription they come from."""

from __future__ import annotations

import ctypes
import functools
import select
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from . import _abi
from ._convert import Deadline, wait_ms
from ._errors import Closed, TimedOut
from ._handle import Owner
from ._lib import call, lib
from .constants import Cause, EventKind, Flag, SpecState

if TYPE_CHECKING:
    from types import TracebackType

#: The longest time poll() takes, in milliseconds.
_LONGEST_POLL = 2**31 - 1

_KINDS = {int(kind): kind for kind in EventKind}
_CAUSES = {int(cause): cause for cause in Cause}
_SPEC_STATES = {int(state): state for state in SpecState}
_FLAGS = {number: Flag(number) for number in range(128)}


class Event(NamedTuple):
    """One thing that happened to one process, or to one run.

    Attributes:
        kind: Started, a piece of output, exited or closed.
        flags: Details; see `Flag`.
        process_id: `Process.id`, not the PID.
        sequence: Counts from 1 for each process in each subscription, without gaps.
        monotonic_ns: When, on CLOCK_MONOTONIC.
        realtime_ns: When, on CLOCK_REALTIME.
        pid: The kernel's number.
        exit_code: Exited and closed: the code, or None where it did not exit by itself.
        signal: Exited and closed: the signal that ended it, or None.
        cause: Exited and closed: what made it end.
        data: The line without its newline, or the raw chunk. Closed at the drain bound: who
            holds the output, a line of "PID COMMAND" each. Spec started: its name; retrying
            and ended: why it did not pass.
        run_id: The run that it belongs to, `Run.id`; None where it belongs to none.
        spec: The index of the spec in the run; None for the run as a whole.
        attempt: Which attempt of the spec, from 1; 0 where there was none.
        spec_state: Spec ended: how.
    """

    kind: EventKind
    flags: Flag
    process_id: int
    sequence: int
    monotonic_ns: int
    realtime_ns: int
    pid: int
    exit_code: int | None
    signal: int | None
    cause: Cause
    data: bytes
    run_id: int | None
    spec: int | None
    attempt: int
    spec_state: SpecState | None


@functools.cache
def _layout(stride: int) -> struct.Struct:
    """How to unpack an event of a library whose events may be longer than those known here."""
    return struct.Struct(f"{_abi.EVENT_FORMAT}{stride - _abi.EVENT_SIZE}x")


def _decode(batch: ctypes.c_void_p) -> list[Event]:
    """Copies a batch into Python; kinds this binding does not know are left out."""
    count, stride = ctypes.c_size_t(), ctypes.c_size_t()
    first = lib.coreproc_batch_events(batch, ctypes.byref(count), ctypes.byref(stride))
    if not count.value:
        return []
    raw = ctypes.string_at(first, count.value * stride.value)
    copy = ctypes.string_at
    return [
        Event(
            _KINDS[kind],
            _FLAGS.get(flags) or Flag(flags),
            process_id,
            sequence,
            monotonic_ns,
            realtime_ns,
            pid,
            exit_code if exit_code >= 0 else None,
            signal or None,
            _CAUSES.get(cause, Cause.OTHER),
            copy(data, length) if length else b"",
            run_id or None,
            spec if spec != _abi.NO_SPEC else None,
            attempt,
            _SPEC_STATES.get(spec_state),
        )
        for (
            kind,
            flags,
            process_id,
            sequence,
            monotonic_ns,
            realtime_ns,
            pid,
            exit_code,
            signal,
            cause,
            data,
            length,
            run_id,
            spec,
            attempt,
            spec_state,
        ) in _layout(stride.value).iter_unpack(raw)
        if kind in _KINDS
    ]


class Subscription(Owner):
    """A stream of events; `Service.subscribe` opens one. Any thread may use it.

    Iterating waits for events and ends with the stream::

        for event in subscription:
            ...

    Several threads may take side by side: the events of one process stay in order.
    """

    __slots__ = ()

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        """Takes over a coreproc_subscription."""
        super().__init__(pointer, lib.coreproc_subscription_free)

    def __enter__(self) -> Subscription:
        """The subscription itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """Events as they come, until the stream ends."""
        while True:
            try:
                events = self.take()
            except Closed:
                return
            yield from events

    def take(self, max_events: int = 0, timeout: float | None = None) -> list[Event]:
        """Waits for events of one process, and takes up to `max_events` (0: 1024).

        Raises:
            TimedOut: None came for `timeout` seconds; 0 only looks.
            Closed: The stream has ended.
        """
        handle = self._handle
        deadline = Deadline(timeout)
        while True:
            batch = ctypes.c_void_p()
            left = deadline.left()
            try:
                call(lib.coreproc_subscription_take, handle, max_events, 0, ctypes.byref(batch))
            except TimedOut:
                if left == 0:
                    raise
            else:
                try:
                    return _decode(batch)
                finally:
                    lib.coreproc_batch_free(batch)
            # Waiting here, not in the library, leaves Python free to run signal handlers.
            self._wait_readable(left)

    def _wait_readable(self, timeout: float | None) -> None:
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        milliseconds = wait_ms(timeout)
        poller.poll(None if milliseconds < 0 else min(milliseconds, _LONGEST_POLL))

    def fileno(self) -> int:
        """A pipe that is readable while events may be waiting, or when the stream has ended.

        For select, asyncio and the like. Take until TimedOut before waiting on it again. Its
        bytes mean nothing, and it belongs to the subscription: do not close it.
        """
        out = ctypes.c_int32()
        call(lib.coreproc_subscription_fd, self._handle, ctypes.byref(out))
        return out.value

    def close(self) -> None:
        """Ends the stream, discards what waits, and wakes every taker; idempotent."""
        call(lib.coreproc_subscription_close, self._handle)
