"""Errors name the operation, the stage and the reason, and have the expected Python type."""

import errno
import pickle

import pytest
from conftest import GUARD, run

import coreproc
from coreproc import Command, Result, Stdio


def failure(command, service):
    with pytest.raises(coreproc.CoreprocError) as caught:
        command.spawn(service)
    assert service.count() == 0
    error = caught.value
    assert error.operation == "spawn"
    assert str(error).startswith('spawn "')
    return error


def executable(path, content):
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_unknown_program(service):
    error = failure(Command("coreproc-no-such-program"), service)
    assert isinstance(error, coreproc.NotFound)
    assert isinstance(error, FileNotFoundError)
    assert (error.result, error.stage, error.errno) == (Result.NOT_FOUND, "lookup", errno.ENOENT)
    assert 'spawn "coreproc-no-such-program": lookup: ' in str(error)


def test_program_that_may_not_be_executed(service, tmp_path):
    path = tmp_path / "plain"
    path.write_text("#!/bin/sh\n")
    error = failure(Command(path), service)
    assert isinstance(error, coreproc.PermissionDenied)
    assert isinstance(error, PermissionError)
    assert (error.stage, error.errno) == ("exec", errno.EACCES)


def test_program_in_no_format(service, tmp_path):
    error = failure(Command(executable(tmp_path / "x", b"\0\1\2\3")), service)
    assert isinstance(error, coreproc.SystemFailure)
    assert isinstance(error, OSError)
    assert (error.stage, error.errno) == ("exec", errno.ENOEXEC)
    assert error.strerror == "Exec format error"


def test_interpreter_missing(service, tmp_path):
    error = failure(Command(executable(tmp_path / "x", b"#!/no/such/interpreter\n")), service)
    assert isinstance(error, coreproc.NotFound)
    assert (error.stage, error.errno) == ("interpreter", errno.ENOENT)


def test_directory_missing(service, tmp_path):
    error = failure(Command("true", cwd=tmp_path / "missing"), service)
    assert isinstance(error, coreproc.NotFound)
    assert (error.stage, error.errno) == ("chdir", errno.ENOENT)


def test_too_many_arguments(service):
    error = failure(Command("true", *["x" * 100_000] * 100), service)
    assert (error.stage, error.errno) == ("exec", errno.E2BIG)


def test_stdin_file_missing(service, tmp_path):
    error = failure(Command("cat", stdin=coreproc.File(tmp_path / "missing")), service)
    assert isinstance(error, OSError)
    assert (error.stage, error.errno) == ("stdin", errno.ENOENT)


@pytest.mark.parametrize(
    ("arguments", "options", "field"),
    [
        ([""], {}, "program"),
        (["a\0b"], {}, "program"),
        (["true", "a\0b"], {}, "arg"),
        (["true"], {"arg0": "a\0b"}, r"argv\[0\]"),
        (["true"], {"cwd": "a\0b"}, "cwd"),
        (["true"], {"search_path": "a\0b"}, "search path"),
        (["true"], {"stdin": coreproc.File("a\0b")}, "stdin|path"),
        (["true"], {"stdout": Stdio.MERGE}, "stdout|mode"),
        (["true"], {"stdin": Stdio.SPOOL}, "stdin|mode"),
        (["true"], {"group": ""}, "group"),
    ],
)
def test_invalid_argument_names_the_field(service, arguments, options, field):
    with pytest.raises(coreproc.InvalidArgument, match=field) as caught:
        Command(*arguments, **options).spawn(service)
    assert isinstance(caught.value, ValueError)
    assert caught.value.result is Result.INVALID_ARGUMENT
    assert service.count() == 0


def test_wrong_types_are_type_errors():
    for arguments in ([1], ["true", 2], [None]):
        with pytest.raises(TypeError):
            Command(*arguments)
    with pytest.raises(AttributeError):
        Command("true", stdin="a path is given as File(path)")
    with pytest.raises(AttributeError):
        Command("true").spawn(None)


def test_stdin_of_a_command_without_a_pipe(service, gate):
    process = Command("cat", stdin=gate.fd).spawn(service)
    with pytest.raises(coreproc.StdinClosed) as caught:
        process.write(b"x")
    assert isinstance(caught.value, BrokenPipeError)
    gate.open()
    assert process.wait(GUARD).ok


def test_invalid_signal(service):
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    with pytest.raises(coreproc.InvalidArgument):
        process.signal(4711)
    process.close_stdin()
    assert process.wait(GUARD).ok


def test_errors_can_be_pickled(service):
    error = failure(Command("coreproc-no-such-program"), service)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert copy.errno == error.errno == errno.ENOENT


def test_failures_do_no_harm(service):
    for _ in range(50):
        failure(Command("coreproc-no-such-program"), service)
    assert run(Command("echo", "well"), service)[1] == b"well\n"
