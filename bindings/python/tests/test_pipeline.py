"""Pipelines, runs, reports, history and the progress view."""

import json
import math
import os
import pickle
import pty
import signal
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import GUARD, descriptors, shell, until

import coreproc
from coreproc import (
    EventKind,
    History,
    OnFailure,
    Pipeline,
    Progress,
    ProgressOutput,
    ProgressStyle,
    ReportFormat,
    RunMode,
    SpecState,
    Subscribe,
)


def three():
    """Makes a pipeline in which one spec passes, one fails, and one is skipped because of that."""
    pipeline = Pipeline()
    pipeline.add("build", shell("echo built"))
    pipeline.add("test", shell("echo bad >&2; exit 3"), after=["build"])
    return pipeline.add("deploy", shell("true"), after=["test"])


def states(run):
    return {result.name: result.state for result in run.results()}


def test_a_run_says_what_became_of_each_spec(service):
    run = three().run(service)
    build, test, deploy = run.results()
    assert (build.name, build.state, build.ok) == ("build", SpecState.PASSED, True)
    assert (build.exit_code, build.output, build.error, build.attempts) == (0, b"built\n", "", 1)
    assert (test.state, test.exit_code, test.output) == (SpecState.FAILED, 3, b"bad\n")
    assert test.error == "exit code 3"
    assert (deploy.state, deploy.exit_code, deploy.attempts) == (SpecState.SKIPPED, None, 0)
    assert deploy.started_monotonic_ns is None
    assert build.started_monotonic_ns <= test.started_monotonic_ns
    info = run.info()
    assert (info.ended, info.success, run.success) == (True, False, False)
    assert (info.total, info.passed, info.failed, info.skipped) == (3, 1, 1, 1)
    assert info.duration >= build.duration + test.duration


def test_from_json_and_from_file(service, tmp_path):
    document = {
        "version": 1,
        "specs": [
            {"name": "größe", "command": ["sh", "-c", "echo $0", "a b"]},
            {
                "name": "b",
                "after": ["größe"],
                "command": {"program": "false"},
                "allow_failure": True,
            },
        ],
    }
    text = json.dumps(document)
    file = tmp_path / "pipeline.json"
    file.write_text(text)
    for pipeline in (
        Pipeline.from_json(document),
        Pipeline.from_json(text),
        Pipeline.from_json(text.encode()),
        Pipeline.from_file(file),
        Pipeline.from_file(os.fsencode(file)),
    ):
        assert len(pipeline) == 2
        run = pipeline.run(service)
        assert states(run) == {"größe": SpecState.PASSED, "b": SpecState.FAILED}
        assert run.success
        assert run.results()[0].output == b"a b\n"
    with pytest.raises(FileNotFoundError):
        Pipeline.from_file(tmp_path / "missing")


def test_mistakes_in_json_name_their_place():
    spec = {"name": "test", "command": ["true"], "after": ["biuld"]}
    with pytest.raises(coreproc.Malformed) as caught:
        Pipeline.from_json({"version": 1, "specs": [{"name": "build", "command": ["a"]}, spec]})
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == (
        'parse pipeline: specs[1].after[0]: unknown spec "biuld", did you mean "build"?'
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(coreproc.Malformed, match="line 1, column 2"):
        Pipeline.from_json("{]")
    with pytest.raises(coreproc.Malformed, match="byte 0: is not UTF-8"):
        Pipeline.from_json(b"\xff")
    with pytest.raises(coreproc.Malformed, match="is not UTF-8"):
        Pipeline.from_json("\ud800")


def test_a_command_from_json(service):
    command = coreproc.Command.from_json({"version": 1, "program": "sh", "args": ["-c", "exit 5"]})
    for _ in range(2):
        assert command.spawn(service).wait(GUARD).exit_code == 5
    with pytest.raises(
        coreproc.Malformed, match='stdout: unknown value "pip", did you mean "pipe"'
    ):
        coreproc.Command.from_json({"version": 1, "program": "sh", "stdout": "pip"})


def test_check_names_cycles_and_nothing_is_started(service, tmp_path):
    pipeline = Pipeline()
    pipeline.add("a", shell(f"touch {tmp_path}/ran"), after=["b"])
    pipeline.add("b", shell("true"), after=["a"])
    for attempt in (pipeline.check, lambda: pipeline.run(service)):
        with pytest.raises(coreproc.InvalidArgument, match="cycle"):
            attempt()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after": "build"}, "not one string"),
        ({"retries": -1}, "retries"),
        ({"retries": 2**32}, "retries"),
        ({"backoff": 0}, "backoff"),
    ],
)
def test_bad_options_of_a_spec_add_nothing(options, message):
    pipeline = Pipeline()
    with pytest.raises(coreproc.InvalidArgument, match=message):
        pipeline.add("a", shell("true"), **options)
    assert len(pipeline) == 0


@pytest.mark.parametrize("limit", [0, -1, 1.5, 2**64])
def test_bad_limits_are_refused(service, limit):
    with pytest.raises(coreproc.InvalidArgument, match="limit"):
        three().start(service, limit=limit)


def test_retries_run_until_one_passes(service, tmp_path):
    marker = tmp_path / "marker"
    pipeline = Pipeline().add(
        "flaky",
        shell(f"test -e {marker} && exit 0; touch {marker}; exit 1"),
        retries=3,
        backoff=0.001,
        backoff_max=0.001,
    )
    (result,) = pipeline.run(service).results()
    assert (result.state, result.attempts) == (SpecState.PASSED, 2)


@pytest.mark.parametrize("limit", [None, 1, math.inf])
def test_modes_and_limits(service, limit):
    run = three().run(service, mode=RunMode.PARALLEL, limit=limit)
    assert states(run)["deploy"] is SpecState.PASSED
    run = three().run(service, mode=RunMode.SEQUENTIAL, limit=limit)
    assert states(run)["deploy"] is SpecState.SKIPPED


def test_fail_fast_stops_what_runs(service, gate):
    pipeline = Pipeline()
    pipeline.add("waits", shell(f"read line < {gate.path}"))
    pipeline.add("fails", shell("exit 1"))
    run = pipeline.run(service, on_failure=OnFailure.FAIL_FAST, limit=2)
    assert states(run) == {"waits": SpecState.CANCELLED, "fails": SpecState.FAILED}


def test_cancel_spares_the_clean_up(service, gate):
    pipeline = Pipeline()
    pipeline.add("waits", shell(f"read line < {gate.path}"))
    pipeline.add("never", shell("true"), after=["waits"])
    pipeline.add("clean", shell("echo cleaned"), after=["never"], always_run=True)
    run = pipeline.start(service)
    until(lambda: run.info().running == 1)
    with pytest.raises(coreproc.TimedOut):
        run.wait(0)
    with pytest.raises(coreproc.InvalidState):
        run.results()
    with pytest.raises(coreproc.InvalidState):
        run.report()
    run.cancel()
    assert run.wait(GUARD).ended
    run.cancel()
    assert [result.state.name for result in run.results()] == ["CANCELLED", "SKIPPED", "PASSED"]
    assert run.results()[2].output == b"cleaned\n"


def test_a_deadline_cancels(service, gate):
    run = Pipeline().add("waits", shell(f"read line < {gate.path}")).run(service, deadline=0.01)
    (result,) = run.results()
    # The deadline may pass before the process is started.
    assert result.state in (SpecState.CANCELLED, SpecState.SKIPPED)
    assert result.error


def test_a_block_that_fails_cancels(service, gate):
    pipeline = Pipeline().add("waits", shell(f"read line < {gate.path}"))
    with pytest.raises(KeyError), pipeline.start(service) as run:  # noqa: PT012 (and to wait)
        until(lambda: run.info().running == 1)
        raise KeyError
    assert states(run) == {"waits": SpecState.CANCELLED}


def test_ctrl_c_cancels_a_run(service, gate):
    pipeline = Pipeline().add("waits", shell(f"read line < {gate.path}"))
    events = service.subscribe(delivery=coreproc.Delivery.NONE)

    def interrupt():
        for event in events:
            if event.kind is EventKind.SPEC_STARTED:
                signal.raise_signal(signal.SIGINT)
                return

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(service)
    thread.join()
    seen = [event for event in _until_end(events) if event.kind is EventKind.SPEC_ENDED]
    assert [event.spec_state for event in seen] == [SpecState.CANCELLED]


def interrupting_starts_of(service, *names):
    """Sends a SIGINT when a spec of one of these names starts; returns the state of each spec."""
    events = service.subscribe(delivery=coreproc.Delivery.NONE)
    ended = {}

    def follow():
        for event in _until_end(events):
            if event.kind is EventKind.SPEC_STARTED and event.data in names:
                signal.raise_signal(signal.SIGINT)
            elif event.kind is EventKind.SPEC_ENDED:
                ended[event.spec] = event.spec_state

    thread = threading.Thread(target=follow)
    thread.start()
    return thread, ended


@pytest.mark.parametrize("shown", [False, True])
def test_ctrl_c_waits_for_what_always_runs(service, gate, tmp_path, shown):
    trace = tmp_path / "trace"
    pipeline = Pipeline()
    pipeline.add("waits", shell(f"read line < {gate.path}"))
    cleanup = shell('sleep 0.2; echo cleaned > "$1"', trace)
    pipeline.add("cleanup", cleanup, after=["waits"], always_run=True)
    thread, ended = interrupting_starts_of(service, b"waits")
    with Path(os.devnull).open("wb") as sink, pytest.raises(KeyboardInterrupt):
        pipeline.run(service, progress=Progress(service, sink) if shown else None)
    # The clean-up had ended before the exception was raised.
    assert trace.read_text() == "cleaned\n"
    assert service.count() == 0
    thread.join()
    assert ended == {0: SpecState.CANCELLED, 1: SpecState.PASSED}


def test_second_ctrl_c_ends_what_always_runs(service, gate):
    pipeline = Pipeline()
    pipeline.add("waits", shell(f"read line < {gate.path}"))
    cleanup = shell(f"read line < {gate.path}")
    pipeline.add("cleanup", cleanup, after=["waits"], always_run=True)
    thread, ended = interrupting_starts_of(service, b"waits", b"cleanup")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(service)
    assert service.count() == 0
    thread.join()
    assert ended == {0: SpecState.CANCELLED, 1: SpecState.CANCELLED}


def test_ctrl_c_while_a_block_waits_for_its_run_cancels_it(service, gate):
    pipeline = Pipeline().add("waits", shell(f"read line < {gate.path}"))
    entered = threading.Event()

    def interrupt():
        entered.wait(GUARD)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt), pipeline.start(service) as run:
        entered.set()
    thread.join()
    assert service.count() == 0
    assert run.info().ended
    assert states(run)["waits"] in (SpecState.CANCELLED, SpecState.SKIPPED)


def test_view_on_a_full_pipe_keeps_no_call(service):
    read, write = os.pipe()
    view = Progress(service, write)
    os.close(write)
    pipeline = Pipeline().add("much", shell("seq 100000"))
    run = pipeline.start(service, progress=view)
    for _ in range(3):
        with pytest.raises(coreproc.TimedOut):
            view.watch(run, 0.05)
    watcher = threading.Thread(target=view.watch, args=(run,))
    watcher.start()
    text = b""
    while b"done in" not in text[-200:]:
        text += os.read(read, 65536)
    watcher.join()
    os.close(read)
    numbers = [int(line.split(b"| ")[1]) for line in text.splitlines() if b"much | " in line]
    assert numbers == list(range(1, 100001))
    assert run.success


def _until_end(events):
    for event in events:
        yield event
        if event.kind is EventKind.RUN_ENDED:
            return


def test_events_name_the_run_and_the_spec(service):
    events = service.subscribe(scope=Subscribe.NAMED)
    run = three().start(service, subscription=events)
    seen = list(_until_end(events))
    assert {event.run_id for event in seen} == {run.id}
    started = [
        (event.spec, event.attempt, event.data)
        for event in seen
        if event.kind is EventKind.SPEC_STARTED
    ]
    assert started == [(0, 1, b"build"), (1, 1, b"test")]
    ended = [(event.spec, event.spec_state) for event in seen if event.kind is EventKind.SPEC_ENDED]
    assert ended == list(enumerate([SpecState.PASSED, SpecState.FAILED, SpecState.SKIPPED]))
    first, last = seen[0], seen[-1]
    assert (first.kind, first.spec) == (EventKind.RUN_STARTED, None)
    assert (last.kind, last.exit_code, last.spec) == (EventKind.RUN_ENDED, 1, None)


def test_reports(service):
    run = three().run(service)
    report = json.loads(run.report())
    assert report["name"] is None
    assert [spec["state"] for spec in report["specs"]] == ["passed", "failed", "skipped"]
    assert report["critical_path"] == ["build", "test"]
    suite = ElementTree.fromstring(run.report(ReportFormat.JUNIT)).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    trace = json.loads(run.report(ReportFormat.CHROME_TRACE))["traceEvents"]
    assert [event["name"] for event in trace if event["ph"] == "X"] == ["build", "test"]
    assert (
        ElementTree.fromstring(run.report(ReportFormat.SVG)).tag
        == "{http://www.w3.org/2000/svg}svg"
    )


def test_reports_carry_the_pipelines_name(service):
    run = Pipeline("nightly ü").run(service)
    assert json.loads(run.report())["name"] == "nightly ü"
    suite = ElementTree.fromstring(run.report(ReportFormat.JUNIT)).find("testsuite")
    assert suite.get("name") == "nightly ü"
    run = Pipeline.from_json({"version": 1, "name": "other", "specs": []}).run(service)
    assert json.loads(run.report())["name"] == "other"


def test_history(service, tmp_path):
    path = tmp_path / "history.json"
    history = History(path, "nightly")
    assert history.problem == ""
    run = three().run(service, history=history)
    history.record(run)
    assert set(json.loads(path.read_text())["pipelines"]["nightly"]) == {"build", "test"}
    path.write_text("{")
    damaged = History(os.fsencode(path), "nightly")
    assert "set aside as" in damaged.problem
    assert (tmp_path / "history.json.bad").read_text() == "{"
    with pytest.raises(coreproc.InvalidArgument):
        History(tmp_path, "nightly")


def read_all(fd):
    content = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:  # EIO: the last writer has closed the terminal.
            piece = b""
        if not piece:
            os.close(fd)
            return content.decode()
        content += piece


@pytest.mark.parametrize("output", [None, *ProgressOutput])
def test_a_view_in_a_log(service, output):
    reader, writer = os.pipe()
    progress = Progress(service, writer, output=output)
    os.close(writer)
    run = three().run(service, progress=progress)
    progress.watch(run)
    progress.release()
    text = read_all(reader)
    assert "\033" not in text
    assert ("build  | built\n" in text) == (output in (None, ProgressOutput.PREFIXED))
    assert ("    built\n" in text) == (output is ProgressOutput.GROUPED)
    assert text.splitlines()[-1].endswith(": 1 passed, 1 failed, 1 skipped")


@pytest.mark.parametrize(
    ("variable", "terminal"), [(None, True), ("NO_COLOR", False), ("TERM", False)]
)
def test_a_view_on_a_terminal(service, monkeypatch, variable, terminal):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if variable:
        monkeypatch.setenv(variable, "dumb")
    reader, writer = pty.openpty()
    progress = Progress(service, writer)
    os.close(writer)
    three().run(service, progress=progress)
    progress.release()
    assert ("\033[31m" in read_all(reader)) == terminal


def test_a_view_is_for_its_run_alone(service):
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (no path of ours)
        progress = Progress(service, nowhere, style=ProgressStyle.PLAIN)
    other = three().start(service)
    with pytest.raises(coreproc.InvalidState):
        progress.watch(other)
    other.wait(GUARD)
    with pytest.raises(coreproc.SystemFailure):
        Progress(service, -1)


def test_nothing_is_left_of_many_runs(service):
    three().run(service)
    before = descriptors()
    for _ in range(20):
        reader, writer = os.pipe()
        progress = Progress(service, writer, output=ProgressOutput.NONE)
        three().run(service, progress=progress)
        progress.release()
        os.close(writer)
        os.close(reader)
    until(lambda: descriptors() <= before)


def test_released_objects_say_so(service):
    pipeline = three()
    run = pipeline.run(service)
    run.release()
    pipeline.release()
    for attempt in (run.info, run.results, pipeline.check, lambda: pipeline.start(service)):
        with pytest.raises(coreproc.Closed):
            attempt()
