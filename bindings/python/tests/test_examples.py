"""The examples, and the programs in the README."""

import os
import pty
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE, REPOSITORY

import coreproc

HEADLINE = f"coreproc {coreproc.library_version()} from Python"
TABLE = """\
COMMAND   STATUS     CODE         DURATION   BYTES
compile   passed     0          _
fails     failed     3          _
streams   passed     0          _
slow      timed out  SIGTERM    _
All ended as they were meant to.
"""


def start(name, *args, **options):
    return subprocess.Popen(
        [sys.executable, PACKAGE / "examples" / name, *args], cwd="/", **options
    )


def check_demo(text):
    head, _, table = text.partition("\nCOMMAND ")
    lines = head.splitlines()
    assert lines[0] == HEADLINE
    assert '"|" marks a line of standard output, "!" one of standard error:' in head
    assert "compile  | compiled demo.c, without a warning" in lines
    assert "fails    ! no such configuration: site.conf" in lines
    for step in (1, 2, 3):
        assert f"streams  | step {step}" in lines
        assert f"streams  ! note on step {step}" in lines
    assert "slow     | this would take 30 seconds" in lines
    rows = re.sub(r" +\d+\.\d{3} s +\d+$", " _", "COMMAND " + table, flags=re.MULTILINE)
    assert [row.split() for row in rows.splitlines()] == [row.split() for row in TABLE.splitlines()]


@pytest.mark.parametrize("root", [[], [str(REPOSITORY)]], ids=["found", "given"])
def test_demo(root):
    with start("demo.py", *root, stdout=subprocess.PIPE, text=True) as demo:
        text, _ = demo.communicate()
    assert demo.returncode == 0
    assert "\033" not in text
    check_demo(text)


@pytest.mark.parametrize("no_color", [None, "", "1"])
def test_demo_on_a_terminal(no_color):
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    if no_color is not None:
        environment["NO_COLOR"] = no_color
    reader, terminal = pty.openpty()
    with start("demo.py", stdout=terminal, env=environment) as demo:
        os.close(terminal)
        content = b""
        while True:
            try:
                content += os.read(reader, 65536)
            except OSError:  # EIO: the last writer has closed the terminal.
                break
    os.close(reader)
    assert demo.returncode == 0
    text = content.decode().replace("\r\n", "\n")
    assert ("\033[36mcompile \033[0m | " in text) == (not no_color)
    check_demo(re.sub(r"\033\[\d+m", "", text))


def test_demo_says_what_went_wrong(tmp_path):
    with start("demo.py", str(tmp_path / "missing"), stderr=subprocess.PIPE, text=True) as demo:
        _, said = demo.communicate()
    assert demo.returncode == 1
    assert said.startswith('demo: spawn "sh": chdir: ')


def test_asyncio_example():
    with start("follow_asyncio.py", stdout=subprocess.PIPE, text=True) as example:
        text, _ = example.communicate()
    assert example.returncode == 0
    assert sorted(text.splitlines()) == sorted(
        f"{name}: step {step}" for name in ("one", "two", "three") for step in (1, 2, 3)
    )


def run_pipeline(*arguments):
    return subprocess.run(
        [sys.executable, PACKAGE / "examples" / "pipeline.py", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "DEMO_WORK": str(arguments[-1]) + ".work"},
        capture_output=True,
        text=True,
    )


def test_pipeline(tmp_path):
    chart, history = tmp_path / "chart.svg", tmp_path / "history.json"
    for _ in range(2):
        ended = run_pipeline("examples/pipeline.json", chart, history)
        assert (ended.returncode, ended.stderr) == (1, "")
        lines = ended.stdout.splitlines()
        assert lines[-4:] == [
            "fetch: passed at attempt 2",
            "lint-c89: exit code 1 (allowed)",
            "sign: exit code 3",
            'publish: skipped: "sign" failed',
        ]
        assert "fetch       | fetched from the mirror" in lines
        assert re.search(r"^FAILED in .*: 8 passed, 2 failed, 1 skipped", lines[-5])
        assert chart.read_text().startswith("<svg ")
        assert {path.name for path in tmp_path.iterdir()} == {"chart.svg", "history.json"}


def test_pipeline_says_what_went_wrong(tmp_path):
    file = tmp_path / "pipeline.json"
    file.write_text('{"version": 1, "spec": []}')
    ended = run_pipeline(file)
    assert ended.returncode == 2
    assert ended.stderr == 'pipeline: parse pipeline: spec: unknown field, did you mean "specs"?\n'
    assert run_pipeline(tmp_path / "missing").returncode == 2


README = (PACKAGE / "README.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_readme(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


def test_pipeline_calls_no_failure_allowed_where_there_was_none(tmp_path):
    file = tmp_path / "pipeline.json"
    file.write_text(
        """{"version": 1, "specs": [
            {"name": "fails", "command": ["false"]},
            {"name": "lint", "command": ["false"], "allow_failure": true},
            {"name": "skipped", "command": ["true"], "after": ["fails"], "allow_failure": true}]}"""
    )
    assert run_pipeline(file).stdout.splitlines()[-3:] == [
        "fails: exit code 1",
        "lint: exit code 1 (allowed)",
        'skipped: skipped: "fails" failed',
    ]
