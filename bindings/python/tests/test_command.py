"""The options of a command reach the program, and its output reaches us."""

import errno
import math
import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import GUARD, python, run, shell, until

import coreproc
from coreproc import Command, File, Group, InvalidArgument, Stdio

ALL_BYTES = bytes(range(256))
WRITE_ALL_BYTES = "import sys; sys.stdout.buffer.write(bytes(range(256)) * int(sys.argv[1]))"
PRINT_ARGS = (
    "import os, sys; sys.stdout.buffer.write(b'\\0'.join(os.fsencode(a) for a in sys.argv[1:]))"
)
PRINT_ENV = (
    "import os, sys; "
    "sys.stdout.buffer.write(b'\\0'.join(k + b'=' + v for k, v in os.environb.items()))"
)


@pytest.mark.parametrize("repeats", [0, 1, 4096])
def test_output_is_byte_exact(service, repeats):
    info, output = run(python(WRITE_ALL_BYTES, str(repeats)), service)
    assert output == ALL_BYTES * repeats
    assert info.ok
    assert info.stdout_bytes == len(output)
    assert info.stderr_bytes == 0


def test_arguments_arrive_as_bytes(service):
    args = ["", " ", "a b", "'\"$*", "é", b"\xff\xfe", Path("/tmp/x"), "-", "\n"]
    _, output = run(python(PRINT_ARGS, *args), service)
    assert output.split(b"\0") == [os.fsencode(arg) for arg in args]


def test_arg0_is_what_the_program_sees(service):
    _, output = run(Command("sh", "-c", "echo $0", arg0="other"), service)
    assert output == b"other\n"


@pytest.mark.parametrize("as_type", [str, os.fsencode, Path])
def test_cwd(service, tmp_path, as_type):
    _, output = run(Command("pwd", "-P", cwd=as_type(str(tmp_path))), service)
    assert output == os.fsencode(tmp_path.resolve()) + b"\n"


def test_environment_is_that_of_python(service, monkeypatch):
    monkeypatch.setenv("COREPROC_TEST", "from os.environ")
    monkeypatch.setenv("COREPROC_TEST_BYTES", os.fsdecode(b"\xff\xfe"))
    monkeypatch.delenv("HOME", raising=False)
    _, output = run(Command("env", "-0"), service)
    entries = set(output.split(b"\0")) - {b""}
    assert entries == {key + b"=" + value for key, value in os.environb.items()}


def test_environment_given_whole(service):
    _, output = run(Command("/usr/bin/env", "-0", env={"A": "1", "B": "x=y", "C": ""}), service)
    assert sorted(output.split(b"\0")) == [b"", b"A=1", b"B=x=y", b"C="]


def test_environment_added_to(service, monkeypatch):
    monkeypatch.setenv("COREPROC_TEST", "old")
    command = shell(
        'echo "$COREPROC_TEST $MORE"', env_add={b"COREPROC_TEST": b"new", b"MORE": b"1"}
    )
    assert run(command, service)[1] == b"new 1\n"


def test_environment_can_be_empty(service):
    _, output = run(Command("/usr/bin/env", env={}), service)
    assert output == b""


def test_a_script_without_an_interpreter_says_that_there_is_no_shell_for_it(service, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo no\n")
    script.chmod(0o755)
    with pytest.raises(coreproc.SystemFailure, match="no #! line") as caught:
        Command(script).spawn(service)
    assert caught.value.errno == errno.ENOEXEC


def test_a_fifo_without_another_end_does_not_block(service, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for options, end in (
        ({"stdin": File(fifo)}, "writing"),
        ({"stdout": File(fifo)}, "reading"),
        ({"stderr": File(fifo, append=True)}, "reading"),
    ):
        with pytest.raises(coreproc.SystemFailure, match=f"nobody has opened for {end}") as caught:
            Command("true", **options).spawn(service)
        assert caught.value.errno == errno.ENXIO


@pytest.mark.parametrize("env", [{"A=B": "x"}, {"A\0B": "x"}, {"A": "x\0B=y"}], ids=repr)
def test_environment_that_cannot_be_is_refused(env):
    with pytest.raises(InvalidArgument, match="env"):
        Command("true", env=env)
    with pytest.raises(InvalidArgument, match="env"):
        Command("true", env_add=env)


def test_a_variable_with_an_empty_name_cannot_be_added():
    with pytest.raises(InvalidArgument, match="env_add"):
        Command("true", env_add={"": "x"})


SPAWN_WITH_WHAT_THERE_IS = """
import os, sys
from coreproc import Command, Service
assert os.environb[b""] == b"::=::\\\\", os.environb
with Service() as service:
    for options in ({}, {"env_add": {"A": "1"}}, {"env": {**os.environ}}):
        process = Command("/usr/bin/env", "-0", **options).spawn(service)
        process.wait()
        entries = process.output().split(b"\\0")
        assert b"=::=::\\\\" in entries, (options, entries)
print("done")
"""


def test_a_host_whose_environment_has_an_empty_name_spawns(service):
    # Launchers of other systems leave such a variable. Python itself cannot make one.
    env = {**os.environb, b"PYTHONPATH": os.fsencode(os.pathsep.join(sys.path)), b"": b"::=::\\"}
    process = Command(sys.executable, "-c", SPAWN_WITH_WHAT_THERE_IS, env=env).spawn(service)
    info = process.wait(GUARD)
    assert (info.exit_code, process.output()) == (0, b"done\n")


def test_search_path(service, tmp_path):
    program = tmp_path / "coreproc-test-program"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    command = Command(program.name, search_path=tmp_path)
    assert run(command, service)[1] == b"found\n"


def test_streams_merged_keep_their_order(service):
    script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done"
    info, output = run(shell(script, stderr=Stdio.MERGE), service)
    assert output == b"out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"
    assert info.stdout_bytes == len(output)


def test_streams_apart_are_counted_apart(service):
    info, output = run(shell("printf abc; printf de >&2"), service)
    assert sorted(output) == sorted(b"abcde")
    assert (info.stdout_bytes, info.stderr_bytes) == (3, 2)


def test_stream_to_null(service):
    info, output = run(shell("echo out; echo err >&2", stdout=Stdio.NULL), service)
    assert output == b"err\n"
    assert info.stdout_bytes == 0


def test_stdin_is_null_unless_told(service):
    info, output = run(Command("cat"), service)
    assert info.ok
    assert output == b""


def test_files(service, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(ALL_BYTES)
    target.write_bytes(b"old")
    run(Command("cat", stdin=File(source), stdout=File(target)), service)
    assert target.read_bytes() == ALL_BYTES
    run(Command("echo", "more", stdout=File(target, append=True)), service)
    assert target.read_bytes() == ALL_BYTES + b"more\n"


def test_file_to_append_to_is_no_stdin(service, tmp_path):
    with pytest.raises(InvalidArgument):
        Command("cat", stdin=File(tmp_path / "x", append=True)).spawn(service)


def test_descriptors_are_duplicated(service, tmp_path):
    path = tmp_path / "output"
    with path.open("wb") as file:
        commands = [
            Command("echo", "object", stdout=file),
            Command("echo", "fd", stdout=file.fileno()),
        ]
    for command in commands:
        run(command, service)
    assert path.read_bytes() == b"object\nfd\n"


def test_bad_descriptor_is_refused():
    with pytest.raises(coreproc.CoreprocError):
        Command("true", stdout=-1)


def test_capture_keeps_the_newest(service):
    info, output = run(shell("printf 0123456789", capture=4), service)
    assert output == b"6789"
    assert info.dropped_bytes == 6


def test_output_that_lost_its_start_says_so(service):
    process = python(WRITE_ALL_BYTES, str(4097)).spawn(service)
    assert process.wait(GUARD).dropped_bytes == 256
    with pytest.warns(coreproc.OutputDropped, match="capture="):
        output = process.output()
    assert output == ALL_BYTES * 4096


def test_output_of_just_what_the_capture_keeps_is_whole_and_gives_no_warning(service):
    info, output = run(python(WRITE_ALL_BYTES, str(4096)), service)
    assert (info.dropped_bytes, len(output)) == (0, 1024 * 1024)


def test_output_of_a_capture_whose_size_was_chosen_gives_no_warning(service):
    info, output = run(python(WRITE_ALL_BYTES, "5", capture=1000), service)
    assert (info.dropped_bytes, len(output)) == (280, 1000)


def test_capture_of_nothing(service):
    info, output = run(shell("printf 0123456789", capture=0), service)
    assert output == b""
    assert info.stdout_bytes == 10
    assert info.dropped_bytes == 10


def test_capture_without_a_limit_keeps_everything(service):
    script = "print('x' * 3_000_000, end='')"
    info, output = run(python(script, capture=math.inf), service)
    assert output == b"x" * 3_000_000
    assert info.dropped_bytes == 0


def test_service_whose_capture_has_no_limit_keeps_everything():
    with coreproc.Service(capture=math.inf) as large:
        assert run(python("print('x' * 3_000_000, end='')"), large)[1] == b"x" * 3_000_000


def test_service_that_captures_nothing():
    with coreproc.Service(capture=0) as none:
        info, output = run(shell("printf 0123456789"), none)
    assert output == b""
    assert info.stdout_bytes == 10


def test_capture_default_of_the_service():
    with coreproc.Service(capture=3) as small:
        assert run(shell("printf 0123456789"), small)[1] == b"789"


def test_command_can_be_spawned_again(service):
    command = Command("echo", "again")
    processes = [command.spawn(service) for _ in range(5)]
    assert [process.wait(GUARD).ok for process in processes] == [True] * 5
    assert [process.output() for process in processes] == [b"again\n"] * 5
    assert [process.id for process in processes] == [1, 2, 3, 4, 5]


def test_group(service):
    script = "import os; print(os.getpgrp() == os.getpid())"
    assert run(python(script), service)[1] == b"True\n"
    script = "import os, sys; print(os.getpgrp() == int(sys.argv[1]))"
    command = python(script, str(os.getpgrp()), group=Group.INHERIT)
    assert run(command, service)[1] == b"True\n"


def test_detached_command_has_its_own_session_and_a_spool(service):
    script = "import os; print(os.getsid(0) == os.getpid())"
    info, output = run(python(script, detach=True), service)
    assert output == b"True\n"
    assert info.ok


def test_signals_are_default_and_unblocked_in_the_child(service):
    # Python ignores SIGPIPE; a child that inherited that would behave differently from a shell's.
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
    _, output = run(Command("sh", "-c", script), service)
    assert {int(line.split()[1], 16) for line in output.splitlines()} == {0}


def test_child_gets_no_other_descriptor(service, tmp_path):
    with (tmp_path / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        _, output = run(Command("ls", "/proc/self/fd"), service)
    # 3 is the directory that ls reads.
    assert output.split() == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"start_timeout": 0},
        {"silence_timeout": -1},
        {"cpu_time_limit": float("nan")},
        {"output_limit": 0},
        {"output_limit": 1.5},
        {"capture": -1},
        {"capture": 1.5},
        {"spool_max": 0},
        {"drain_silence": 0},
        {"stop": coreproc.Stop(grace=0)},
        {"stop": coreproc.Stop(signal=-1)},
    ],
    ids=repr,
)
def test_value_out_of_range_is_refused(options):
    with pytest.raises(InvalidArgument, match=next(iter(options)) + "|grace|signal"):
        Command("true", **options)


def test_no_limit_is_infinity(service):
    command = Command(
        sys.executable,
        "-c",
        "print('x' * 3_000_000, end='')",
        timeout=float("inf"),
        stop=coreproc.Stop(grace=float("inf")),
        drain_total=float("inf"),
        capture=math.inf,
    )
    assert run(command, service)[1] == b"x" * 3_000_000


def test_spool_that_its_child_empties_is_read_from_its_start(service, gate):
    script = 'echo a-long-first-line; read line < "$1"; echo two > /dev/stdout; echo three'
    process = shell(script, gate.path, stdout=Stdio.SPOOL).spawn(service)
    until(lambda: process.output() == b"a-long-first-line\n")
    gate.open()
    info = process.wait(GUARD)
    assert process.output() == b"a-long-first-line\ntwo\nthree\n"
    assert info.discarded_bytes == 0
