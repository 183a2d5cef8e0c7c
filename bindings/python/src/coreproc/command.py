"""What to run, and how."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union

from . import _abi
from ._convert import Text, capture_size, duration_ms, json_text, size, text
from ._errors import invalid
from ._handle import Owner
from ._lib import call, lib
from .constants import Group, Stdio
from .process import Process

if TYPE_CHECKING:
    from .service import Service
    from .stop import Stop
    from .subscription import Subscription


@dataclass(frozen=True)
class File:
    """A file for a stream: read by standard input, else truncated or appended to.

    It is opened at each spawn, and nobody is waited for: a FIFO without another end is a
    `SystemFailure` with ENXIO, a file whose lease somebody keeps for a second one with EAGAIN.
    """

    path: Text
    append: bool = False


#: A child of fork() may have inherited a lock that nobody will ever give back. It does without:
#: the library refuses the call before it looks at the command.
_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)


class HasFileno(Protocol):
    """An open file, socket or the like."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


#: What a stream can be: a `Stdio`, a `File`, or a descriptor, which is duplicated.
Stream = Union[Stdio, File, int, HasFileno]


class Command(Owner):
    """A program with its arguments and options. It does not change; it can be spawned again.

    Any thread may use it; spawns of one command come one after another.

    The program is looked up as by a shell: a name with a slash as it is, else in PATH. There is
    no shell, also none for a script without a `#!` line, unlike with execvp: that is a
    `SystemFailure` with ENOEXEC. Text is encoded with `os.fsencode`; None always is the default.

    What asks at the terminal (a password, an editor) needs `group=Group.INHERIT`. In a group of
    its own, which is the default, the kernel stops it as soon as it reads from the terminal or
    changes its settings: it counts as running then, and `wait()` waits for ever.
    """

    __slots__ = ("_lock",)

    def __init__(
        self,
        program: Text,
        *args: Text,
        arg0: Text | None = None,
        cwd: Text | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        env_add: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        search_path: Text | None = None,
        stdin: Stream | None = None,
        stdout: Stream | None = None,
        stderr: Stream | None = None,
        capture: float | None = None,
        group: Group | None = None,
        detach: bool = False,
        spool_max: float | None = None,
        timeout: float | None = None,
        stop: Stop | None = None,
        drain_silence: float | None = None,
        drain_total: float | None = None,
        subscriptions: Iterable[Subscription] = (),
    ) -> None:
        """Says what to run.

        Args:
            program: Its name or path.
            *args: Its arguments.
            arg0: What it sees as its own name, instead of `program`.
            cwd: The directory it starts in.
            env: Its whole environment; None is `os.environ` as it is now. An empty name, as other
                systems' launchers leave it there, is passed on.
            env_add: Added to that.
            search_path: Where to look for the program, instead of the PATH in its environment.
            stdin: Null unless told. A terminal needs `group=Group.INHERIT` as well.
            stdout: A pipe unless told; a spool for a detached command.
            stderr: The same.
            capture: Bytes of output kept, the newest; None is the service's, 0 keeps nothing,
                `math.inf` everything. See `Process.output` for what happens to the rest.
            group: Its own process group unless told. In that of this process SIGHUP, SIGINT and
                SIGQUIT stay ignored if they are ignored here (`nohup`); every other signal starts
                at its default.
            detach: It survives us, in a session of its own.
            spool_max: What a spool may hold; None is 64 MiB.
            timeout: Seconds until it is stopped; None never.
            stop: How it is stopped.
            drain_silence: See `Service`.
            drain_total: See `Service`.
            subscriptions: Those opened with `Subscribe.NAMED` that are to see it.

        Raises:
            InvalidArgument: A value the library does not take; the message names the field.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_command_new, *text(program), ctypes.byref(out))
        super().__init__(out, lib.coreproc_command_free)
        # A coreproc_command is for one thread at a time.
        self._lock = threading.Lock()
        for arg in args:
            self._set("arg", *text(arg))
        for setter, value in (("arg0", arg0), ("cwd", cwd), ("search_path", search_path)):
            if value is not None:
                self._set(setter, *text(value))
        block = _environment(env, env_add)
        self._set("env_whole", block, len(block))
        for number, stream in (
            (_abi.STREAM_STDIN, stdin),
            (_abi.STREAM_STDOUT, stdout),
            (_abi.STREAM_STDERR, stderr),
        ):
            if stream is not None:
                self._set_stream(number, stream)
        self._set("capture", capture_size("command", capture))
        if group is not None:
            self._set("group", group)
        if detach:
            self._set("detach")
        self._set("spool_max", size("command", "spool_max", spool_max))
        self._set("timeout", duration_ms("command", "timeout", timeout))
        if stop is not None:
            self._set("stop_options", ctypes.byref(stop._to_library("command")))
        self._set(
            "drain",
            duration_ms("command", "drain_silence", drain_silence),
            duration_ms("command", "drain_total", drain_total),
        )
        for subscription in subscriptions:
            self._set("subscribe", subscription._handle)

    @classmethod
    def from_json(cls, document: str | bytes | Mapping[str, object]) -> Command:
        """A command from JSON: `{"version": 1, "program": …}`; see `docs/pipeline-json.md`.

        Its environment, unless it says otherwise, is that of the process at each spawn.

        Raises:
            Malformed: The message says where, and what was probably meant.
        """
        encoded = json_text(document)
        out = ctypes.c_void_p()
        call(lib.coreproc_command_from_json, encoded, len(encoded), ctypes.byref(out))
        command = cls.__new__(cls)
        Owner.__init__(command, out, lib.coreproc_command_free)
        command._lock = threading.Lock()
        return command

    def _set(self, setter: str, *values: object) -> None:
        call(getattr(lib, f"coreproc_command_{setter}"), self._handle, *values)

    def _set_stream(self, number: int, stream: Stream) -> None:
        if isinstance(stream, Stdio):
            self._set("stdio", number, stream.value)
        elif isinstance(stream, File):
            if number == _abi.STREAM_STDIN and not stream.append:
                mode = _abi.FILE_READ
            else:
                mode = _abi.FILE_APPEND if stream.append else _abi.FILE_TRUNCATE
            self._set("stdio_file", number, *text(stream.path), mode)
        else:
            self._set("stdio_fd", number, stream if isinstance(stream, int) else stream.fileno())

    def spawn(self, service: Service) -> Process:
        """Starts it under `service`.

        Raises:
            NotFound: The program, its interpreter or the directory does not exist; `stage` says
                which.
            PermissionDenied: The program cannot be executed, or the directory not be entered.
            SystemFailure: `errno` and the message say what; for example ENOEXEC, E2BIG, or ENXIO
                of a FIFO that nobody has opened at its other end.
            Closed: The service is closed.
        """
        out = ctypes.c_void_p()
        with contextlib.nullcontext() if _forked else self._lock:
            call(lib.coreproc_command_spawn, self._handle, service._handle, ctypes.byref(out))
        return Process(out)


def _environment(
    env: Mapping[str, str] | Mapping[bytes, bytes] | None,
    added: Mapping[str, str] | Mapping[bytes, bytes] | None,
) -> bytes:
    """One block of "KEY=VALUE" entries, each ended by a NUL.

    The block cannot express a NUL inside an entry or a "=" inside a key, so they are refused here.
    A whole environment may have an empty key: it may be a copy of `os.environ`, where other
    systems' launchers leave one.
    """
    whole = {**os.environb} if env is None else _encoded(env)
    more = _encoded(added or {})
    if b"" in more:
        raise invalid("command", "env_add", "b'' is no name of a variable")
    return b"".join(b"%b=%b\0" % entry for entry in {**whole, **more}.items())


def _encoded(variables: Mapping[str, str] | Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    encoded = {os.fsencode(key): os.fsencode(value) for key, value in variables.items()}
    for key, value in encoded.items():
        if b"=" in key or b"\0" in key:
            raise invalid("command", "env", f"{key!r} is no name of a variable")
        if b"\0" in value:
            raise invalid("command", "env", f"the value of {key!r} contains a NUL")
    return encoded
