"""Services, which supervise processes."""

from __future__ import annotations

import ctypes
import functools
import operator
import os
import weakref
from typing import TYPE_CHECKING

from . import _abi
from ._convert import capture_size, duration_ms, insist, interruptible, size, text
from ._handle import Owner
from ._lib import call, lib
from .activity import all_from_library
from .constants import CloseMode, Delivery, Encoding, EventKind, LogFormat, Overflow, Subscribe
from .log import Log
from .process import Process
from .subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from .activity import Activity


def _mask(kinds: Iterable[EventKind] | None) -> int:
    """The bits of kinds; those that are always delivered have none."""
    if kinds is None:
        return 0
    bits = [1 << EventKind(kind) for kind in kinds if kind != EventKind.OVERFLOW]
    if not bits:
        message = "subscription: kinds: names no kind of events that can be left out"
        raise ValueError(message)
    return functools.reduce(operator.or_, bits)


class Service(Owner):
    """Supervises the processes that are spawned in it; any thread may use it.

    Dropping it stops nothing. As a context manager it leaves nothing behind: the end of the block
    stops the processes that still run, closes the service's subscriptions, and waits until every
    process is closed.
    """

    __slots__ = ("_subscriptions",)

    def __init__(
        self,
        *,
        capture: float | None = None,
        drain_silence: float | None = None,
        drain_total: float | None = None,
    ) -> None:
        """Starts a service.

        Args:
            capture: The bytes of output to keep of each process whose command does not say; None
                is 1 MiB, 0 keeps nothing, `math.inf` everything.
            drain_silence: The seconds of silence after which an ended process is closed although
                another process still holds its output; None is 0.5.
            drain_total: The seconds after its end when it is closed in any case; None is 5.
        """
        options = _abi.ServiceOptions(
            capture_bytes=capture_size("service", capture),
            drain_silence_ms=duration_ms("service", "drain_silence", drain_silence),
            drain_total_ms=duration_ms("service", "drain_total", drain_total),
        )
        out = ctypes.c_void_p()
        call(lib.coreproc_service_new, ctypes.byref(options), ctypes.byref(out))
        super().__init__(out, lib.coreproc_service_free)
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def __enter__(self) -> Service:
        """The service itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the processes that run, and waits; an exception meanwhile kills them."""
        self.close()
        # A process whose queue is full would never be closed if no thread took its events.
        for subscription in list(self._subscriptions):
            subscription.close()
        try:
            self.wait_idle()
        except BaseException:
            insist(lambda: self.close(CloseMode.KILL), self.wait_idle)
            raise

    def process(self, id: int) -> Process:  # noqa: A002 (the field's own word)
        """Finds a process by its id, until it is closed.

        Raises:
            NotFound: There is no such process.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_service_process, self._handle, id, ctypes.byref(out))
        return Process(out)

    def count(self) -> int:
        """Counts the processes that are not yet closed."""
        out = ctypes.c_uint64()
        call(lib.coreproc_service_count, self._handle, ctypes.byref(out))
        return out.value

    def activities(self) -> list[Activity]:
        """Tells what its processes that run do and use now, by one pass over /proc for all.

        They come in the order of their ids. One that ends meanwhile is left out.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_service_activities, self._handle, ctypes.byref(out))
        return all_from_library(out)

    def subscribe(
        self,
        *,
        delivery: Delivery = Delivery.LINES,
        scope: Subscribe = Subscribe.ALL,
        queue_bytes: float | None = None,
        max_line_bytes: float | None = None,
        kinds: Iterable[EventKind] | None = None,
        overflow: Overflow = Overflow.BLOCK,
        encoding: Encoding = Encoding.BYTES,
        batch_events: int = 0,
        batch_bytes: int = 0,
    ) -> Subscription:
        """Opens a subscription: it gets the events of processes that are spawned from now on.

        Args:
            delivery: Whether it gets lines, raw chunks, or lifecycle events alone.
            scope: Whether it gets the events of every process, or only of those whose command names
                it.
            queue_bytes: The bytes that may wait for each process; None is 1 MiB. When this many
                wait, `overflow` says what happens.
            max_line_bytes: The longest line; None is 1 MiB. A longer one comes in flagged pieces.
            kinds: The kinds of events to deliver; None is all. Without `EventKind.CLOSED` nothing
                tells that a process is over. `EventKind.OVERFLOW` always comes.
            overflow: What a full queue does: `BLOCK` has the kernel slow the process; the others
                drop output, and an event of the kind `OVERFLOW` has the counts, as the decimal
                numbers of the bytes and of the events that they would have been.
            encoding: `UTF8` replaces what is no UTF-8, with `Flag.REPLACED`, and no event ends
                within a character.
            batch_events: The most events of one take; 0 is any number.
            batch_bytes: The most bytes of one take, unless it is a single event; 0 is any number.
        """
        options = _abi.SubscriptionOptions(
            scope=scope,
            delivery=delivery,
            queue_bytes=size("subscription", "queue_bytes", queue_bytes),
            max_line_bytes=size("subscription", "max_line_bytes", max_line_bytes),
            kinds=_mask(kinds),
            overflow=overflow,
            encoding=encoding,
            batch_events=batch_events,
            batch_bytes=batch_bytes,
        )
        out = ctypes.c_void_p()
        call(
            lib.coreproc_subscription_open,
            self._handle,
            ctypes.byref(options),
            ctypes.byref(out),
        )
        subscription = Subscription(out)
        self._subscriptions.add(subscription)
        return subscription

    def open_log(
        self,
        path: str | os.PathLike[str],
        *,
        log_format: LogFormat = LogFormat.RAW,
        max_bytes: int = 0,
        max_age: float | None = None,
        keep: int = 0,
        compress: bool = False,
        mode: int = 0o640,
    ) -> Log:
        """Opens a log, to which commands write by `logs=`.

        One thread of the library writes all logs of the service. What a process writes faster
        waits, up to 1 MiB, and is dropped then, and counted: no process is slowed.

        Args:
            path: The file; made if it is missing, and continued if it exists.
            log_format: The bytes as they are, or lines with time and stream.
            max_bytes: Bytes of one file; 0 is any number. Before it would become larger it is
                renamed to `PATH.1`, that to `PATH.2`, and so on.
            max_age: The seconds after which it is renamed before the next line; None is any.
            keep: How many renamed files are kept; 0 empties the file instead.
            compress: Whether renamed files are compressed by gzip.
            mode: The permissions of a new file.
        """
        options = _abi.LogOptions(
            format=log_format,
            max_bytes=max_bytes,
            max_age_ms=duration_ms("log", "max_age", max_age),
            keep=keep,
            compress=compress,
            mode=mode,
        )
        out = ctypes.c_void_p()
        name = text(os.fspath(path))
        call(lib.coreproc_log_open, self._handle, *name, ctypes.byref(options), ctypes.byref(out))
        return Log(out)

    def close(self, mode: CloseMode = CloseMode.STOP) -> None:
        """Refuses new spawns; stops, kills or leaves the processes that run. Does not wait."""
        call(lib.coreproc_service_close, self._handle, mode)

    def wait_idle(self, timeout: float | None = None) -> None:
        """Waits until every process is closed.

        Raises:
            TimedOut: `timeout` seconds are over.
        """
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_service_wait_idle, handle, milliseconds)

        interruptible(attempt, timeout)
