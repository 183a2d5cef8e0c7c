"""Containment: trees that are ended as a whole or whose survivors are named, limits, pause."""

import contextlib
import math
import os
import signal

import pytest
from conftest import shell

from coreproc import (
    Command,
    Contain,
    InvalidArgument,
    NotRunning,
    Rung,
    Scope,
    TimedOut,
    Unsupported,
)

#: A leader and an orphan in another session, which says its PID.
WITH_ORPHAN = "(setsid sh -c 'echo $$; exec sleep 60' &); while :; do sleep 60; done"


def orphan_of(subscription):
    """Waits until the orphan has said its PID."""
    return next(int(event.data) for event in subscription if event.data)


def test_a_cgroup_leaves_nothing(service):
    with service.subscribe() as subscription:
        try:
            process = shell(WITH_ORPHAN, contain=Contain.CGROUP).spawn(service)
        except Unsupported as error:
            pytest.skip(f"NOT TESTED: {error}")
        orphan = orphan_of(subscription)
        assert (orphan, True) in [(member.pid, member.reachable) for member in process.tree()]
        process.kill()
        info = process.wait()
    assert (info.signal, info.rung) == (signal.SIGKILL, Rung.CGROUP)
    assert info.tree_usage is not None
    assert info.tree_usage.cpu_time is not None
    assert process.tree() == []


def test_without_a_cgroup_the_survivor_is_named(service):
    with service.subscribe() as subscription:
        process = shell(WITH_ORPHAN, contain=Contain.GROUP).spawn(service)
        orphan = orphan_of(subscription)
        process.kill(Scope.TREE)
        info = process.wait()
        assert (info.rung, info.tree_usage) == (Rung.GROUP, None)
        left = [member for member in process.tree() if not member.reachable]
        assert [member.pid for member in left] == [orphan]
        assert b"sleep 60" in left[0].command
        os.kill(orphan, signal.SIGKILL)


def test_a_paused_process_goes_on(service):
    process = Command("true", contain=Contain.PREFER).spawn(service)
    with contextlib.suppress(NotRunning):
        process.pause()
        process.resume()
    assert process.wait().exit_code == 0
    process = shell("sleep 60", contain=Contain.PREFER).spawn(service)
    process.pause()
    with pytest.raises(TimedOut):
        process.wait(0.05)
    process.stop()
    assert process.wait().signal == signal.SIGTERM


@pytest.mark.parametrize(
    ("options", "unlimited", "controller"),
    [
        ({"memory_max": 1 << 26}, {"memory_max": math.inf}, "memory"),
        ({"processes_max": 100}, {"processes_max": math.inf}, "pids"),
        ({"cpu_max": 1}, {"cpu_max": math.inf}, "cpu"),
    ],
    ids=str,
)
def test_limits_are_kept_or_the_controller_is_named(service, options, unlimited, controller):
    refusal = ""
    try:
        assert Command("true", **options).spawn(service).wait().rung is Rung.CGROUP
    except Unsupported as error:
        refusal = str(error)
    assert not refusal or f'"{controller}"' in refusal or "no cgroup" in refusal
    assert Command("true", **unlimited).spawn(service).wait().rung is Rung.GROUP


@pytest.mark.parametrize("value", [0, 0.001, -1, 2000, math.nan])
def test_a_share_out_of_range_is_refused(value):
    with pytest.raises(InvalidArgument, match="cpu_max"):
        Command("true", cpu_max=value)
