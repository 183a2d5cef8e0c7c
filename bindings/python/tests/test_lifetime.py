"""Ownership: collection under load, release, threads, and nothing left behind."""

import gc
import threading
import weakref

import pytest
from conftest import GUARD, descriptors, library_threads, run, scaled, shell, until

import coreproc
from coreproc import CloseMode, Command, EventKind, Stdio


@pytest.fixture(autouse=True)
def _collector_sees_the_test_alone():
    """Makes a collection cheap enough for one between any two calls."""
    gc.collect()  # Garbage that is frozen below would never be freed.
    gc.freeze()
    yield
    gc.unfreeze()


def test_collection_under_load():
    count, workers = scaled(25), 4
    failures = []
    before = library_threads()

    def work(number):
        try:
            for turn in range(count):
                service = coreproc.Service()
                subscription = service.subscribe()
                expected = f"{number} {turn}".encode()
                # Service, command and process are dropped here; only the events tell the end.
                Command("sh", "-c", f"echo {number} {turn}").spawn(service)
                service.close(CloseMode.LEAVE)
                del service
                gc.collect()
                seen = []
                for event in subscription:
                    gc.collect()
                    if event.kind is EventKind.STDOUT:
                        seen.append(event.data)
                if seen != [expected]:
                    failures.append((expected, seen))
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    until(lambda: library_threads() <= before)


def test_collection_in_cycles(service):
    class Node:
        pass

    gone = []
    for _ in range(scaled(20)):
        node = Node()
        node.self = node
        node.process = Command("echo", "x").spawn(service)
        node.subscription = service.subscribe()
        gone.append(weakref.ref(node))
        del node
    gc.collect()
    assert [reference() for reference in gone] == [None] * len(gone)
    service.wait_idle(GUARD)
    assert run(Command("echo", "still here"), service)[1] == b"still here\n"


def test_dropped_process_goes_on(service, tmp_path, gate):
    target = tmp_path / "target"
    shell('read line; echo done >"$1"', target, stdin=gate.fd).spawn(service)
    gc.collect()
    assert service.count() == 1
    gate.open()
    service.wait_idle(GUARD)
    assert target.read_text() == "done\n"


def test_dropped_service_leaves_its_processes():
    service = coreproc.Service()
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    del service
    gc.collect()
    process.write_all(b"alive")
    process.close_stdin()
    assert process.wait(GUARD).ok
    assert process.output() == b"alive"


def test_release(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    again = service.process(process.id)
    command = Command("true")
    subscription = service.subscribe()
    for owner, use in (
        (process, process.info),
        (command, lambda: command.spawn(service)),
        (subscription, lambda: subscription.take(timeout=0)),
    ):
        owner.release()
        owner.release()
        with pytest.raises(coreproc.Closed, match="released"):
            use()
    assert repr(process) == "<coreproc.Process released>"
    again.close_stdin()
    assert again.wait(GUARD).ok


def test_closes_are_idempotent(service):
    subscription = service.subscribe()
    for _ in range(3):
        subscription.close()
        service.close()
        service.close(CloseMode.KILL)
        service.wait_idle(GUARD)


def test_release_while_another_thread_waits(service):
    for _ in range(scaled(20)):
        process = Command("cat", stdin=Stdio.PIPE).spawn(service)
        closer = service.process(process.id)
        waiting, codes = threading.Event(), []

        def wait(process=process, waiting=waiting, codes=codes):
            waiting.set()
            try:
                codes.append(process.wait(GUARD).exit_code)
            except coreproc.Closed:
                codes.append(0)  # It was released before the wait began.

        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        process.release()
        del process
        gc.collect()
        closer.close_stdin()
        thread.join()
        assert codes == [0]


def test_threads_share_one_service(service):
    count, workers = scaled(50), 8
    wrong = []
    command = Command("sh", "-c", "read line; echo got $line", stdin=Stdio.PIPE)

    def work(number):
        for turn in range(count):
            process = command.spawn(service)
            process.write_all(b"%d-%d\n" % (number, turn))
            info = process.wait(GUARD)
            if not info.ok or process.output() != b"got %d-%d\n" % (number, turn):
                wrong.append((number, turn, info, process.output()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert service.count() == 0


def test_nothing_is_left_behind():
    def turn():
        with coreproc.Service() as service, service.subscribe() as subscription:
            Command("echo", "x").spawn(service)
            with pytest.raises(coreproc.NotFound):
                Command("coreproc-no-such-program").spawn(service)
            for event in subscription:
                if event.kind is EventKind.CLOSED:
                    break

    turn()
    gc.collect()
    threads = library_threads()
    before = descriptors()
    for _ in range(scaled(50)):
        turn()
    gc.collect()
    until(lambda: library_threads() <= threads)
    until(lambda: descriptors() <= before)
