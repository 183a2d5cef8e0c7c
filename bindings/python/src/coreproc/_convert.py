"""Python values to what the C interface takes: bytes, milliseconds, sizes.

One rule for every size and duration: None is the default, `math.inf` is no limit.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from typing import Callable, TypeVar, Union

from ._abi import CAPTURE_NONE, UNLIMITED
from ._errors import CoreprocError, TimedOut, invalid

#: What names a program, an argument or a file: text is encoded as the file system's names are.
Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_T = TypeVar("_T")

#: The largest capture in C, for one that keeps everything.
_CAPTURE_ALL = 2**63 - 1

#: Longest stay inside the library on the main thread: Python runs signal handlers there, and
#: raises KeyboardInterrupt, only between two calls.
_SLICE = 0.1


def text(value: Text) -> tuple[bytes, int]:
    """A pointer and length pair."""
    encoded = os.fsencode(value)
    return encoded, len(encoded)


def json_text(document: str | bytes | Mapping[str, object]) -> bytes:
    """JSON as it is, or what `json.load` makes of it."""
    if isinstance(document, Mapping):
        document = json.dumps(document)
    return document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document


def duration_ms(operation: str, field: str, seconds: float | None) -> int:
    """An option; rounded up, so that no positive time becomes 0, which means the default."""
    if seconds is None:
        return 0
    if not seconds > 0:
        raise invalid(operation, field, f"must be more than 0 seconds, not {seconds!r}")
    return min(math.ceil(seconds * 1000), UNLIMITED) if seconds != math.inf else UNLIMITED


def size(operation: str, field: str, count: float | None) -> int:
    """An option; 0 is refused, because the C interface takes it for the default."""
    if count is None:
        return 0
    if count == math.inf:
        return UNLIMITED
    if not isinstance(count, int) or not 0 < count < UNLIMITED:
        raise invalid(operation, field, f"must be a positive number of bytes, not {count!r}")
    return count


def capture_size(operation: str, count: float | None) -> int:
    """An option where 0 has a meaning of its own, nothing, as the greatest number has in C."""
    if count == 0:
        return CAPTURE_NONE
    return _CAPTURE_ALL if count == math.inf else size(operation, "capture", count)


def wait_ms(seconds: float | None) -> int:
    """A time to wait: None for ever, 0 only looks."""
    if seconds is None or seconds == math.inf:
        return -1
    if math.isnan(seconds):
        raise ValueError("a timeout must be a number")
    return min(math.ceil(max(seconds, 0) * 1000), 2**63 - 1)


class Deadline:
    """A timeout that is counted down over several calls."""

    def __init__(self, seconds: float | None) -> None:
        """Starts counting."""
        wait_ms(seconds)
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, at least 0; None without an end."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


def insist(end: Callable[[], object], wait: Callable[[], object]) -> None:
    """Ends what runs, and waits for that.

    Whoever interrupts this wait wants it over: the first time it is ended again, which is harder,
    the second time it is left to itself.
    """
    for _ in range(2):
        end()
        try:
            wait()
        except CoreprocError:
            return  # there is nothing more to wait for
        except BaseException:  # The caller raises what came first.
            continue
        return


def interruptible(attempt: Callable[[int], _T], timeout: float | None) -> _T:
    """Calls `attempt(timeout_ms)` until it does not time out or `timeout` seconds are over.

    Only the main thread runs signal handlers, so only there the waiting is cut into slices.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return attempt(wait_ms(timeout))
    deadline = Deadline(timeout)
    while True:
        left = deadline.left()
        last = left is not None and left <= _SLICE
        try:
            return attempt(wait_ms(left if last else _SLICE))
        except TimedOut:
            if last:
                raise
