"""Pipelines: graphs of commands, their runs, and what became of them."""

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
    """Commands, and what each comes after. A builder, for one thread at a time; runs copy it.

    ::

        pipeline = Pipeline()
        pipeline.add("build", Command("make", "all"))
        pipeline.add("test", Command("make", "test"), after=["build"], retries=1)
        run = pipeline.run(service)
        print(run.success, [result.name for result in run.results() if not result.ok])
    """

    __slots__ = ()

    def __init__(self, name: str = "") -> None:
        """An empty one.

        Args:
            name: Reports carry it.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_pipeline_new, ctypes.byref(out))
        super().__init__(out, lib.coreproc_pipeline_free)
        encoded = _utf8(name)
        self._set("name", encoded, len(encoded))

    @classmethod
    def from_json(cls, document: str | bytes | Mapping[str, Any]) -> Pipeline:
        """A pipeline from JSON, as `docs/pipeline-json.md` describes it; its graph is checked.

        Args:
            document: The text, or what `json.load` makes of it.

        Raises:
            Malformed: The message says where, and what was probably meant.
        """
        encoded = json_text(document)
        out = ctypes.c_void_p()
        call(lib.coreproc_pipeline_from_json, encoded, len(encoded), ctypes.byref(out))
        pipeline = cls.__new__(cls)
        Owner.__init__(pipeline, out, lib.coreproc_pipeline_free)
        return pipeline

    @classmethod
    def from_file(cls, path: Text) -> Pipeline:
        """A pipeline from a JSON file.

        Raises:
            OSError: It cannot be read.
            Malformed: See `from_json`.
        """
        with open(path, "rb") as file:  # noqa: PTH123 (bytes are a path here, too)
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

        Args:
            name: No other spec of the pipeline may have it.
            command: What it runs, copied; its timeout is that of each attempt.
            after: The specs that must have ended before.
            allow_failure: Its failure counts, but does not skip what comes after it.
            always_run: It runs however that went which it comes after, and after a cancel.
            retries: Attempts after the first failed one.
            backoff: Seconds before the second attempt, then twice the last wait; None is 0.1.
            backoff_max: The longest wait; None is 10.
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
        """How many specs it has."""
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
        """Starts it, and does not wait.

        Args:
            service: Where its processes live.
            mode: In which order.
            on_failure: Keep going, or cancel at the first failure; None: as the pipeline says.
            limit: How many at a time; None: as the pipeline says, there as many as there are
                processors; `math.inf`: all of them.
            deadline: Seconds after which it is cancelled.
            subscription: Gets the events of its processes; for those opened with
                `Subscribe.NAMED`.
            history: How long specs took before: the longest path starts first.
            progress: Is going to show the run.

        Raises:
            InvalidArgument: It cannot run, see `check`. Nothing was started.
            Closed: The service is closed.
        """
        run = Run(ctypes.c_void_p()) if _run is None else _run
        options = _abi.RunOptions(
            mode=mode,
            on_failure=0 if on_failure is None else on_failure,
            limit=_limit(limit),
            deadline_ms=duration_ms("run", "deadline", deadline),
        )
        # The structure holds plain numbers: the handles behind them live until the call is over.
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

    def run(self, service: Service, **options: Any) -> Run:  # noqa: ANN401 (those of `start`)
        """Starts it, and waits for its end; with `progress`, shows it meanwhile.

        An exception while waiting, such as KeyboardInterrupt, cancels the run. It is raised once
        what runs was stopped and the specs that always run have ended; a second one ends those,
        too, and kills what has not stopped; a third one is not waited for.
        """
        # Made before the start, so that an interrupt right after the start finds the run, too.
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
    """What became of a spec.

    Attributes:
        name: Its name.
        state: How it ended.
        exit_code: Of its last attempt; None where it did not exit by itself, or was not started.
        signal: The signal that ended its last attempt; None when none did.
        attempts: How often it was started.
        allow_failure: Its failure was allowed.
        error: Why it did not pass; "" when it did.
        output: What the capture of its last attempt holds.
        dropped_bytes: Output that the capture does not hold: the start of it.
        started_monotonic_ns: When its first attempt was started; None if none was.
        started_realtime_ns: The same, on CLOCK_REALTIME.
        duration: Seconds from the start of its first attempt to the end of its last.
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
        """It passed."""
        return self.state is SpecState.PASSED


@dataclass(frozen=True)
class RunInfo:
    """Where a run is: how many specs are in which state; `duration` is None until it has ended."""

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
    """A pipeline under way, or what became of it; any thread may use it.

    Dropping it does not cancel the run. As a context manager it leaves nothing running: the end
    of the block waits for the run, an exception, also one while it waits, cancels it first, as
    that of `Pipeline.run` does.
    """

    __slots__ = ()

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        """Takes over a coreproc_run, which may be put into `pointer` later."""
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
        """Waits for its end; cancels it first when the block failed."""
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
        """Its number in its service, of the same count as those of processes."""
        number: int = lib.coreproc_run_id(self._handle)
        return number

    def wait(self, timeout: float | None = None) -> RunInfo:
        """Waits until every spec has ended and every process of the run is closed.

        Raises:
            TimedOut: After `timeout` seconds. The run goes on.
        """
        handle = self._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_run_wait, handle, milliseconds)

        interruptible(attempt, timeout)
        return self.info()

    def _watch(self, progress: Progress | None) -> None:
        """Waits for its end, and shows it meanwhile."""
        if progress is not None:
            progress.watch(self)
        self.wait()

    def cancel(self) -> None:
        """Stops what runs, skips what waits, and does not wait; fine once it has ended.

        Specs that always run are spared; a second call ends those, too.
        """
        call(lib.coreproc_run_cancel, self._handle)

    def info(self) -> RunInfo:
        """Where it is now."""
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
        """It has ended, and every spec passed, but for those whose failure is allowed."""
        return self.info().success

    def results(self) -> list[SpecResult]:
        """What became of each spec, in the order of the pipeline.

        Raises:
            InvalidState: The run has not ended.
        """
        handle = self._handle
        return [_result(handle, spec) for spec in range(lib.coreproc_run_spec_count(handle))]

    def report(self, format: ReportFormat = ReportFormat.JSON) -> str:  # noqa: A002 (its own word)
        """The report as text.

        Raises:
            InvalidState: The run has not ended.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_run_report, self._handle, format, ctypes.byref(out))
        return take_bytes(out).decode()


class History(Owner):
    """How long the specs of a pipeline took in earlier runs, kept in a file.

    For one thread at a time. A file that is damaged is set aside; `problem` says so.
    """

    __slots__ = ()

    def __init__(self, path: Text, pipeline: str) -> None:
        """What the file at `path`, which may serve several, says of the pipeline of this name.

        Raises:
            InvalidArgument: It is no regular file.
            PermissionDenied: It may not be read.
        """
        name = _utf8(pipeline)
        out = ctypes.c_void_p()
        call(lib.coreproc_history_open, *text(path), name, len(name), ctypes.byref(out))
        super().__init__(out, lib.coreproc_history_free)

    @property
    def problem(self) -> str:
        """What was wrong with the file, if it was set aside; else ""."""
        said: bytes = lib.coreproc_history_problem(self._handle)
        return said.decode(errors="replace")

    def record(self, run: Run) -> None:
        """Remembers how long the specs of a run took, and writes the file.

        Raises:
            InvalidState: The run has not ended.
            SystemFailure: The file could not be written; it is as it was.
        """
        call(lib.coreproc_history_record, self._handle, run._handle)


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Progress(Owner):
    """Shows one run to people: make it, name it in `Pipeline.start`, then `watch`.

    A run that has a view which nobody watches waits for it, once a process's output fills its
    queue, also when it is cancelled: `watch` goes on with it, and `release` lifts that.

    A terminal that was stopped (Ctrl-S), or a pipe that nobody reads, keeps no call beyond its
    timeout. Its processes are slowed meanwhile, and everything is shown once it goes on. While a
    run that is cancelled is watched it ends all the same; how many lines were not shown is said.
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
        """A view that writes to a duplicate of `file`'s descriptor.

        Args:
            service: That of the run.
            file: A descriptor, or what has one; standard output unless told.
            style: None: as on a terminal if it is one and `os.environ` does not ask for plain
                lines (`NO_COLOR`, `TERM=dumb`).
            output: None: line by line behind the spec's name.
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
            TimedOut: After `timeout` seconds; it can be called again.
            InvalidState: The run was started without this view.
            SystemFailure: Writing failed; raised when the run has ended.
        """
        view, handle = self._handle, run._handle

        def attempt(milliseconds: int) -> None:
            call(lib.coreproc_progress_watch, view, handle, milliseconds)

        interruptible(attempt, timeout)


def _style(fd: int) -> ProgressStyle:
    """What the library would choose, by Python's copy of the environment."""
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
