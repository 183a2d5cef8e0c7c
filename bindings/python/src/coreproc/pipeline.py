"""Pipelines: graphs of commands, their runs, and the results."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Union

from . import _abi
from ._convert import Text, duration_ms, insist, interruptible, json_text, text
from ._errors import invalid
from ._handle import Owner
from ._lib import call, lib, take_bytes
from .constants import (
    Flag,
    OnFailure,
    ProgressOutput,
    ProgressStyle,
    ReportFormat,
    RunMode,
    SpecState,
)

if TYPE_CHECKING:
    from types import TracebackType

    from .command import Command
    from .service import Service
    from .subscription import Subscription


class Pipeline(Owner):
    """A graph of specs: commands, and what each comes after. One thread at a time; runs copy it.

    ::

        pipeline = Pipeline()
        pipeline.add("build", Command("make", "all"))
        pipeline.add("test", Command("make", "test"), after=["build"], retries=1)
        run = pipeline.run(service)
        print(run.success, [result.name for result in run.results() if not result.ok])
    """

    __slots__ = ()

    def __init__(self, name: str = "") -> None:
        """Makes an empty pipeline.

        Args:
            name: The name that reports show.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_pipeline_new, ctypes.byref(out))
        super().__init__(out, lib.coreproc_pipeline_free)
        encoded = _utf8(name)
        self._set("name", encoded, len(encoded))

    @classmethod
    def from_json(cls, document: str | bytes | Mapping[str, Any]) -> Pipeline:
        """Makes a pipeline from JSON, as `docs/pipeline-json.md` describes it, and checks it.

        Args:
            document: The text, or what `json.load` makes of it.

        Raises:
            Malformed: It is no pipeline; the message says where, and what was probably meant.
        """
        encoded = json_text(document)
        out = ctypes.c_void_p()
        call(lib.coreproc_pipeline_from_json, encoded, len(encoded), ctypes.byref(out))
        pipeline = cls.__new__(cls)
        Owner.__init__(pipeline, out, lib.coreproc_pipeline_free)
        return pipeline

    @classmethod
    def from_file(cls, path: Text) -> Pipeline:
        """Makes a pipeline from a JSON file.

        Raises:
            OSError: The file cannot be read.
            Malformed: As for `from_json`.
        """
        with open(path, "rb") as file:  # noqa: PTH123 (a path may be bytes)
            return cls.from_json(file.read())

    def add(
        self,
        name: str,
        command: Command,
        *,
        after: Iterable[str] = (),
        allow_failure: bool = False,
        always_run: bool = False,
        retries: int = 0,
        backoff: float | None = None,
        backoff_max: float | None = None,
    ) -> Pipeline:
        """Adds a spec; returns the pipeline.

        Args: name: The name of the spec, which no other spec of the pipeline has. command: The
        command that it runs, copied; the command's timeout is that of each attempt. after: The
        names of the specs that must have ended before it starts. allow_failure: Whether its failure
        counts, but does not skip specs that come after it. always_run: Whether it runs even after a
        failure or a cancel: for clean-up. retries: The number of further attempts if the first one
        fails. backoff: The seconds before the second attempt; each later wait is twice the last
        one. None is 0.1. backoff_max: The longest wait in seconds; None is 10.
        """
        if isinstance(after, (str, bytes)):
            raise invalid("pipeline", "after", "must be a list of names, not one string")
        if not 0 <= retries < 2**32:
            raise invalid("pipeline", "retries", f"must be 0 to {2**32 - 1}, not {retries!r}")
        names = [_utf8(before) for before in after]
        first, most = (
            duration_ms("pipeline", "backoff", backoff),
            duration_ms("pipeline", "backoff_max", backoff_max),
        )
        spec = ctypes.c_size_t()
        encoded = _utf8(name)
        call(
            lib.coreproc_pipeline_add,
            self._handle,
            encoded,
            len(encoded),
            command._handle,
            ctypes.byref(spec),
        )
        for before in names:
            self._set("after", spec, before, len(before))
        self._set("allow_failure", spec, int(allow_failure))
        self._set("always_run", spec, int(always_run))
        self._set("retries", spec, retries, first, most)
        return self

    def _set(self, setter: str, *values: object) -> None:
        call(getattr(lib, f"coreproc_pipeline_{setter}"), self._handle, *values)

    def __len__(self) -> int:
        """The number of specs."""
        count: int = lib.coreproc_pipeline_spec_count(self._handle)
        return count

    def check(self) -> None:
        """Checks names, dependencies and cycles.

        Raises:
            InvalidArgument: It cannot run; the message says where and why.
        """
        call(lib.coreproc_pipeline_check, self._handle)

    def start(
        self,
        service: Service,
        *,
        mode: RunMode = RunMode.ALL,
        on_failure: OnFailure | None = None,
        limit: float | None = None,
        deadline: float | None = None,
        subscription: Subscription | None = None,
        history: History | None = None,
        progress: Progress | None = None,
        _run: Run | None = None,
    ) -> Run:
        """Starts a run of it, and does not wait.

        Args: service: The service of its processes. mode: The order in which specs run. on_failure:
        Whether it goes on after a failure, or is cancelled; None is what the pipeline says. limit:
        The number of specs that run at a time. None is what the pipeline says, or else the number
        of processors; `math.inf` is all of them. deadline: The seconds after which it is cancelled;
        None never cancels it. subscription: The subscription of `Subscribe.NAMED` that gets its
        events. history: The times that specs took before, so that the longest path starts first.
        progress: The view that will show the run.

        Raises:
            InvalidArgument: It cannot run, as `check` says. Nothing was started.
            Closed: The service is closed.
        """
        run = Run(ctypes.c_void_p()) if _run is None else _run
        options = _abi.RunOptions(
            mode=mode,
            on_failure=0 if on_failure is None else on_failure,
            limit=_limit(limit),
            deadline_ms=duration_ms("run", "deadline", deadline),
        )
        # The structure holds plain numbers, so the handles are kept until the call is over.
        held = [owner and owner._handle for owner in (subscription, history, progress)]
        options.subscription, options.history, options.progress = (
            handle and handle._as_parameter_ for handle in held
        )
        call(
            lib.coreproc_run_start,
            self._handle,
            service._handle,
            ctypes.byref(options),
            ctypes.byref(run._pointer),
        )
        del held
        return run

    def run(self, service: Service, **options: Any) -> Run:  # noqa: ANN401 (the options of `start`)
        """Starts a run of it, and waits until it has ended; with `progress`, shows it meanwhile.

        An exception during the wait, such as KeyboardInterrupt, cancels the run. It is raised when
        the processes were stopped and the specs that always run have ended. A second exception ends
        those specs, too, and kills processes that have not stopped. A third one ends the wait.
        """
        # Made before the start, so that an interrupt right after the start finds the run.
        run = Run(ctypes.c_void_p())
        try:
            self.start(service, _run=run, **options)
            run._watch(options.get("progress"))
        except BaseException:
            if run._pointer:
                insist(run.cancel, lambda: run._watch(options.get("progress")))
            raise
        return run


@dataclass(frozen=True)
class SpecResult:
    """The result of a spec.

    Attributes:
        name: The name of the spec.
        state: How it ended.
        exit_code: The exit code of its last attempt; None if that did not exit by itself, or was
            not started.
        signal: The signal that ended its last attempt; None if none did.
        attempts: The number of attempts that were started.
        allow_failure: Whether its failure was allowed.
        error: Why it did not pass; "" if it did.
        output: The output in the capture of its last attempt.
        dropped_bytes: Bytes at the start of the output that the capture does not hold.
        started_monotonic_ns: When its first attempt was started, on CLOCK_MONOTONIC; None if none
            was.
        started_realtime_ns: The same on CLOCK_REALTIME.
        duration: The seconds from the start of its first attempt to the end of its last.
        flags: `STATUS_UNKNOWN` and `CORE_DUMPED` of its last attempt.
    """

    name: str
    state: SpecState
    exit_code: int | None
    signal: int | None
    attempts: int
    allow_failure: bool
    error: str
    output: bytes
    dropped_bytes: int
    started_monotonic_ns: int | None
    started_realtime_ns: int | None
    duration: float
    flags: Flag

    @property
    def ok(self) -> bool:
        """Whether it passed."""
        return self.state is SpecState.PASSED


@dataclass(frozen=True)
class RunInfo:
    """The progress of a run: the number of specs in each state.

    `duration` is in seconds, and None until the run has ended.
    """

    ended: bool
    success: bool
    total: int
    waiting: int
    running: int
    retrying: int
    passed: int
    failed: int
    skipped: int
    cancelled: int
    timed_out: int
    started_monotonic_ns: int
    started_realtime_ns: int
    duration: float | None


class Run(Owner):
    """A run of a pipeline, under way or ended; any thread may use it.

    Dropping it does not cancel the run. As a context manager it leaves nothing running: the end of
    the block waits for the run. An exception, in the block or during that wait, cancels the run
    first, as in `Pipeline.run`.
    """

    __slots__ = ()

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        """Takes over the coreproc_run that is in `pointer`, or will be."""
        super().__init__(pointer, lib.coreproc_run_free)

    @property
    def _pointer(self) -> ctypes.c_void_p:
        return self._handle._as_parameter_

    def __enter__(self) -> Run:
        """The run itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits until it has ended; cancels it first if the block failed."""
        if kind is not None:
            insist(self.cancel, self.wait)
            return
        try:
            self.wait()
        except BaseException:
            insist(self.cancel, self.wait)
            raise

    @property
    def id(self) -> int:
        """Its number in its service; no process and no other run of the service has it."""
        number: int = lib.coreproc_run_id(self._handle)
        return number

    def wait(self, timeout: float | None = None) -> RunInfo:
        """Waits until every spec has ended and every process of the run is closed.

        Raises:
            TimedOut: `timeout` seconds are over. The run goes on.
        """
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_run_wait, handle, milliseconds)

        interruptible(attempt, timeout)
        return self.info()

    def _watch(self, progress: Progress | None) -> None:
        """Waits until it has ended, and shows it meanwhile."""
        if progress is not None:
            progress.watch(self)
        self.wait()

    def cancel(self) -> None:
        """Stops specs that run, skips those that wait to start, and does not wait itself.

        Specs that always run go on; a second call ends those, too. A run that has ended is left as
        it is.
        """
        call(lib.coreproc_run_cancel, self._handle)

    def info(self) -> RunInfo:
        """Takes a snapshot of its progress."""
        raw = _abi.RunInfo()
        call(lib.coreproc_run_info_get, self._handle, ctypes.byref(raw))
        counts = {
            name: getattr(raw, name)
            for name in RunInfo.__dataclass_fields__
            if name not in ("ended", "success", "duration")
        }
        return RunInfo(
            ended=bool(raw.ended),
            success=bool(raw.success),
            duration=raw.duration_ns / 1e9 if raw.ended else None,
            **counts,
        )

    @property
    def success(self) -> bool:
        """Whether it has ended and every spec passed, except those whose failure is allowed."""
        return self.info().success

    def results(self) -> list[SpecResult]:
        """Returns the result of each spec, in the order of the pipeline.

        Raises:
            InvalidState: The run has not ended.
        """
        handle = self._handle
        return [_result(handle, spec) for spec in range(lib.coreproc_run_spec_count(handle))]

    def report(self, format: ReportFormat = ReportFormat.JSON) -> str:  # noqa: A002 (its own word)
        """Writes the report, as text.

        Raises:
            InvalidState: The run has not ended.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_run_report, self._handle, format, ctypes.byref(out))
        return take_bytes(out).decode()


class History(Owner):
    """The times that the specs of a pipeline took in earlier runs, kept in a file.

    One thread at a time may use it. A damaged file is set aside; `problem` says so.
    """

    __slots__ = ()

    def __init__(self, path: Text, pipeline: str) -> None:
        """Reads the times of the pipeline of this name; one file may serve several pipelines.

        Raises:
            InvalidArgument: `path` is no regular file.
            PermissionDenied: The file may not be read.
        """
        name = _utf8(pipeline)
        out = ctypes.c_void_p()
        call(lib.coreproc_history_open, *text(path), name, len(name), ctypes.byref(out))
        super().__init__(out, lib.coreproc_history_free)

    @property
    def problem(self) -> str:
        """The reason why the file was set aside; "" if it was not."""
        said: bytes = lib.coreproc_history_problem(self._handle)
        return said.decode(errors="replace")

    def record(self, run: Run) -> None:
        """Adds the times of a run, and writes the file.

        Raises:
            InvalidState: The run has not ended.
            SystemFailure: The file could not be written; it is unchanged.
        """
        call(lib.coreproc_history_record, self._handle, run._handle)


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Progress(Owner):
    """A view that shows one run to people: make it, name it in `Pipeline.start`, then call `watch`.

    A run waits for its view, even after a cancel, if the output of a process has filled the queue
    and no thread watches. `watch` lets it go on, and so does `release`.

    No call waits beyond its timeout for a terminal that was stopped (Ctrl-S), or for a pipe that is
    not read. The processes are slowed meanwhile, and everything is shown when it goes on. A
    cancelled run that is watched ends in any case; the view then says how many lines it left out.
    """

    __slots__ = ()

    def __init__(
        self,
        service: Service,
        file: Union[int, _HasFileno] = 1,  # noqa: UP007 (evaluated by older Pythons' tools)
        *,
        style: ProgressStyle | None = None,
        output: ProgressOutput | None = None,
    ) -> None:
        """Makes a view that writes to a duplicate of `file`'s descriptor.

        Args:
            service: The service of the run.
            file: A descriptor, or an object that has one; standard output by default.
            style: How to show the run. None is as on a terminal, if `file` is one and `os.environ`
                does not ask for plain lines (`NO_COLOR`, `TERM=dumb`), else as plain lines.
            output: How to show output. None is line by line behind the name of the spec.
        """
        fd = file if isinstance(file, int) else file.fileno()
        if style is None:
            style = _style(fd)
        options = _abi.ProgressOptions(style=style, output=0 if output is None else output)
        out = ctypes.c_void_p()
        call(
            lib.coreproc_progress_open,
            service._handle,
            fd,
            ctypes.byref(options),
            ctypes.byref(out),
        )
        super().__init__(out, lib.coreproc_progress_free)

    def watch(self, run: Run, timeout: float | None = None) -> None:
        """Shows the run until it has ended and all of it is shown.

        Raises:
            TimedOut: `timeout` seconds are over; it can be called again.
            InvalidState: The run was started without this view.
            SystemFailure: Writing failed; raised when the run has ended.
        """
        view, handle = self._handle, run._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_progress_watch, view, handle, milliseconds)

        interruptible(attempt, timeout)


def _style(fd: int) -> ProgressStyle:
    """Chooses a style as the library does, but by Python's copy of the environment."""
    terminal = fd >= 0 and os.isatty(fd)
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in ("", "dumb")
    return ProgressStyle.TERMINAL if terminal and not plain else ProgressStyle.PLAIN


def _utf8(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _limit(limit: float | None) -> int:
    if limit is None:
        return 0
    if limit == float("inf"):
        return _abi.UNLIMITED
    if not isinstance(limit, int) or not 0 < limit < _abi.UNLIMITED:
        raise invalid("run", "limit", f"must be a positive number, not {limit!r}")
    return limit


def _result(handle: object, spec: int) -> SpecResult:
    raw = _abi.SpecResult()
    call(lib.coreproc_run_spec_get, handle, spec, ctypes.byref(raw))
    return SpecResult(
        name=ctypes.string_at(raw.name, raw.name_len).decode(errors="surrogateescape"),
        state=SpecState(raw.state),
        exit_code=raw.exit_code if raw.exit_code >= 0 else None,
        signal=raw.signal or None,
        attempts=raw.attempts,
        allow_failure=bool(raw.allow_failure),
        error=ctypes.string_at(raw.error, raw.error_len).decode(errors="surrogateescape"),
        output=ctypes.string_at(raw.output, raw.output_len),
        dropped_bytes=raw.dropped_bytes,
        started_monotonic_ns=raw.started_monotonic_ns or None,
        started_realtime_ns=raw.started_realtime_ns or None,
        duration=raw.duration_ns / 1e9,
        flags=Flag(raw.flags),
    )
