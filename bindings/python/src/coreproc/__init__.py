"""Spawn, watch, stream and stop processes.

::

    import coreproc

    with coreproc.Service() as service:
        process = coreproc.Command("uname", "-sr").spawn(service)
        info = process.wait()
        print(info.exit_code, process.output())

A `Service` supervises. A `Command` says what to run; `Command.spawn` starts it. A `Process` is
waited for, signalled and stopped. A `Subscription` delivers output and lifecycle as events. What
fails raises a `CoreprocError`.

This package is a thin layer over libcoreproc: it converts, the library does the work.
"""

from ._errors import (
    Closed,
    CoreprocError,
    Deadlock,
    Forked,
    InvalidArgument,
    NotFound,
    NotRunning,
    OutOfMemory,
    Panic,
    PermissionDenied,
    StdinClosed,
    SystemFailure,
    TimedOut,
    Unsupported,
)
from ._lib import LibraryError, library_version
from .command import Command, File
from .constants import (
    Cause,
    CloseMode,
    Delivery,
    EventKind,
    Flag,
    Group,
    Result,
    Scope,
    State,
    Stdio,
    Subscribe,
)
from .info import Info
from .process import Holder, Process
from .service import Service
from .stop import Stop
from .subscription import Event, Subscription

__version__ = "0.1.0"

__all__ = [
    "Cause",
    "CloseMode",
    "Closed",
    "Command",
    "CoreprocError",
    "Deadlock",
    "Delivery",
    "Event",
    "EventKind",
    "File",
    "Flag",
    "Forked",
    "Group",
    "Holder",
    "Info",
    "InvalidArgument",
    "LibraryError",
    "NotFound",
    "NotRunning",
    "OutOfMemory",
    "Panic",
    "PermissionDenied",
    "Process",
    "Result",
    "Scope",
    "Service",
    "State",
    "StdinClosed",
    "Stdio",
    "Stop",
    "Subscribe",
    "Subscription",
    "SystemFailure",
    "TimedOut",
    "Unsupported",
    "__version__",
    "library_version",
]
