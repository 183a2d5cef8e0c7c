"""Writes to the standard input of processes."""

import hashlib
import signal

import pytest
from conftest import GUARD, python, run, scaled, shell

import coreproc
from coreproc import Command, Stdio

ALL_BYTES = bytes(range(256))
HASH = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_what_is_written_arrives(service, make):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    assert process.write(make(ALL_BYTES)) == 256
    process.write_all(make(ALL_BYTES))
    process.close_stdin()
    assert process.wait(GUARD).ok
    assert process.output() == ALL_BYTES * 2


def test_much_more_than_a_pipe_holds(service):
    content = ALL_BYTES * 32768
    process = python(HASH, stdin=Stdio.PIPE).spawn(service)
    process.write_all(content, GUARD)
    process.close_stdin()
    assert process.wait(GUARD).ok
    assert process.output().decode().strip() == hashlib.sha256(content).hexdigest()


def test_write_that_finds_no_room_times_out(service, gate):
    # The shell waits at the gate and reads nothing from its standard input meanwhile.
    process = shell('exec 3<"$1"; read line <&3; cat', gate.path, stdin=Stdio.PIPE).spawn(service)
    content = b"x" * 10_000_000
    taken = process.write(content, 0.2)
    assert 0 < taken < len(content)
    with pytest.raises(coreproc.TimedOut):
        process.write(content, 0)
    with pytest.raises(coreproc.TimedOut):
        process.write_all(content, 0.15)
    gate.open()
    process.close_stdin()
    process.wait(GUARD)
    assert process.info().stdout_bytes == taken


def test_reader_that_ends(service):
    process = Command("true", stdin=Stdio.PIPE).spawn(service)
    process.wait(GUARD)
    with pytest.raises(coreproc.NotRunning):
        process.write(b"x")


def write_for_ever(process):
    while True:
        process.write(b"x", GUARD)


def test_input_to_a_child_that_exits_is_not_running_every_time(service):
    for script in ["exit 0", "exec 0<&-; exit 0"] * scaled(100):
        process = shell(script, stdin=Stdio.PIPE).spawn(service)
        # A child that closes its input first may be held up before it ends.
        refusals = (coreproc.NotRunning, coreproc.StdinClosed)[: 1 if script == "exit 0" else 2]
        with pytest.raises(refusals):
            write_for_ever(process)
        process.wait(GUARD)
        with pytest.raises(coreproc.NotRunning):
            process.write(b"x", GUARD)


def test_reader_that_ends_while_we_write(service):
    process = shell("read line; exit 3", stdin=Stdio.PIPE).spawn(service)
    content = b"line\n" * 10_000_000
    with pytest.raises(coreproc.NotRunning) as raised:
        process.write_all(content, GUARD)
    assert 5 <= raised.value.written < len(content)
    assert process.wait(GUARD).exit_code == 3
    # The error did not come by SIGPIPE: the host's dispositions are unchanged.
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN


def test_close_twice(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    process.close_stdin()
    process.close_stdin()
    with pytest.raises((coreproc.StdinClosed, coreproc.NotRunning)):
        process.write(b"x")
    assert process.wait(GUARD).ok
    process.close_stdin()


def test_empty_write(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    assert process.write(b"") == 0
    process.write_all(b"")
    process.close_stdin()
    assert run(Command("true"), service)[0].ok
    assert process.wait(GUARD).ok


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_a_given_input_arrives_with_its_end(service, make):
    content = ALL_BYTES * 4096
    process = Command("cat", input=make(content), capture=len(content)).spawn(service)
    info = process.wait(GUARD)
    assert info.ok
    assert info.unwritten_bytes == 0
    assert process.output() == content


def test_a_given_input_may_be_empty_or_left_unread(service):
    info, output = run(Command("cat", input=b""), service)
    assert info.ok
    assert output == b""
    info = Command("true", input=b"x" * 1_000_000).spawn(service).wait(GUARD)
    assert info.ok
    assert 0 < info.unwritten_bytes < 1_000_000


def test_a_given_input_is_no_pipe_to_write_to(service):
    process = Command("cat", input=b"x" * 1_000_000).spawn(service)
    with pytest.raises(coreproc.StdinClosed, match="given with its command"):
        process.write(b"more")
    process.wait(GUARD)
    with pytest.raises(coreproc.InvalidArgument, match="input"):
        Command("cat", input=b"x", stdin=Stdio.PIPE)
