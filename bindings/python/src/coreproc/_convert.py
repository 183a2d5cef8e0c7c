"""Converts Python values to those of the C interface: bytes, milliseconds, sizes.

For every size and duration None is the default, and `math.inf` is no limit.
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

#: The name of a program or a file, or an argument: text is encoded like names of files.
Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_T = TypeVar("_T")

#: The largest capture in C, for one that keeps everything.
_CAPTURE_ALL = 2**63 - 1

#: The longest stay in the library on the main thread, in seconds: Python runs signal handlers
#: there, and raises KeyboardInterrupt, only between two calls.
_SLICE = 0.1


def text(value: Text) -> tuple[bytes, int]:
    """Returns a pointer and a length."""
    encoded = os.fsencode(value)
    return encoded, len(encoded)


def json_text(document: str | bytes | Mapping[str, object]) -> bytes:
    """Returns JSON text, from a text or from what `json.load` makes of one."""
    if isinstance(document, Mapping):
        document = json.dumps(document)
    return document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document


def duration_ms(operation: str, field: str, seconds: float | None) -> int:
    """Converts an option, and rounds up: no positive time becomes 0, which is the default."""
    if seconds is None:
        return 0
    if not seconds > 0:
        raise invalid(operation, field, f"must be more than 0 seconds, not {seconds!r}")
    return min(math.ceil(seconds * 1000), UNLIMITED) if seconds != math.inf else UNLIMITED


def size(operation: str, field: str, count: float | None) -> int:
    """Converts an option; refuses 0, because the C interface takes it for the default."""
    if count is None:
        return 0
    if count == math.inf:
        return UNLIMITED
    if not isinstance(count, int) or not 0 < count < UNLIMITED:
        raise invalid(operation, field, f"must be a positive number of bytes, not {count!r}")
    return count


def capture_size(operation: str, count: float | None) -> int:
    """Converts the size of a capture, of which 0 keeps nothing; in C the greatest number does."""
    if count == 0:
        return CAPTURE_NONE
    return _CAPTURE_ALL if count == math.inf else size(operation, "capture", count)


def wait_ms(seconds: float | None) -> int:
    """Converts a time to wait: None waits for ever, 0 only looks."""
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
        """The seconds that are left, at least 0; None if there is no end."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


def insist(end: Callable[[], object], wait: Callable[[], object]) -> None:
    """Ends something that runs, and waits until it has ended.

    The first interrupt of this wait ends it again, and harder. The second one ends the wait.
    """
    for _ in range(2):
        end()
        try:
            wait()
        except CoreprocError:
            return  # There is nothing more to wait for.
        except BaseException:  # The caller raises its own exception.
            continue
        return


def interruptible(attempt: Callable[[int], _T], timeout: float | None) -> _T:
    """Calls `attempt(timeout_ms)` until it does not time out, or `timeout` seconds are over.

    Only the main thread runs signal handlers, so only there the wait is cut into slices.
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
