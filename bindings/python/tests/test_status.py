"""Exit codes and signals of processes, exact and apart from each other."""

import json
import signal

import pytest
from conftest import GUARD, run, shell

from coreproc import Cause, Command, Flag, State, Stdio

#: Signals whose default action ends a process.
ENDING = [
    number
    for number in signal.valid_signals()
    if number
    not in {
        signal.SIGCHLD,
        signal.SIGCONT,
        signal.SIGURG,
        signal.SIGWINCH,
        signal.SIGSTOP,
        signal.SIGTSTP,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
]


def test_the_end_is_told_in_full(service):
    process = Command("sh", "-c", "echo last words; exit 3").spawn(service)
    usage = process.wait().rusage
    assert usage.max_rss_bytes > 0
    assert usage.user_time + usage.system_time < 60
    told = process.post_mortem().splitlines()
    assert told[0] == f"process {process.id}, PID {process.pid}: sh -c echo last words; exit 3"
    assert told[1].startswith("exited with code 3 after ")
    assert told[-2:] == ["last lines of its output:", "  last words"]
    document = json.loads(process.info_json())
    assert (document["exit_code"], document["cause"]) == (3, "natural")
    assert document["rusage"]["max_rss_bytes"] == usage.max_rss_bytes
    assert document["last_lines"] == ["last words"]


def test_a_process_that_runs_has_no_usage(service):
    process = Command("sleep", "60").spawn(service)
    assert process.info().rusage is None
    process.kill()
    assert process.wait().rusage is not None


def test_every_exit_code(service):
    processes = [shell(f"exit {code}").spawn(service) for code in range(256)]
    infos = [process.wait(GUARD) for process in processes]
    assert [info.exit_code for info in infos] == list(range(256))
    assert {info.signal for info in infos} == {None}
    assert {info.cause for info in infos} == {Cause.NATURAL}
    assert [info.ok for info in infos] == [True] + [False] * 255


def test_every_signal(service):
    # The shell turns core files off, whatever this machine does with them.
    processes = [
        shell('ulimit -c 0; kill -"$1" $$; sleep 60', str(int(number))).spawn(service)
        for number in ENDING
    ]
    infos = [process.wait(GUARD) for process in processes]
    assert [info.signal for info in infos] == ENDING
    assert {info.exit_code for info in infos} == {None}
    assert not any(info.ok or info.flags & Flag.CORE_DUMPED for info in infos)


@pytest.mark.parametrize("code", [130, 137, 143])
def test_codes_like_a_shells_are_codes(service, code):
    info, _ = run(shell(f"exit {code}"), service)
    assert (info.exit_code, info.signal) == (code, None)


def test_info_follows_the_life_of_a_process(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    info = process.info()
    assert info.state is State.RUNNING
    assert info.pid == process.pid > 0
    assert info.id == process.id == 1
    assert info.cause is Cause.NONE
    assert (info.exit_code, info.signal) == (None, None)
    assert (info.exited_monotonic_ns, info.closed_monotonic_ns, info.duration) == (None,) * 3
    process.close_stdin()
    assert process.wait_exit(GUARD).state in (State.EXITED, State.CLOSED)
    info = process.wait(GUARD)
    assert info.state is State.CLOSED
    assert info.started_monotonic_ns <= info.exited_monotonic_ns <= info.closed_monotonic_ns
    assert info.duration == (info.exited_monotonic_ns - info.started_monotonic_ns) / 1e9
    assert process.info() == info


# A background job of sh that holds our pipes and waits at the gate, which is its standard input.
HOLD = "exec 3<&0; (read line <&3; echo late) & echo $!; exit 7"


def test_grandchild_that_holds_stdout_does_not_delay_the_exit(service, gate):
    process = shell(HOLD, stdin=gate.fd).spawn(service)
    info = process.wait_exit(GUARD)
    assert info.exit_code == 7
    gate.open()
    process.wait(GUARD)
    assert process.output().endswith(b"\nlate\n")


def test_holders_of_a_closed_process_are_named(service, gate):
    process = shell(HOLD, stdin=gate.fd).spawn(service)
    info = process.wait(GUARD)
    assert info.flags & Flag.DRAIN_BOUND
    holder = int(process.output())
    assert holder in [found.pid for found in process.holders()]


def test_no_holders_if_no_process_holds_the_output(service):
    process = Command("true").spawn(service)
    process.wait(GUARD)
    assert process.holders() == []
