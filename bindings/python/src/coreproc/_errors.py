"""The exceptions: one class for each result code of the library.

If Python has an exception of the same meaning, the class derives from that, too, so that
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
        result: The result code, a `Result` if this binding knows it.
        errno: The errno of the system call that failed; None if no system call did.
        operation: The operation that failed, such as "spawn".
        stage: The step of it that failed, such as "lookup", "chdir", "exec"; "" if it has no steps.
        written: After `Process.write_all`, the number of bytes that were taken before it failed.
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
        """Keeps the details that the library reported."""
        super().__init__(message)
        self.result = result
        self.errno = errno
        self.operation = operation
        self.stage = stage
        failure: BaseException = self
        if isinstance(failure, OSError) and errno is not None:
            failure.strerror = os.strerror(errno)

    def __str__(self) -> str:
        """Returns the message alone; OSError would add a text of its own."""
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
    """The library does not take a value; the message names the field."""


class NotFound(CoreprocError, FileNotFoundError):
    """There is no such program, interpreter or directory, or no such process in the service."""


class PermissionDenied(CoreprocError, PermissionError):
    """The system does not allow it."""


class SystemFailure(CoreprocError, OSError):
    """Another system call failed; `errno` says how."""


class OutOfMemory(CoreprocError, MemoryError):
    """Memory could not be allocated."""


class NotRunning(CoreprocError, ProcessLookupError):
    """The process has ended."""


class StdinClosed(CoreprocError, BrokenPipeError):
    """Standard input is not a pipe of the library, was closed, or has no reader left."""


class TimedOut(CoreprocError, TimeoutError):
    """The time ran out first."""


class Closed(CoreprocError):
    """The service or the subscription is closed, or the handle was released."""


class Deadlock(CoreprocError, RuntimeError):
    """The call would have waited for itself."""


class Forked(CoreprocError, RuntimeError):
    """The library was used in a child of fork(); only the process that loaded it can use it."""


class Panic(CoreprocError, RuntimeError):
    """A bug in the library; the message says where."""


class Unsupported(CoreprocError, NotImplementedError):
    """The kernel, or this build of the library, lacks something that is needed."""


class Busy(CoreprocError):
    """Another process holds it, such as a PID file or an address."""


class Malformed(CoreprocError, ValueError):
    """A file or a JSON text is not what it should be; the message says where."""


class InvalidState(CoreprocError, RuntimeError):
    """The object is not in the state that the call is for."""


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
    """Makes the exception for a result and its error; frees `error`."""
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
    """Refuses a value that the C interface could not express."""
    return InvalidArgument(
        f"{operation}: {field}: {problem}", result=Result.INVALID_ARGUMENT, operation=operation
    )
