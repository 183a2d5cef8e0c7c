"""What processes do and use."""

import signal
import time
from pathlib import Path

import pytest
from conftest import GUARD, shell

import coreproc
from coreproc import Command, Doing, Stdio


def becomes(process, wanted):
    """Waits until an activity is as wanted."""
    end = time.monotonic() + GUARD
    while not wanted(activity := process.activity()):
        assert time.monotonic() < end, activity
    return activity


def test_a_process_that_waits_for_input_is_told(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    activity = becomes(process, lambda activity: activity.awaits_input)
    assert (activity.id, activity.pid, activity.awaits_pid) == (1, process.pid, process.pid)
    assert (activity.doing, activity.stop_signal, activity.processes) == (Doing.SLEEPING, None, 1)
    assert activity.own == activity.tree
    assert activity.own.descriptors == len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    assert activity.own.rss_bytes > 0
    assert activity.own.written_bytes == 0
    assert activity.own.disk_written_bytes == 0
    process.close_stdin()
    process.wait(GUARD)
    with pytest.raises(coreproc.NotRunning):
        process.activity()


def test_all_processes_of_a_service_are_told_at_once(service):
    waits = shell("cat; true", stdin=Stdio.PIPE).spawn(service)
    sleeps = Command("sleep", "1000").spawn(service)
    becomes(waits, lambda activity: activity.processes == 2 and activity.awaits_input)
    becomes(
        sleeps, lambda activity: activity.doing is Doing.SLEEPING and activity.awaits_input is False
    )
    sleeps.signal(signal.SIGSTOP)
    becomes(sleeps, lambda activity: activity.doing is Doing.STOPPED)
    first, second = service.activities()
    assert (first.id, first.awaits_input, first.tree.threads) == (1, True, 2)
    assert first.awaits_pid not in {None, waits.pid}
    assert (second.id, second.doing, second.stop_signal) == (2, Doing.STOPPED, signal.SIGSTOP)
    assert second.awaits_input is False
    assert second.awaits_pid is None
    waits.kill()
    sleeps.kill()
    service.wait_idle(GUARD)
    assert service.activities() == []
