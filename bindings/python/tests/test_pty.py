"""Pseudo-terminals and sessions, and the foreground of our own terminal."""

import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import GUARD, PACKAGE, run, shell, until

import coreproc
from coreproc import (
    Command,
    Delivery,
    EventKind,
    Group,
    InvalidArgument,
    Pty,
    PtyMode,
    State,
    Stdio,
)


def test_a_process_has_a_terminal_and_its_size(service):
    info, output = run(Command("stty", "size", pty=True), service)
    assert (info.ok, output) == (True, b"24 80\r\n")
    _, output = run(Command("stty", "size", pty=Pty(100, 30)), service)
    assert output == b"30 100\r\n"
    _, output = run(Command("tty", pty=False), service)
    assert output == b"not a tty\n"


def test_what_is_typed_is_read_up_to_the_end_of_input(service):
    process = Command("cat", pty=Pty(mode=PtyMode.NO_ECHO)).spawn(service)
    process.write_all(b"one\ntwo", GUARD)
    process.close_stdin()
    assert process.wait(GUARD).ok
    assert process.output() == b"one\r\ntwo"


def test_a_new_size_is_known(service):
    process = shell("read line; stty size; read line", pty=Pty(mode=PtyMode.NO_ECHO)).spawn(service)
    with pytest.raises(InvalidArgument, match="rows"):
        process.resize(100, 0)
    with pytest.raises(InvalidArgument, match="columns"):
        process.resize(-1, 10)
    process.resize(120, 40)
    process.write_all(b"\n\n", GUARD)
    assert process.wait(GUARD).ok
    assert process.output() == b"40 120\r\n"
    with pytest.raises(coreproc.NotRunning):
        process.resize(80, 24)


def test_ctrl_c_is_a_signal(service):
    with service.subscribe(delivery=Delivery.CHUNKS) as subscription:
        process = shell("echo up; sleep 60", pty=True).spawn(service)
        for event in subscription:
            if event.kind == EventKind.STDOUT:
                process.write_all(b"\x03", GUARD)
                break
    assert process.wait(GUARD).signal == signal.SIGINT


def test_the_echo_of_standard_input_alone_is_descriptor_0(service):
    with service.subscribe(delivery=Delivery.LINES) as subscription:
        command = Command("cat", pty=True, stdout=Stdio.PIPE, stderr=Stdio.NULL)
        process = command.spawn(service)
        process.write_all(b"typed\n", GUARD)
        process.close_stdin()
        seen = set()
        for event in subscription:
            if event.kind == EventKind.CLOSED:
                break
            seen.add((event.kind, event.descriptor, event.data))
    assert (EventKind.OUTPUT, 0, b"typed\r") in seen
    assert (EventKind.STDOUT, None, b"typed") in seen
    assert process.captured(0).tail == b"typed\r\n"


def test_a_new_session(service):
    script = "cut -d' ' -f6 /proc/$$/stat; echo $$"
    for options in ({"start_new_session": True}, {"group": Group.SESSION}):
        info, output = run(shell(script, **options), service)
        assert info.ok
        assert len(set(output.split())) == 1
    with pytest.raises(InvalidArgument, match="start_new_session"):
        Command("true", start_new_session=True, group=Group.INHERIT)


@pytest.mark.parametrize(
    "options",
    [{"pty": Pty(columns=70000)}, {"pty": Pty(rows=-1)}, {"pty": Pty(columns=0)}],
    ids=repr,
)
def test_a_size_out_of_range_is_refused(options):
    with pytest.raises(InvalidArgument, match=r"columns|rows"):
        Command("true", **options)


def test_contradictions_are_refused(service):
    with pytest.raises(InvalidArgument, match="pty"):
        Command("true", pty=True, detach=True).spawn(service)


#: A host on a terminal, whose foreground it lends.
HOST = """
import coreproc, os, time
from coreproc import Command, InvalidArgument, NotRunning, Service, Stdio

def refused(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(error)

with Service() as service, open("/dev/tty", "r+b", buffering=0) as terminal:
    streams = dict(stdin=Stdio.INHERIT, stdout=Stdio.INHERIT, stderr=Stdio.INHERIT)
    script = "echo ready; read line; echo child read $line; exit 3"
    lent = Command("sh", "-c", script, foreground=terminal, **streams).spawn(service)
    while os.tcgetpgrp(terminal.fileno()) != os.getpgrp():
        time.sleep(0.005)
    print("it is stopped", flush=True)
    lent.foreground()
    assert lent.wait().exit_code == 3
    refused(NotRunning, lent.foreground)
    ended = Command("true", foreground=terminal.fileno(), **streams).spawn(service).wait()
    assert ended.ok
    plain = Command("cat", stdin=Stdio.PIPE).spawn(service)
    refused(InvalidArgument, plain.foreground)
    plain.close_stdin()
    plain.wait()
    assert os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
print("host ran to its end")
"""


def test_the_foreground_is_lent_until_a_stop_and_until_the_end(service):
    environment = {"PYTHONPATH": str(PACKAGE / "src")}
    host = Command(sys.executable, "-c", HOST, pty=True, env_add=environment).spawn(service)
    for text, answer in ((b"ready\r\n", b"\x1a"), (b"it is stopped\r\n", b"one\n")):
        until(lambda text=text: text in host.output() or host.info().state != State.RUNNING)
        host.write_all(answer, GUARD)
    assert host.wait(GUARD).ok, host.output()
    assert b"child read one\r\n" in host.output()
    assert b"host ran to its end" in host.output()


def test_what_is_not_our_terminal_is_not_lent(service):
    with Path(os.devnull).open() as null:
        for target in (null, null.fileno()):
            with pytest.raises(coreproc.SystemFailure, match="foreground"):
                Command("true", foreground=target).spawn(service)
        with pytest.raises(InvalidArgument, match="foreground"):
            Command("true", foreground=null, start_new_session=True).spawn(service)
    with pytest.raises(coreproc.SystemFailure, match="foreground"):
        Command("true", foreground=-1)
