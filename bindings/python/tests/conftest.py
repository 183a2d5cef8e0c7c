"""Fixtures and functions that the tests share."""

import faulthandler
import os
import sys
import time
from pathlib import Path

import pytest

import coreproc
from coreproc import CloseMode

PACKAGE = Path(__file__).resolve().parents[1]
REPOSITORY = PACKAGE.parents[1]

#: The seconds after which a hang is a failure; no test depends on it otherwise.
GUARD = 120.0


STDERR = pytest.StashKey()


def pytest_configure(config):
    """Keeps the true stderr, before pytest captures it."""
    config.stash[STDERR] = os.fdopen(os.dup(2), "w")


def pytest_unconfigure(config):
    """Closes the copy of stderr."""
    config.stash[STDERR].close()


@pytest.fixture(autouse=True)
def _hang_is_a_failure(request):
    faulthandler.dump_traceback_later(4 * GUARD, exit=True, file=request.config.stash[STDERR])
    yield
    faulthandler.cancel_dump_traceback_later()


def scaled(count):
    """Multiplies a number of repetitions by COREPROC_SCALE."""
    return max(1, int(count * float(os.environ.get("COREPROC_SCALE") or 1)))


def python(script, *args, **options):
    """Makes a command that runs a Python script, for tests that need more than a shell."""
    return coreproc.Command(sys.executable, "-I", "-S", "-c", script, *args, **options)


def shell(script, *args, **options):
    """Makes a command that runs a shell script."""
    return coreproc.Command("sh", "-c", script, "sh", *args, **options)


def run(command, service):
    """Runs a command to its end."""
    process = command.spawn(service)
    return process.wait(GUARD), process.output()


def until(condition):
    """Waits until a condition is true that no event tells of."""
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def children():
    """Lists the PIDs of our children, zombies included."""
    found = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(map(int, listing.read_text().split()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # The thread ended meanwhile.
    return found


def descriptors():
    """Counts the open descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))


def library_threads():
    """Counts the threads of the library."""
    count = 0
    for name in Path("/proc/self/task").glob("*/comm"):
        try:
            count += name.read_text().startswith("coreproc-")
        except (FileNotFoundError, ProcessLookupError):
            continue  # The thread ended meanwhile.
    return count


@pytest.fixture
def service():
    """Yields a service; at the end of the test its processes are killed and waited for."""
    service = coreproc.Service()
    yield service
    service.close(CloseMode.KILL)
    for subscription in list(service._subscriptions):
        subscription.close()
    service.wait_idle(GUARD)


class Gate:
    """A pipe that a child reads, as standard input or by its path; opening it ends the pipe."""

    def __init__(self):
        self.fd, self._held = os.pipe()
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"

    def open(self):
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


@pytest.fixture
def gate():
    """Yields a gate, which opens at the end of the test at the latest."""
    gate = Gate()
    yield gate
    gate.open()
    os.close(gate.fd)


@pytest.fixture(autouse=True)
def _no_process_left():
    before = children()
    yield
    assert children() <= before
