"""In a child of os.fork() what its parent made is useless, and what it makes itself works."""

import gc
import os
import pickle
import signal
import threading

import pytest
from conftest import GUARD, run, scaled

import coreproc
from coreproc import Command, Result, Stdio

# Python warns of a fork in a program with threads, which these tests make.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(work):
    """Runs `work` in a forked child, and returns its result."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(GUARD))  # Its default action ends a child that hangs.
        try:
            with os.fdopen(write, "wb") as answer:
                pickle.dump(work(), answer)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        content = answer.read()
    assert os.waitpid(pid, 0)[1] == 0
    return pickle.loads(content)


def outcome(call):
    try:
        return call()
    except Exception as error:
        return error


def test_every_call_says_forked(service):
    subscription = service.subscribe()
    command = Command("true")
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    calls = {
        "spawn": lambda: command.spawn(service),
        "count": service.count,
        "process": lambda: service.process(1),
        "subscribe": service.subscribe,
        "close": service.close,
        "wait_idle": service.wait_idle,
        "info": process.info,
        "wait": process.wait,
        "output": process.output,
        "kill": process.kill,
        "stop": process.stop,
        "signal": lambda: process.signal(9),
        "write": lambda: process.write(b"x"),
        "close_stdin": process.close_stdin,
        "take": subscription.take,
        "iterate": lambda: next(iter(subscription)),
        "fileno": subscription.fileno,
        "close subscription": subscription.close,
    }
    outcomes = in_child(lambda: {name: outcome(call) for name, call in calls.items()})
    assert {name: type(error) for name, error in outcomes.items()} == dict.fromkeys(
        calls, coreproc.Forked
    )
    assert all(error.result is Result.FORKED for error in outcomes.values())
    assert all("fork" in str(error) for error in outcomes.values())
    # The parent's process was neither killed nor robbed of its standard input.
    process.write_all(b"parent")
    process.close_stdin()
    assert process.wait(GUARD).ok
    assert process.output() == b"parent"


def test_fork_keeps_no_end_of_a_childs_pipes(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    hold = os.pipe()
    worker = os.fork()
    if worker == 0:
        signal.alarm(int(GUARD))
        os._exit(0 if os.read(hold[0], 1) == b"!" else 1)
    process.write_all(b"hello")
    process.close_stdin()
    assert process.wait(GUARD / 2).ok
    assert process.output() == b"hello"
    assert os.waitpid(worker, os.WNOHANG) == (0, 0)
    os.write(hold[1], b"!")
    assert os.waitpid(worker, 0)[1] == 0
    for end in hold:
        os.close(end)


def test_child_that_frees_everything_does_no_harm():
    service = coreproc.Service()
    subscription = service.subscribe()
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)

    def free():
        nonlocal service, subscription, process
        del service, subscription, process
        gc.collect()
        return "freed"

    assert in_child(free) == "freed"
    process.write_all(b"parent\n")
    process.close_stdin()
    assert process.wait(GUARD).ok
    service.close()
    assert [event.data for event in subscription if event.data] == [b"parent"]


def test_fork_while_others_spawn(service):
    stop, wrong = threading.Event(), []
    shared = Command("echo", "x")

    def spawn():
        while not stop.is_set():
            info, output = run(shared, service)
            if not info.ok or output != b"x\n":
                wrong.append((info, output))

    spawners = [threading.Thread(target=spawn) for _ in range(3)]
    for spawner in spawners:
        spawner.start()
    answers = [
        in_child(lambda: type(outcome(lambda: shared.spawn(service))).__name__)
        for _ in range(scaled(50))
    ]
    stop.set()
    for spawner in spawners:
        spawner.join()
    assert answers == ["Forked"] * scaled(50)
    assert wrong == []


def use():
    """Spawns, streams and waits with a new service."""
    with coreproc.Service() as service:
        events = service.subscribe()
        process = Command("cat", stdin=Stdio.PIPE).spawn(service)
        process.write_all(b"one\ntwo\n")
        process.close_stdin()
        info = process.wait(GUARD)
        lines = []
        while len(lines) < 2:
            lines += [event.data for event in events.take(timeout=GUARD) if event.data]
        return info.ok, process.output(), lines


USED = (True, b"one\ntwo\n", [b"one", b"two"])


def test_child_has_services_of_its_own(service):
    stop = threading.Event()

    def spawn():
        while not stop.is_set():
            run(Command("echo", "x"), service)

    spawners = [threading.Thread(target=spawn) for _ in range(3)]
    for spawner in spawners:
        spawner.start()
    parents = Command("cat", stdin=Stdio.PIPE).spawn(service)

    def work():
        return type(outcome(parents.info)), type(outcome(service.count)), use()

    try:
        for _ in range(scaled(50)):
            assert in_child(work) == (coreproc.Forked, coreproc.Forked, USED)
    finally:
        stop.set()
        for spawner in spawners:
            spawner.join()
    parents.write_all(b"parent")
    parents.close_stdin()
    assert parents.wait(GUARD).ok
    assert parents.output() == b"parent"


def test_grandchild_has_services_of_its_own():
    assert use() == USED
    assert in_child(lambda: (use(), in_child(use))) == (USED, USED)
