"""Descriptors above standard error."""

import os
import socket

import pytest
from conftest import GUARD, python, run, shell

import coreproc
from coreproc import Command, Delivery, Descriptor, EventKind, File


def test_a_script_reads_one_descriptor_and_writes_another(service):
    script = 'read -u 3 line; echo "got $line" >&4; cat <&5'
    command = Command(
        "bash",
        "-c",
        script,
        descriptors={3: Descriptor.INPUT, 4: Descriptor.OUTPUT, 5: b"given"},
    )
    process = command.spawn(service)
    assert process.write_descriptor(3, b"one\n", GUARD) == 4
    process.close_descriptor(3)
    assert process.wait(GUARD).ok
    assert process.captured(4).tail == b"got one\n"
    assert process.output() == b"given"


def test_events_name_the_descriptor(service):
    with service.subscribe(delivery=Delivery.LINES) as subscription:
        command = Command("bash", "-c", "echo a; echo b >&9", descriptors={9: Descriptor.OUTPUT})
        command.spawn(service)
        seen = set()
        for event in subscription:
            if event.kind == EventKind.CLOSED:
                break
            seen.add((event.kind, event.descriptor, event.data))
    assert (EventKind.OUTPUT, 9, b"b") in seen
    assert (EventKind.STDOUT, None, b"a") in seen


def test_pass_fds_keep_their_numbers(service):
    reader, writer = os.pipe()
    try:
        process = python(f"import os; os.write({writer}, b'x')", pass_fds=[writer]).spawn(service)
        assert process.wait(GUARD).ok
        assert os.read(reader, 10) == b"x"
    finally:
        os.close(reader)
        os.close(writer)


def test_files_are_read_or_appended_to(service, tmp_path):
    path = tmp_path / "file"
    path.write_text("kept\n")
    command = Command(
        "bash",
        "-c",
        "cat <&3; echo more >&4",
        descriptors={3: File(path), 4: File(path, append=True)},
    )
    info, output = run(command, service)
    assert info.ok
    assert output == b"kept\n"
    assert path.read_text() == "kept\nmore\n"


def test_sockets_are_passed_as_systemd_does(service):
    script = "test $LISTEN_PID = $$ && echo $LISTEN_FDS $LISTEN_FDNAMES"
    with socket.socket() as one, socket.socket() as two:
        process = shell(script, listen_fds={"web": one, "admin": two.fileno()}).spawn(service)
        assert process.wait(GUARD).ok
    assert process.output() == b"2 web:admin\n"


@pytest.mark.parametrize("number", [-1, 0, 2, 1024, 2**32])
def test_a_number_that_cannot_be_given_is_named(number):
    with pytest.raises(coreproc.InvalidArgument, match=f"descriptor {number}"):
        Command("true", descriptors={number: b""})
    with pytest.raises(coreproc.CoreprocError):
        Command("true", pass_fds=[number])
