"""Processes that are written down and found again, child or not."""

import os
import platform
import select
import signal
import subprocess
import sys

import pytest
from conftest import GUARD, shell

import coreproc
from coreproc import Command, Flag, Scope, State, Stdio

KERNEL = tuple(int(part) for part in platform.release().split(".")[:2])


def test_another_program_finds_a_process(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    script = """if True:
        import signal, sys
        import coreproc
        found = coreproc.open_process(sys.argv[1])
        assert found.pid == int(sys.argv[2])
        found.signal(signal.SIGTERM)
        info = found.wait(60)
        print(info.signal, info.state.name)
    """
    arguments = [sys.executable, "-c", script, process.identity, str(process.pid)]
    # The package is found as it is here.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)
    assert process.wait(GUARD).signal == signal.SIGTERM
    assert told.stdout.split() == ["15" if KERNEL >= (6, 15) else "None", "EXITED"]


def test_a_child_of_the_host_is_found_and_not_reaped():
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    found = coreproc.open_process(coreproc.identity_of_pid(child.pid))
    assert found.info().state is State.RUNNING
    with pytest.raises(coreproc.TimedOut):
        found.wait(0)
    assert select.select([found], [], [], 0)[0] == []
    found.signal(0)
    found.signal(signal.SIGKILL, Scope.PROCESS)
    info = found.wait(GUARD)
    assert (info.signal, info.exit_code, info.flags, info.ok) == (
        signal.SIGKILL,
        None,
        Flag(0),
        False,
    )
    assert select.select([found], [], [], 0)[0] == [found]
    assert child.wait() == -signal.SIGKILL
    child.stdin.close()
    with pytest.raises(coreproc.NotRunning):
        found.signal(signal.SIGTERM)
    found.release()
    assert repr(found) == "<coreproc.FoundProcess released>"


def test_what_has_ended_is_not_found(service):
    process = shell("read line", stdin=Stdio.PIPE).spawn(service)
    identity = process.identity
    assert identity.startswith(f"coreproc:1:{process.pid}:")
    found = coreproc.open_process(identity)
    assert repr(found) == f"<coreproc.FoundProcess pid={process.pid}>"
    process.close_stdin()
    process.wait(GUARD)
    with pytest.raises(coreproc.NotFound, match="it has ended"):
        coreproc.open_process(identity)
    with pytest.raises(coreproc.NotRunning):
        process.identity  # noqa: B018 (it raises)


@pytest.mark.parametrize(
    ("text", "field"),
    [("", "prefix"), ("coreproc:9:1", "version"), ("coreproc:1:0", "pid"), ("\ud800", "identity")],
)
def test_a_mistake_in_the_text_is_named(text, field):
    kind = coreproc.InvalidArgument if field == "identity" else coreproc.Malformed
    with pytest.raises(kind, match=f": {field}: "):
        coreproc.open_process(text)


def test_numbers_that_name_no_process():
    with pytest.raises(coreproc.InvalidArgument, match="pid"):
        coreproc.identity_of_pid(0)
    with pytest.raises(coreproc.NotFound):
        coreproc.identity_of_pid(2**31 - 1)
