"""Ctrl-C interrupts a thread that waits."""

import signal
import threading

import pytest
from conftest import shell, until

import coreproc
from coreproc import Command, Stdio


class Interrupted(Exception):
    """The exception that the handler of the test raises once."""


@pytest.fixture
def interrupted():
    """Sends SIGINT to the main thread until its handler has run."""
    done = threading.Event()
    main = threading.get_ident()

    def handler(_number, _frame):
        if not done.is_set():
            done.set()
            raise Interrupted

    def send():
        while not done.wait(0.02):
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, handler)
    sender = threading.Thread(target=send)

    yield sender.start
    done.set()
    if sender.ident is not None:
        sender.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("call", ["wait", "wait_exit", "wait_idle", "take", "iterate", "write"])
def test_wait_can_be_interrupted(service, interrupted, gate, call):
    # It reads nothing and does not end before the gate opens.
    process = shell('read line <"$1"', gate.path, stdin=Stdio.PIPE).spawn(service)
    subscription = service.subscribe()
    waits = {
        "wait": process.wait,
        "wait_exit": process.wait_exit,
        "wait_idle": service.wait_idle,
        "take": subscription.take,
        "iterate": lambda: list(subscription),
        "write": lambda: process.write(b"x" * 10_000_000),
    }
    interrupted()
    with pytest.raises(Interrupted):
        waits[call]()


def test_block_that_is_interrupted_while_it_ends_stops_its_process(service, interrupted):
    process = Command("sleep", "60").spawn(service)
    with pytest.raises(Interrupted), process:
        interrupted()
    assert process.info().signal == signal.SIGTERM


def test_service_that_is_interrupted_while_it_ends_kills(interrupted, gate):
    service = coreproc.Service()
    process = shell('trap "" TERM; echo ready; read line < "$1"', gate.path).spawn(service)
    until(lambda: process.output() == b"ready\n")
    with pytest.raises(Interrupted), service:
        interrupted()
    assert process.info().signal == signal.SIGKILL


def test_interrupted_block_stops_its_process(service, interrupted):
    process = Command("sleep", "60").spawn(service)

    def block():
        with process:
            interrupted()
            process.wait()

    with pytest.raises(Interrupted):
        block()
    assert process.info().signal == signal.SIGTERM
