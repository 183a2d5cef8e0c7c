"""Subscriptions in an event loop, which watches the descriptor."""

import asyncio
import importlib.util

from conftest import GUARD, PACKAGE, scaled

import coreproc
from coreproc import Command, EventKind, Stdio


def example():
    path = PACKAGE / "examples" / "follow_asyncio.py"
    spec = importlib.util.spec_from_file_location("follow_asyncio", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loop_follows_and_goes_on(service):
    async def answer(questions):
        # This runs only if no wait for events blocks the loop.
        while True:
            process = await questions.get()
            process.write_all(b"answer\n")

    async def main():
        subscription = service.subscribe()
        questions = asyncio.Queue()
        answering = asyncio.create_task(answer(questions))
        command = Command("sh", "-c", "echo question; read a; echo got $a", stdin=Stdio.PIPE)
        processes = {}
        for _ in range(scaled(20)):
            process = command.spawn(service)
            processes[process.id] = process
        got = []
        still_open = set(processes)
        async for event in example().events(subscription):
            if event.data == b"question":
                await questions.put(processes[event.process_id])
            elif event.kind is EventKind.STDOUT:
                got.append(event.data)
            elif event.kind is EventKind.CLOSED:
                still_open.remove(event.process_id)
                if not still_open:
                    break
        answering.cancel()
        return got

    got = asyncio.run(asyncio.wait_for(main(), GUARD))
    assert got == [b"got answer"] * scaled(20)


def test_loop_sees_the_end_of_the_stream(service):
    async def main():
        subscription = service.subscribe()
        Command("echo", "x").spawn(service)
        service.close(coreproc.CloseMode.LEAVE)
        return [event.data async for event in example().events(subscription) if event.data]

    assert asyncio.run(asyncio.wait_for(main(), GUARD)) == [b"x"]
