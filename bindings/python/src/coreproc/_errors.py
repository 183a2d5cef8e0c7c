"""The exceptions: one class for each result code of the library.

Where Python has an exception of the same meaning, the class is one of those too, so that
`except FileNotFoundError` works as a reader expects.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .constants import Result

if TYPE_CHECKING:
    import ctypes


class CoreprocError(Exception):
    """A call that failed. `str()` is a message that can be shown as it is.

    Attributes:
        result: The result code, a `Result` where this binding knows it.
        errno: What the system call behind it said; None when there was none.
        operation: What was being done, such as "spawn".
        stage: How far it had come, such as "lookup", "chdir", "exec"; "" when it has no stages.
        written: Of `Process.write_all`, how many bytes were taken before it failed.
    """

    result: int
    errno: int | None
    operation: str
    stage: str
    written: int = 0

    def __init__(
        self,
        message: str,
        *,
        result: int,
        errno: int | None = None,
        operation: str = "",
        stage: str = "",
    ) -> None:
        """Keeps what the library reported."""
        super().__init__(message)
        self.result = result
        self.errno = errno
        self.operation = operation
        self.stage = stage
        failure: BaseException = self
        if isinstance(failure, OSError) and errno is not None:
            failure.strerror = os.strerror(errno)

    def __str__(self) -> str:
        """The message alone; OSError would put its own around errno."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles through `_rebuild`, because the constructor takes keywords."""
        return _rebuild, (
            type(self),
            str(self),
            self.result,
            self.errno,
            self.operation,
            self.stage,
        )


class InvalidArgument(CoreprocError, ValueError):
    """A value the library does not take; the message names the field."""


class NotFound(CoreprocError, FileNotFoundError):
    """No such program, interpreter or directory; no such process in the service."""


class PermissionDenied(CoreprocError, PermissionError):
    """The system does not allow it."""


class SystemFailure(CoreprocError, OSError):
    """A system call failed in another way; `errno` says how."""


class OutOfMemory(CoreprocError, MemoryError):
    """There was no memory for it."""


class NotRunning(CoreprocError, ProcessLookupError):
    """The process has ended."""


class StdinClosed(CoreprocError, BrokenPipeError):
    """Standard input is no pipe of ours, was closed, or nobody reads it any more."""


class TimedOut(CoreprocError, TimeoutError):
    """It did not happen in the time given."""


class Closed(CoreprocError):
    """The service or the subscription is closed, or the handle was released."""


class Deadlock(CoreprocError, RuntimeError):
    """The call would have waited for itself."""


class Forked(CoreprocError, RuntimeError):
    """The library was used in a child of fork(); only the process that loaded it can."""


class Panic(CoreprocError, RuntimeError):
    """A bug in the library; the message says where."""


class Unsupported(CoreprocError, NotImplementedError):
    """The kernel lacks what is needed."""


class Busy(CoreprocError):
    """Somebody else holds it."""


class Malformed(CoreprocError, ValueError):
    """What was read is not what it should be; the message says where."""


class InvalidState(CoreprocError, RuntimeError):
    """Not in the state that the call is for."""


_CLASSES: dict[int, type[CoreprocError]] = {
    Result.INVALID_ARGUMENT: InvalidArgument,
    Result.NOT_FOUND: NotFound,
    Result.PERMISSION_DENIED: PermissionDenied,
    Result.SYSTEM: SystemFailure,
    Result.OUT_OF_MEMORY: OutOfMemory,
    Result.NOT_RUNNING: NotRunning,
    Result.STDIN_CLOSED: StdinClosed,
    Result.TIMED_OUT: TimedOut,
    Result.CLOSED: Closed,
    Result.DEADLOCK: Deadlock,
    Result.FORKED: Forked,
    Result.PANIC: Panic,
    Result.UNSUPPORTED: Unsupported,
    Result.BUSY: Busy,
    Result.MALFORMED: Malformed,
    Result.INVALID_STATE: InvalidState,
}


def _rebuild(
    kind: type[CoreprocError],
    message: str,
    result: int,
    errno: int | None,
    operation: str,
    stage: str,
) -> CoreprocError:
    return kind(message, result=result, errno=errno, operation=operation, stage=stage)


def from_library(
    lib: Any,  # noqa: ANN401 (ctypes has no type to name)
    code: int,
    error: ctypes.c_void_p,
) -> CoreprocError:
    """The exception for what a call returned; frees `error`."""
    kind = _CLASSES.get(code, CoreprocError)
    result = Result(code) if code in _CLASSES else code
    if not error:
        return kind(f"libcoreproc returned {result!r} without an error", result=result)
    try:
        return kind(
            lib.coreproc_error_message(error).decode(errors="surrogateescape"),
            result=result,
            errno=lib.coreproc_error_errno(error) or None,
            operation=lib.coreproc_error_operation(error).decode(),
            stage=lib.coreproc_error_stage(error).decode(),
        )
    finally:
        lib.coreproc_error_free(error)


def invalid(operation: str, field: str, problem: str) -> InvalidArgument:
    """A refusal made here, because the C interface could not express the value."""
    return InvalidArgument(
        f"{operation}: {field}: {problem}", result=Result.INVALID_ARGUMENT, operation=operation
    )
