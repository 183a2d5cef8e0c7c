"""Events, and the subscriptions that deliver them."""

from __future__ import annotations

import ctypes
import functools
import select
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from . import _abi
from ._convert import Deadline, wait_ms
from ._errors import Closed, TimedOut
from ._handle import Handle, Owner
from ._lib import call, lib
from .constants import Cause, EventKind, Flag, SpecState

if TYPE_CHECKING:
    from types import TracebackType

#: The longest timeout that poll() takes, in milliseconds.
_LONGEST_POLL = 2**31 - 1

_KINDS = {int(kind): kind for kind in EventKind}
_CAUSES = {int(cause): cause for cause in Cause}
_SPEC_STATES = {int(state): state for state in SpecState}
_FLAGS = {number: Flag(number) for number in range(256)}


class Event(NamedTuple):
    """An event of one process, or of one run.

    Attributes:
        kind: What happened.
        flags: Details of it.
        process_id: The id of the process, as `Process.id`, or of the run; not a PID.
        sequence: The number of the event, from 1 for each process in each subscription, without
            gaps.
        monotonic_ns: When it was seen, on CLOCK_MONOTONIC.
        realtime_ns: When it was seen, on CLOCK_REALTIME.
        pid: The PID of the process; 0 for a run.
        exit_code: For exited and closed: the exit code; None if the process did not exit by itself.
        signal: For exited and closed: the signal that ended the process; None if none did. For
            stopped: the signal that stopped it; None if it is not known.
        cause: For exited and closed: what made the process end.
        data: The line without its newline, or the raw chunk. For closed at the drain bound: the
            processes that hold the output, "PID COMMAND" on a line each. For spec started: the name
            of the spec; for spec retrying and ended: why it did not pass. A read-only memoryview if
            the event was taken with `views`.
        run_id: The run that the event belongs to, as `Run.id`; None if it belongs to none.
        spec: The index of the spec in the pipeline; None for a run as a whole.
        attempt: The number of the attempt of the spec, from 1; 0 if there was none.
        spec_state: For spec ended: how it ended.
        descriptor: For output: the descriptor that the process wrote to; None for other kinds.
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
    data: bytes | memoryview
    run_id: int | None
    spec: int | None
    attempt: int
    spec_state: SpecState | None
    descriptor: int | None


@functools.cache
def _layout(stride: int) -> struct.Struct:
    """Makes the layout of events of this size; those of a later library may be longer than ours."""
    return struct.Struct(f"{_abi.EVENT_FORMAT}{stride - _abi.EVENT_SIZE}x")


@functools.cache
def _buffer_type(bits: int) -> type[ctypes.Array[ctypes.c_ubyte]]:
    """Makes a type for buffers of 2**bits bytes; a type for each length would fill a cache."""

    class Buffer(ctypes.c_ubyte * (1 << bits)):
        """Memory of a batch, which it keeps."""

        batch: Handle

    return Buffer


def _view(batch: Handle, address: int, length: int) -> memoryview:
    """Makes a view of memory that belongs to a batch, and is valid as long as the view."""
    buffer = _buffer_type((length - 1).bit_length()).from_address(address)
    buffer.batch = batch
    return memoryview(buffer).cast("B")[:length].toreadonly()


def _decode(
    batch: ctypes.c_void_p,
    data_of: Callable[[int, int], bytes | memoryview] = ctypes.string_at,
) -> list[Event]:
    """Converts a batch, and leaves out kinds that this binding does not know."""
    count, stride = ctypes.c_size_t(), ctypes.c_size_t()
    first = lib.coreproc_batch_events(batch, ctypes.byref(count), ctypes.byref(stride))
    if not count.value:
        return []
    raw = ctypes.string_at(first, count.value * stride.value)
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
            data_of(data, length) if length else b"",
            run_id or None,
            spec if spec != _abi.NO_SPEC else None,
            attempt,
            _SPEC_STATES.get(spec_state),
            descriptor if kind == _abi.EVENT_OUTPUT else None,
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
            descriptor,
        ) in _layout(stride.value).iter_unpack(raw)
        if kind in _KINDS
    ]


class Subscription(Owner):
    """A stream of events, opened by `Service.subscribe`; any thread may use it.

    Iterating waits for events, and ends with the stream::

        for event in subscription:
            ...

    Several threads may take events side by side: those of one process stay in order.
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
        """Yields events as they come, until the stream ends."""
        while True:
            try:
                events = self.take()
            except Closed:
                return
            yield from events

    def take(
        self, max_events: int = 0, timeout: float | None = None, *, views: bool = False
    ) -> list[Event]:
        """Waits for events of one process, and takes up to `max_events` (0: 1024) of them.

        With `views`, data are not copied: they are read-only memoryviews of the library's memory,
        for large chunks. They stay valid for as long as they are kept; until all views of these
        events are dropped, their process has no further events, and, once its queue is full, its
        output is not read.

        Raises:
            TimedOut: No event came within `timeout` seconds; 0 only looks.
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
                if views:
                    owner = Handle(batch, lib.coreproc_batch_free)
                    return _decode(batch, functools.partial(_view, owner))
                try:
                    return _decode(batch)
                finally:
                    lib.coreproc_batch_free(batch)
            # A wait here, not in the library, lets Python run signal handlers.
            self._wait_readable(left)

    def _wait_readable(self, timeout: float | None) -> None:
        poller = select.poll()
        poller.register(self.fileno(), select.POLLIN)
        milliseconds = wait_ms(timeout)
        poller.poll(None if milliseconds < 0 else min(milliseconds, _LONGEST_POLL))

    def fileno(self) -> int:
        """Returns a pipe that is readable while events may wait, and when the stream has ended.

        It is for select, asyncio and the like. Take until `TimedOut` before you wait on it again.
        Its bytes mean nothing. It belongs to the subscription: do not close it.
        """
        out = ctypes.c_int32()
        call(lib.coreproc_subscription_fd, self._handle, ctypes.byref(out))
        return out.value

    def close(self) -> None:
        """Ends the stream, discards events that wait, and wakes every taker; idempotent."""
        call(lib.coreproc_subscription_close, self._handle)
