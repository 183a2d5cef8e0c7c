"""Spawn, watch, stream and stop processes.

::

    import coreproc

    with coreproc.Service() as service:
        process = coreproc.Command("uname", "-sr").spawn(service)
        info = process.wait()
        print(info.exit_code, process.output())

A `Service` supervises processes. A `Command` says what to run; `Command.spawn` starts it. A
`Process` is waited for, signalled and stopped. A `Subscription` delivers output, and what happens
to processes, as events. A `Pipeline` is a graph of commands; a `Run` of it leaves results and
reports. A call that fails raises a `CoreprocError`.

This package is a thin layer over libcoreproc: it converts, and the library does the work.
"""

from ._errors import (
    Busy,
    Closed,
    CoreprocError,
    Deadlock,
    Forked,
    InvalidArgument,
    InvalidState,
    Malformed,
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
from ._wait import wait_all, wait_any
from .activity import Activity, Figures
from .command import Command, File
from .constants import (
    Cause,
    CloseMode,
    Contain,
    Delivery,
    Descriptor,
    Doing,
    Encoding,
    EventKind,
    Flag,
    Group,
    IoClass,
    LogFormat,
    OnFailure,
    Overflow,
    ProgressOutput,
    ProgressStyle,
    PtyMode,
    ReportFormat,
    Result,
    Rung,
    RunMode,
    Scope,
    SpecState,
    State,
    Stdio,
    Subscribe,
)
from .found import FoundInfo, FoundProcess, identity_of_pid, open_process
from .info import Info, ResourceUsage, TreeUsage
from .log import Log, LogFollower, LogInfo
from .pipeline import History, Pipeline, Progress, Run, RunInfo, SpecResult
from .process import Captured, Holder, OutputDropped, Process, TreeMember
from .service import Service
from .stop import Step, Stop
from .subscription import Event, Subscription
from .terminal import Pty

__version__ = "0.1.0"

__all__ = [
    "Activity",
    "Busy",
    "Captured",
    "Cause",
    "CloseMode",
    "Closed",
    "Command",
    "Contain",
    "CoreprocError",
    "Deadlock",
    "Delivery",
    "Descriptor",
    "Doing",
    "Encoding",
    "Event",
    "EventKind",
    "Figures",
    "File",
    "Flag",
    "Forked",
    "FoundInfo",
    "FoundProcess",
    "Group",
    "History",
    "Holder",
    "Info",
    "InvalidArgument",
    "InvalidState",
    "IoClass",
    "LibraryError",
    "Log",
    "LogFollower",
    "LogFormat",
    "LogInfo",
    "Malformed",
    "NotFound",
    "NotRunning",
    "OnFailure",
    "OutOfMemory",
    "OutputDropped",
    "Overflow",
    "Panic",
    "PermissionDenied",
    "Pipeline",
    "Process",
    "Progress",
    "ProgressOutput",
    "ProgressStyle",
    "Pty",
    "PtyMode",
    "ReportFormat",
    "ResourceUsage",
    "Result",
    "Run",
    "RunInfo",
    "RunMode",
    "Rung",
    "Scope",
    "Service",
    "SpecResult",
    "SpecState",
    "State",
    "StdinClosed",
    "Stdio",
    "Step",
    "Stop",
    "Subscribe",
    "Subscription",
    "SystemFailure",
    "TimedOut",
    "TreeMember",
    "TreeUsage",
    "Unsupported",
    "__version__",
    "identity_of_pid",
    "library_version",
    "open_process",
    "wait_all",
    "wait_any",
]
