"""Waiting for several processes, and for one by a descriptor."""

import os
import select

import pytest
from conftest import GUARD

from coreproc import Command, InvalidArgument, State, TimedOut, wait_all, wait_any


def test_any_and_all(service):
    processes = [Command("sleep", "60").spawn(service) for _ in range(3)]
    with pytest.raises(TimedOut):
        wait_any(processes, timeout=0)
    processes[1].kill()
    assert wait_any(processes, timeout=GUARD) is processes[1]
    with pytest.raises(TimedOut):
        wait_all(processes, timeout=0)
    for process in (processes[0], processes[2]):
        process.kill()
    wait_all(processes, timeout=GUARD)
    wait_all([])
    assert {process.info().state for process in processes} == {State.CLOSED}


def test_none_is_refused(service):
    with pytest.raises(InvalidArgument, match="processes"):
        wait_any([])
    process = Command("true").spawn(service)
    with pytest.raises(InvalidArgument, match="until"):
        wait_any([process], until=State.RUNNING)
    process.wait()


def test_descriptor_tells_the_end(service):
    process = Command("sleep", "60").spawn(service)
    fd = process.wait_fd()
    try:
        assert select.select([fd], [], [], 0)[0] == []
        process.kill()
        assert select.select([fd], [], [], GUARD)[0] == [fd]
        assert process.info().state is State.CLOSED
    finally:
        os.close(fd)
