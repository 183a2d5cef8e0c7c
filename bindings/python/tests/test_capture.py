"""Captures keep the first and the last bytes, and count what lies between."""

import pytest
from conftest import GUARD, shell

from coreproc import Command, InvalidArgument


def test_head_and_last_lines(service):
    process = Command("seq", "1000", capture_head=4, capture_lines=2).spawn(service)
    process.wait(GUARD)
    assert process.captured() == (b"1\n2\n", 3880, b"999\n1000\n")
    assert process.output() == b"1\n2\n999\n1000\n"


def test_streams_apart(service):
    process = shell("echo err >&2; echo out", capture_apart=True).spawn(service)
    process.wait(GUARD)
    assert process.captured(1).tail == b"out\n"
    assert process.captured(2).tail == b"err\n"
    assert process.output() == b"out\nerr\n"
    with pytest.raises(InvalidArgument, match="own"):
        process.captured()


def test_no_such_capture(service):
    process = shell("true").spawn(service)
    for number in (1, 2, 3):
        with pytest.raises(InvalidArgument):
            process.captured(number)
