"""Runs commands under asyncio: the loop watches the subscription's pipe, without a thread.

python3 bindings/python/examples/follow_asyncio.py
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# A clone runs as it is, with nothing installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import coreproc
from coreproc import EventKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def events(subscription: coreproc.Subscription) -> AsyncIterator[coreproc.Event]:
    """Yields the events of a subscription, without blocking the loop."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    fd = subscription.fileno()
    loop.add_reader(fd, readable.set)
    try:
        while True:
            readable.clear()
            try:
                # Only a take that found nothing arms the pipe again.
                while True:
                    for event in subscription.take(timeout=0):
                        yield event
            except coreproc.TimedOut:
                await readable.wait()
            except coreproc.Closed:
                return
    finally:
        loop.remove_reader(fd)


async def main() -> None:
    with coreproc.Service() as service, service.subscribe() as subscription:
        script = 'for step in 1 2 3; do echo "$0: step $step"; done'
        still_open = {
            coreproc.Command("sh", "-c", script, name).spawn(service).id
            for name in ("one", "two", "three")
        }
        async for event in events(subscription):
            if event.kind is EventKind.STDOUT:
                print(event.data.decode(errors="replace"), flush=True)
            elif event.kind is EventKind.CLOSED:
                still_open.remove(event.process_id)
                if not still_open:
                    return


if __name__ == "__main__":
    asyncio.run(main())
