"""The named numbers of the library, as Python enumerations."""

from __future__ import annotations

import enum


class Result(enum.IntEnum):
    """Why a call failed: `CoreprocError.result`."""

    INVALID_ARGUMENT = -1
    NOT_FOUND = -2
    PERMISSION_DENIED = -3
    SYSTEM = -4
    OUT_OF_MEMORY = -5
    NOT_RUNNING = -6
    STDIN_CLOSED = -7
    TIMED_OUT = -8
    CLOSED = -9
    DEADLOCK = -10
    FORKED = -11
    PANIC = -12
    UNSUPPORTED = -13
    BUSY = -14
    MALFORMED = -15
    INVALID_STATE = -16


class State(enum.IntEnum):
    """Where a process is in its life."""

    RUNNING = 1
    #: The process has ended; its output may still be on its way.
    EXITED = 2
    #: All output was read, or the drain bound was reached.
    CLOSED = 3


class Cause(enum.IntEnum):
    """What made a process end."""

    #: Something that a later library knows and this binding does not.
    OTHER = -1
    #: It has not ended yet.
    NONE = 0
    NATURAL = 1
    STOPPED = 2
    KILLED = 3
    TIMEOUT = 4
    #: By the cancel of its run.
    CANCELLED = 5

    @classmethod
    def _missing_(cls, value: object) -> Cause | None:
        return cls.OTHER if isinstance(value, int) else None


class EventKind(enum.IntEnum):
    """What an event tells."""

    STARTED = 1
    STDOUT = 2
    STDERR = 3
    EXITED = 4
    CLOSED = 5
    RUN_STARTED = 6
    SPEC_STARTED = 7
    SPEC_RETRYING = 8
    SPEC_ENDED = 9
    RUN_ENDED = 10


class Flag(enum.IntFlag):
    """Details of an event or of an `Info`."""

    STATUS_UNKNOWN = 1
    CORE_DUMPED = 2
    #: A piece of a line: the next event of this stream goes on with it.
    PARTIAL = 4
    #: The last line, which had no newline.
    NO_NEWLINE = 8
    #: Closed at the drain bound: somebody still holds the output pipes.
    DRAIN_BOUND = 16
    #: Bytes before these were lost, because there was no memory for them.
    LOST = 32
    #: In an info: the kernel refuses the signal of a stop, a timeout or a close; it is tried again.
    STOP_REFUSED = 64


class Scope(enum.IntEnum):
    """Whom a signal or a stop reaches."""

    DEFAULT = 0
    PROCESS = 1
    GROUP = 2


class Group(enum.IntEnum):
    """The process group a command starts in."""

    #: Its own. The kernel stops it when it reads from the terminal.
    OWN = 1
    #: That of this process, with which it shares the terminal, its Ctrl-C and its Ctrl-Z.
    INHERIT = 2


class CloseMode(enum.IntEnum):
    """What closing a service does to the processes that still run."""

    LEAVE = 1
    STOP = 2
    KILL = 3


class Delivery(enum.IntEnum):
    """How a subscription delivers output."""

    CHUNKS = 1
    LINES = 2
    #: Lifecycle events alone.
    NONE = 3


class Subscribe(enum.IntEnum):
    """Whose events a subscription receives."""

    #: Every process spawned after it opened.
    ALL = 1
    #: Only processes whose command named it.
    NAMED = 2


class Stdio(enum.Enum):
    """What a stream of a command is connected to, where it is no file and no descriptor."""

    NULL = 1
    PIPE = 2
    #: That of this process. To read from a terminal, `Group.INHERIT` is needed as well.
    INHERIT = 3
    #: Standard error only: into whatever standard output is.
    MERGE = 4
    #: Outputs only: an unlinked file that the library follows.
    SPOOL = 5


class RunMode(enum.IntEnum):
    """In which order a pipeline runs."""

    #: Each spec starts the moment its last dependency has ended, several at a time.
    ALL = 1
    #: One at a time, in the order of the pipeline; stops at the first failure.
    SEQUENTIAL = 2
    #: Several at a time, whatever comes after what.
    PARALLEL = 3


class OnFailure(enum.IntEnum):
    """What a failure that is not allowed does to what does not depend on it."""

    #: Nothing.
    KEEP_GOING = 1
    #: Cancels the run.
    FAIL_FAST = 2


class SpecState(enum.IntEnum):
    """How a spec of a run ended."""

    PASSED = 1
    FAILED = 2
    #: Not started, because of what it comes after or because the run ended first.
    SKIPPED = 3
    CANCELLED = 4
    #: Stopped by its own timeout.
    TIMED_OUT = 5


class ReportFormat(enum.IntEnum):
    """What a report of a run is written as."""

    JSON = 1
    JUNIT = 2
    #: For Perfetto or about:tracing.
    CHROME_TRACE = 3
    #: A Gantt chart.
    SVG = 4


class ProgressStyle(enum.IntEnum):
    """How a run is shown."""

    AUTO = 1
    #: Lines that stay, and below them what runs and how much is done.
    TERMINAL = 2
    #: Lines that stay, alone.
    PLAIN = 3


class ProgressOutput(enum.IntEnum):
    """How the output of a run's processes is shown."""

    #: Line by line, as it comes, behind the spec's name.
    PREFIXED = 1
    #: That of each attempt at once, when it has ended.
    GROUPED = 2
    NONE = 3
