"""Logs have what processes wrote, in files of a bounded number."""

import gzip

import pytest
from conftest import GUARD

from coreproc import Closed, Command, InvalidArgument, LogFormat, TimedOut


def test_rotation_and_following(service, tmp_path):
    path = tmp_path / "app.log"
    log = service.open_log(path, max_bytes=5_000, keep=9, compress=True)
    follower = log.follow()
    for first in (1, 1001, 2001):
        Command("seq", str(first), str(first + 999), logs=[log]).spawn(service).wait(GUARD)
        log.wait_idle(GUARD)
    expected = "".join(f"{number}\n" for number in range(1, 3001)).encode()
    info = log.info()
    assert (info.written, info.lost, info.end, info.error) == (
        len(expected),
        0,
        len(expected),
        None,
    )
    assert info.rotations >= 2
    files = [
        gzip.decompress(file.read_bytes()) for file in sorted(tmp_path.glob("*.gz"), reverse=True)
    ]
    assert b"".join(files) + path.read_bytes() == expected
    content = b""
    while len(content) < len(expected):
        content += follower.read(1000, GUARD)
    assert (content, follower.offset, follower.skipped) == (expected, len(expected), 0)
    with pytest.raises(TimedOut):
        follower.read(timeout=0)
    service.close()
    with pytest.raises(Closed):
        follower.read(timeout=GUARD)


def test_lines_with_time_and_stream(service, tmp_path):
    path = tmp_path / "app.log"
    log = service.open_log(path, log_format=LogFormat.CRI)
    Command("sh", "-c", "echo trouble >&2", logs=[log]).spawn(service).wait(GUARD)
    log.wait_idle(GUARD)
    assert path.read_text().split(" ", 1)[1] == "stderr F trouble\n"
    path.rename(tmp_path / "old")
    log.reopen()
    assert path.read_bytes() == b""


def test_what_cannot_be_a_log(service, tmp_path):
    with pytest.raises(InvalidArgument, match="keep"):
        service.open_log(tmp_path / "log", keep=1)
    with pytest.raises(InvalidArgument, match="regular"):
        service.open_log(tmp_path)
