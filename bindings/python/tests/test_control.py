"""Timeouts, signals, stops and waits."""

import math
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import GUARD, python, run, shell

import coreproc
from coreproc import (
    Cause,
    CloseMode,
    Command,
    EventKind,
    Flag,
    InvalidArgument,
    Scope,
    State,
    Stdio,
    Step,
    Stop,
)

#: A script that says when its trap is set, so that no signal comes before.
IGNORES_TERM = 'trap "" TERM; echo ready; while :; do sleep 60; done'
ENDS_WELL_ON_TERM = 'trap "exit 0" TERM; echo ready; read line; exit 9'


def ready(process, subscription):
    """Waits until the process has said that it is ready."""
    for event in subscription:
        if event.process_id == process.id and event.data == b"ready":
            return
    pytest.fail("the process ended before it was ready")


def test_timeout_stops(service):
    info, _ = run(Command("sleep", "60", timeout=0.05), service)
    assert info.cause is Cause.TIMEOUT
    assert (info.exit_code, info.signal) == (None, signal.SIGTERM)


def test_timeout_kills_what_ignores_the_signal(service):
    # SIGURG is ignored by default, so there is no moment at which it would end the child.
    command = Command("sleep", "60", timeout=0.05, stop=Stop(signal=signal.SIGURG, grace=0.05))
    info, _ = run(command, service)
    assert info.cause is Cause.TIMEOUT
    assert info.signal == signal.SIGKILL


def test_timeout_not_reached(service):
    info, _ = run(Command("true", timeout=GUARD), service)
    assert info.cause is Cause.NATURAL


@pytest.mark.parametrize(
    ("script", "options", "cause"),
    [
        ("sleep 60", {"start_timeout": 0.05}, Cause.START_TIMEOUT),
        ("echo begun; sleep 60", {"silence_timeout": 0.2}, Cause.SILENCE),
        ("while :; do :; done", {"cpu_time_limit": 0.05}, Cause.CPU_TIME),
        ("echo more; sleep 60", {"output_limit": 4}, Cause.OUTPUT_LIMIT),
        ("echo more", {"output_limit": 5}, Cause.NATURAL),
        (
            "echo more",
            {
                "start_timeout": math.inf,
                "silence_timeout": math.inf,
                "cpu_time_limit": math.inf,
                "output_limit": math.inf,
            },
            Cause.NATURAL,
        ),
    ],
    ids=str,
)
def test_each_deadline_is_the_cause(service, script, options, cause):
    info, _ = run(Command("sh", "-c", script, **options), service)
    assert info.cause is cause


@pytest.mark.parametrize("report_stops", [True, 0.001, math.inf])
def test_stops_are_events_and_a_state(service, report_stops):
    kinds = [EventKind.STOPPED, EventKind.CONTINUED]
    with service.subscribe(kinds=kinds) as events:
        process = Command("sleep", "60", report_stops=report_stops).spawn(service)
        process.pause(Scope.PROCESS)
        while process.info().stopped is None:
            process.look_for_stops()
        assert process.info().stopped == signal.SIGSTOP
        process.resume(Scope.PROCESS)
        while process.info().stopped is not None:
            process.look_for_stops()
        process.kill()
        process.wait(GUARD)
        seen = [(event.kind, event.signal) for _ in kinds for event in events.take(1, GUARD)]
    assert seen == [(EventKind.STOPPED, signal.SIGSTOP), (EventKind.CONTINUED, None)]


def test_stops_are_not_looked_for_without_the_option(service):
    process = Command("sleep", "60").spawn(service)
    with pytest.raises(InvalidArgument):
        process.look_for_stops()
    process.kill()
    assert process.wait(GUARD).stopped is None


def test_stop(service):
    process = Command("sleep", "60").spawn(service)
    process.stop()
    info = process.wait(GUARD)
    assert info.cause is Cause.STOPPED
    assert info.signal == signal.SIGTERM


def test_stop_with_another_signal(service):
    process = Command("sleep", "60", stop=Stop(signal=signal.SIGINT)).spawn(service)
    process.stop()
    assert process.wait(GUARD).signal == signal.SIGINT


def test_stop_that_is_heeded_is_an_exit(service):
    with service.subscribe() as subscription:
        process = shell(ENDS_WELL_ON_TERM, stdin=Stdio.PIPE).spawn(service)
        ready(process, subscription)
        process.stop(Stop(scope=Scope.PROCESS))
    info = process.wait(GUARD)
    assert (info.exit_code, info.signal, info.cause) == (0, None, Cause.STOPPED)


def test_stop_that_is_ignored_ends_in_a_kill(service):
    with service.subscribe() as subscription:
        process = shell(IGNORES_TERM).spawn(service)
        ready(process, subscription)
        process.stop(Stop(grace=0.05))
    info = process.wait(GUARD)
    assert info.signal == signal.SIGKILL


def test_second_stop_does_not_wait_for_the_grace(service):
    with service.subscribe() as subscription:
        process = shell(IGNORES_TERM).spawn(service)
        ready(process, subscription)
        process.stop(Stop(grace=math.inf))
        process.stop(Stop(grace=math.inf))
    assert process.wait(GUARD).signal == signal.SIGKILL


def test_stop_by_steps(service):
    # SIGURG and SIGWINCH are ignored by default, so there is no moment at which they would end the
    # child.
    steps = [
        Step(signal.SIGURG, grace=0.01),
        Step(signal.SIGWINCH, grace=0.01),
        Step(signal.SIGUSR1, grace=math.inf),
        Step(signal.SIGKILL),
    ]
    process = Command("sleep", "60", stop=Stop(steps=steps)).spawn(service)
    process.stop()
    assert process.wait(GUARD).signal == signal.SIGUSR1


@pytest.mark.parametrize(
    ("stop", "field"),
    [
        (Stop(signal=2, steps=[Step(2)]), "steps"),
        (Stop(steps=[Step(2), Step(65)]), r"steps\[1\].signal"),
        (Stop(steps=[Step(9), Step(15)]), r"steps\[1\]"),
        (Stop(steps=[Step(2, grace=0)]), r"steps\[0\].grace"),
    ],
)
def test_stop_by_steps_that_make_no_sense(stop, field):
    with pytest.raises(InvalidArgument, match=field):
        Command("true", stop=stop)


def test_stop_reaches_the_group(service):
    with service.subscribe() as subscription:
        process = shell("sleep 60 & echo $!; echo ready; wait").spawn(service)
        ready(process, subscription)
        process.stop()
    info = process.wait(GUARD)
    # The pipes had no holder left, so the background sleep is gone, too.
    assert not info.flags & Flag.DRAIN_BOUND


def test_kill(service):
    process = Command("sleep", "60").spawn(service)
    process.kill()
    info = process.wait(GUARD)
    assert (info.signal, info.cause) == (signal.SIGKILL, Cause.KILLED)


def test_signal_goes_to_the_process(service):
    with service.subscribe() as subscription:
        script = 'trap "echo hup; exit 5" HUP; echo ready; while :; do sleep 0.01; done'
        process = shell(script).spawn(service)
        ready(process, subscription)
        process.signal(0)
        process.signal(signal.SIGHUP)
    info = process.wait(GUARD)
    assert info.exit_code == 5
    assert info.cause is Cause.NATURAL
    assert process.output() == b"ready\nhup\n"


@pytest.mark.parametrize("act", ["kill", "signal"])
def test_nothing_is_sent_to_an_ended_process(service, act):
    process = Command("true").spawn(service)
    process.wait(GUARD)
    arguments = [signal.SIGTERM] if act == "signal" else []
    with pytest.raises(coreproc.NotRunning):
        getattr(process, act)(*arguments)


def test_stopping_what_has_ended_is_fine(service):
    process = Command("true").spawn(service)
    before = process.wait(GUARD)
    process.stop()
    assert process.info() == before


@pytest.mark.parametrize("timeout", [0, 0.01, 0.15])
def test_wait_times_out(service, timeout):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    for wait in (process.wait, process.wait_exit, service.wait_idle):
        with pytest.raises(coreproc.TimedOut):
            wait(timeout)
    with pytest.raises(TimeoutError):
        process.wait(timeout)
    assert process.info().state is State.RUNNING
    process.close_stdin()
    assert process.wait(GUARD).ok


@pytest.mark.parametrize("timeout", [None, math.inf, GUARD])
def test_many_threads_wait_for_one_process(service, timeout):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    codes = []
    threads = [
        threading.Thread(target=lambda: codes.append(process.wait(timeout).exit_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    process.close_stdin()
    for thread in threads:
        thread.join()
    assert codes == [0] * 8


def test_process_block_waits(service):
    with Command("cat", stdin=Stdio.PIPE).spawn(service) as process:
        process.write_all(b"in")
    assert process.info().state is State.CLOSED
    assert process.output() == b"in"


def test_process_block_that_fails_stops(service):
    with pytest.raises(KeyError), Command("sleep", "60").spawn(service) as process:
        raise KeyError
    assert process.info().cause is Cause.STOPPED


def test_service_block_leaves_nothing():
    with coreproc.Service() as service:
        # No thread takes from this subscription, and `yes` fills it.
        subscription = service.subscribe()
        processes = [Command("sleep", "60").spawn(service), Command("yes").spawn(service)]
    assert [process.info().state for process in processes] == [State.CLOSED] * 2
    assert service.count() == 0
    assert list(subscription) == []


def test_closed_service_refuses(service):
    service.close()
    with pytest.raises(coreproc.Closed):
        Command("true").spawn(service)
    with pytest.raises(coreproc.InvalidArgument):
        service.close(77)


def test_close_that_leaves(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    service.close(CloseMode.LEAVE)
    with pytest.raises(coreproc.TimedOut):
        service.wait_idle(0.05)
    process.write_all(b"still here")
    process.close_stdin()
    assert process.wait(GUARD).ok
    assert process.output() == b"still here"
    service.wait_idle(GUARD)


def test_close_that_kills(service):
    with service.subscribe() as subscription:
        process = shell(IGNORES_TERM).spawn(service)
        ready(process, subscription)
    service.close(CloseMode.KILL)
    service.wait_idle(GUARD)
    assert process.info().signal == signal.SIGKILL


def test_service_finds_its_processes(service, gate):
    process = Command("cat", stdin=gate.fd).spawn(service)
    assert service.count() == 1
    found = service.process(process.id)
    assert (found.id, found.pid) == (process.id, process.pid)
    gate.open()
    assert found.wait(GUARD) == process.wait(GUARD)
    assert service.count() == 0
    with pytest.raises(coreproc.NotFound):
        service.process(12345)


def test_host_is_left_as_it_is(service):
    before = _signal_table(), Path.cwd()
    for _ in range(10):
        run(Command("true"), service)
    run(Command("sleep", "60", timeout=0.01), service)
    assert (_signal_table(), Path.cwd()) == before


def _signal_table():
    return (
        [signal.getsignal(number) for number in signal.valid_signals()],
        signal.pthread_sigmask(signal.SIG_BLOCK, []),
    )


def test_python_children_are_not_touched(service):
    child = subprocess.Popen(["sh", "-c", "read line; exit 4"], stdin=subprocess.PIPE)
    for _ in range(10):
        run(python("pass"), service)
    child.communicate(b"go\n")
    assert child.returncode == 4
