"""Runs four commands at once; prints their lines as they come, and how each of them ended.

python3 bindings/python/examples/demo.py [root of the repository]
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

# A clone runs as it is, with nothing installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import coreproc
from coreproc import Cause, EventKind


@dataclass(frozen=True)
class Job:
    """A shell script, and how it is expected to end."""

    name: str
    about: str
    script: str
    status: str
    code: str
    colour: int
    timeout: float | None = None


JOBS = [
    Job(
        "compile",
        "compiles the C version of this demo",
        "cc -Wall -Wextra -Werror -I include -c -o /dev/null bindings/c/examples/demo.c &&\n"
        "echo 'compiled demo.c, without a warning'",
        status="passed",
        code="0",
        colour=36,
    ),
    Job(
        "fails",
        "complains, and exits with 3",
        "echo 'no such configuration: site.conf' >&2; exit 3",
        status="failed",
        code="3",
        colour=31,
    ),
    Job(
        "streams",
        "writes to both: each stream keeps its order; the order across needs a merge",
        'for step in 1 2 3; do echo "step $step"; echo "note on step $step" >&2; done',
        status="passed",
        code="0",
        colour=32,
    ),
    Job(
        "slow",
        "would sleep for 30 seconds, and is stopped after one",
        "echo 'this would take 30 seconds'; exec sleep 30",
        status="timed out",
        code="SIGTERM",
        colour=33,
        timeout=1.0,
    ),
]


def find_root() -> Path:
    """Finds the repository that this file is in."""
    for directory in Path(__file__).resolve().parents:
        if (directory / "Cargo.toml").is_file():
            return directory
    raise SystemExit("demo: no Cargo.toml above this file; give the repository's root")


def print_legend() -> None:
    print(f"coreproc {coreproc.library_version()} from Python\n")
    print('Four commands at once. "|" marks a line of standard output, "!" one of standard error:')
    for job in JOBS:
        print(f"  {job.name:<8} {job.about}")
    print(flush=True)


def print_line(job: Job, event: coreproc.Event, coloured: bool) -> None:
    name = f"{job.name:<8}"
    if coloured:
        name = f"\033[{job.colour}m{name}\033[0m"
    mark = "!" if event.kind is EventKind.STDERR else "|"
    # Output is bytes, and may be no text.
    sys.stdout.buffer.write(f"{name} {mark} ".encode() + event.data + b"\n")
    sys.stdout.buffer.flush()


def follow(running: dict[int, Job], subscription: coreproc.Subscription) -> None:
    """Prints lines until every job is closed, that is, all its output was read."""
    # NO_COLOR, if it is set and not empty, means no colour: https://no-color.org
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    still_open = set(running)
    for event in subscription:
        if event.kind in (EventKind.STDOUT, EventKind.STDERR):
            print_line(running[event.process_id], event, coloured)
        elif event.kind is EventKind.CLOSED:
            still_open.remove(event.process_id)
            if not still_open:
                return


def status_of(info: coreproc.Info) -> str:
    if info.cause is Cause.TIMEOUT:
        return "timed out"
    return "passed" if info.ok else "failed"


def code_of(info: coreproc.Info) -> str:
    """Returns the exit code or the signal: exit code 143 and SIGTERM are not the same thing."""
    if info.signal is not None:
        return signal.Signals(info.signal).name
    return "unknown" if info.exit_code is None else str(info.exit_code)


def print_table(jobs: list[tuple[Job, coreproc.Info]]) -> bool:
    """Prints a row for each job; returns whether all of them ended as expected."""
    print(f"\n{'COMMAND':<8}  {'STATUS':<9}  {'CODE':<9}  {'DURATION':>10}  {'BYTES':>6}")
    as_expected = True
    for job, info in jobs:
        status, code = status_of(info), code_of(info)
        size = info.stdout_bytes + info.stderr_bytes
        print(f"{job.name:<8}  {status:<9}  {code:<9}  {info.duration or 0:8.3f} s  {size:>6}")
        as_expected = as_expected and (status, code) == (job.status, job.code)
    print(
        "All ended as they were meant to."
        if as_expected
        else "Not all ended as they were meant to."
    )
    return as_expected


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else find_root()
    print_legend()
    # The block leaves no process behind, however it ends.
    with coreproc.Service() as service:
        # Before the first spawn: a subscription sees processes that are spawned after it opened.
        subscription = service.subscribe()
        processes = [
            coreproc.Command("sh", "-c", job.script, cwd=root, timeout=job.timeout).spawn(service)
            for job in JOBS
        ]
        jobs = dict(zip([process.id for process in processes], JOBS))
        follow(jobs, subscription)
        infos = [process.info() for process in processes]
    return 0 if print_table(list(zip(JOBS, infos))) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except coreproc.CoreprocError as error:
        sys.exit(f"demo: {error}")
