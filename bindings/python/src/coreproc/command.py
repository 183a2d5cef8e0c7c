"""Commands: what to run, and how."""

from __future__ import annotations

import contextlib
import ctypes
import math
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
from .constants import Contain, Descriptor, Group, IoClass, Stdio
from .process import Process
from .terminal import Pty, checked_size

if TYPE_CHECKING:
    from .log import Log
    from .service import Service
    from .stop import Stop
    from .subscription import Subscription


@dataclass(frozen=True)
class File:
    """A file for a stream: standard input reads it, outputs truncate it or append to it.

    It is opened at each spawn, without waiting for other processes: a FIFO without another end is a
    `SystemFailure` with ENXIO; so is a file whose lease is not given up within a second, with
    EAGAIN.
    """

    path: Text
    append: bool = False


#: Whether this is a child of fork(). It may have inherited a lock that no thread will ever release,
#: so it takes none: the library refuses the call before it looks at the command.
_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)


class HasFileno(Protocol):
    """An open file, socket or the like."""

    def fileno(self) -> int:
        """Returns the descriptor."""
        ...


#: The target of a stream: a `Stdio`, a `File`, or a descriptor, which is duplicated.
Stream = Union[Stdio, File, int, HasFileno]

#: What a process finds at a descriptor above standard error.
DescriptorTarget = Union[Descriptor, bytes, bytearray, memoryview, File, int, HasFileno]


def _number(number: int) -> int:
    """Checks the number of a descriptor, which C takes as one without a sign."""
    if not 0 <= number < 2**32:
        raise invalid("command", f"descriptor {number}", "is out of range")
    return number


def _unsigned(field: str, number: int) -> int:
    """Checks a number that C takes as one of 32 bits without a sign."""
    if not 0 <= number < 2**32:
        raise invalid("command", field, f"{number} is out of range")
    return number


def _limit(value: int) -> int:
    """Turns a limit of the kernel's into that of the library: -1 is RLIM_INFINITY."""
    if not -1 <= value < 2**64:
        raise invalid("command", "rlimits", f"{value} is out of range")
    return _abi.UNLIMITED if value == -1 else value


def _thousandths(processors: float) -> int:
    """Makes thousandths of a processor, as C takes them; 0 is no limit there."""
    if math.isinf(processors) and processors > 0:
        return 0
    if not 0.01 <= processors <= 1000:
        raise invalid("command", "cpu_max", f"{processors} is not from 0.01 to 1000 processors")
    return round(processors * 1000)


class Command(Owner):
    """A program with its arguments and options. It is immutable, and can be spawned many times.

    Any thread may use it; spawns of one command come one after another.

    The program is looked up as a shell does: a name with a slash is a path, any other name is
    looked up in PATH. No shell is involved; a script without a `#!` line is a `SystemFailure` with
    ENOEXEC. Text is encoded with `os.fsencode`. None is the default of every option.

    A program that uses the terminal (it asks for a password, it is an editor) needs
    `group=Group.INHERIT`. In a group of its own, which is the default, the kernel stops it as soon
    as it reads from the terminal or changes its settings: it counts as running then, and `wait()`
    waits for ever.
    """

    __slots__ = ("_lock",)

    def __init__(
        self,
        program: Text,
        *args: Text,
        arg0: Text | None = None,
        cwd: Text | int | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        env_add: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        search_path: Text | None = None,
        stdin: Stream | None = None,
        input: bytes | bytearray | memoryview | None = None,  # noqa: A002 - as in subprocess
        stdout: Stream | None = None,
        stderr: Stream | None = None,
        descriptors: Mapping[int, DescriptorTarget] | None = None,
        pass_fds: Iterable[int] = (),
        listen_fds: Mapping[str, int | HasFileno] | None = None,
        capture: float | None = None,
        capture_head: int = 0,
        capture_lines: int = 0,
        capture_apart: bool = False,
        pty: Pty | bool = False,
        foreground: int | HasFileno | None = None,
        group: Group | str | int | None = None,
        contain: Contain | None = None,
        memory_max: float | None = None,
        processes_max: float | None = None,
        cpu_max: float | None = None,
        start_new_session: bool = False,
        detach: bool = False,
        spool_max: float | None = None,
        timeout: float | None = None,
        start_timeout: float | None = None,
        silence_timeout: float | None = None,
        cpu_time_limit: float | None = None,
        output_limit: float | None = None,
        report_stops: float | bool = False,
        stop: Stop | None = None,
        drain_silence: float | None = None,
        drain_total: float | None = None,
        user: str | int | None = None,
        extra_groups: Iterable[str | int] | None = None,
        umask: int | None = None,
        no_new_privileges: bool = False,
        drop_capabilities: Iterable[str] = (),
        keep_ignored: Iterable[int] = (),
        rlimits: Mapping[int, int | tuple[int, int]] | None = None,
        nice: int | None = None,
        scheduling: int | tuple[int, int] | None = None,
        io_priority: IoClass | tuple[IoClass, int] | None = None,
        cpu_affinity: Iterable[int] | None = None,
        oom_score: int | None = None,
        die_with_host: int | None = None,
        subscriptions: Iterable[Subscription] = (),
        logs: Iterable[Log] = (),
    ) -> None:
        """Makes a command; starts nothing.

        Args:
            program: The name or path of the program.
            *args: Its arguments.
            arg0: The name that the program sees as its own, instead of `program`.
            cwd: The directory that it starts in, as a path or as a descriptor.
            env: Its whole environment; None is `os.environ` as it is now. A variable with an empty
                name, as launchers of other systems leave one, is passed on.
            env_add: Variables to add to the environment.
            search_path: Directories to look the program up in, instead of the PATH in its
                environment.
            stdin: The source of its standard input; None is `Stdio.NULL`. A terminal needs
                `group=Group.INHERIT` as well.
            input: The bytes of its standard input, of any number, and then the end; instead of
                `stdin`. They are written as it reads them. A process that does not read them all is
                no error; `Info.unwritten_bytes` counts what its pipe did not take.
            stdout: The target of its standard output; None is a pipe, or, for a detached command, a
                spool.
            stderr: The target of its standard error; None is the same as for `stdout`.
            descriptors: What it finds at descriptors from 3 to 1023: a `Descriptor` (a pipe for
                `Process.write_descriptor` or `Process.captured`), bytes (a pipe with
                them), a `File` (read unless it says `append`), or a descriptor of this process,
                which is duplicated.
            pass_fds: Descriptors of this process that it gets at the same numbers.
            listen_fds: Sockets by name, passed at 3 and the following numbers in the way of
                systemd's socket activation, with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID.
            capture: The bytes of output to keep, the newest ones; None is the service's size, 0
                keeps nothing, `math.inf` everything. `Process.output` says more.
            capture_head: The first bytes of output to keep besides, for `Process.captured`.
            capture_lines: The last lines of output to keep, as far as their bytes are; 0 is any
                number.
            capture_apart: Whether standard output and standard error are kept apart, each in a
                capture of these sizes, for `Process.captured`.
            pty: A pseudo-terminal of its own, as its controlling terminal: a `Pty`, or True for one
                of 80 columns and 24 rows. Each stream that is not given is on it; what it shows
                arrives as standard output, or else as standard error, or else as descriptor 0.
                `Process.write` types at it, `Process.close_stdin` types the end of input (Ctrl-D),
                and `Process.resize` changes its size.
            foreground: The controlling terminal of this process, usually an open `/dev/tty`: the
                process has the foreground of it while it runs, as a job of a shell has, until it
                ends or is stopped. Its streams are to be set to `Stdio.INHERIT` as well.
                `Process.foreground` lets it go on after a stop. The spawn fails with
                `InvalidState` if this process is not in the foreground itself. Not together with
                `pty`, `detach` or a `Group` other than `Group.OWN`.
            group: Its process group; None is a group of its own. In the group of this process
                SIGHUP, SIGINT and SIGQUIT stay ignored if they are ignored here (`nohup`); every
                other signal starts at its default. Or, as in `subprocess`, a name or a number: the
                primary group that it runs with.
            start_new_session: Whether it gets a session of its own: `Group.SESSION`.
            contain: By what means it is held together with all that it starts; None is its group.
                With any other, `Scope.DEFAULT` of kill and stop is `Scope.TREE`.
            memory_max: The bytes of memory that all its processes may have together. This and the
                next two need a cgroup whose controllers can be enabled, or the spawn is
                `Unsupported`; None and `math.inf` are no limit.
            processes_max: How many processes and threads it may have at once.
            cpu_max: How many processors it may use: 0.5 is half of one.
            detach: Whether it outlives this process, in a session of its own.
            spool_max: The bytes that may wait in a spool; None is 64 MiB.
            timeout: The seconds until it is stopped; None never stops it.
            start_timeout: The seconds in which it has to write its first byte, to any output that
                the library reads. This and each of the deadlines that follow stops it as `stop`
                says, and is its `Info.cause`; None is no limit.
            silence_timeout: The seconds for which it may write nothing, from its first output on if
                there is a `start_timeout`. Time in which a full queue keeps the library from
                reading does not count.
            cpu_time_limit: The seconds of CPU time for it and the children that it has waited for.
            output_limit: The bytes that it may write to the outputs that the library reads.
            report_stops: Whether it is told when a signal stops it and when it runs on, by
                `EventKind.STOPPED` and `CONTINUED` and as `Info.stopped`. A number is the seconds
                between two looks, of which True is 0.1; `math.inf` looks only when
                `Process.look_for_stops` asks.
            stop: How to stop it.
            drain_silence: As for `Service`.
            drain_total: As for `Service`.
            user: The user that it runs as, by name or number, with the groups of that user unless
                `group` and `extra_groups` say otherwise. What is given up cannot be regained.
            extra_groups: Its supplementary groups, by name or number, and no others.
            umask: Its file mode creation mask.
            no_new_privileges: Whether no exec may give it more than it has (set-user-ID programs).
            drop_capabilities: Capabilities that it loses for good, such as "cap_net_raw", or "all".
                This needs CAP_SETPCAP, or `no_new_privileges` as well.
            keep_ignored: Signals that stay ignored if this process ignores them.
            rlimits: Limits by `resource.RLIMIT_…`: the soft and the hard one, or one number for
                both; `resource.RLIM_INFINITY` for none.
            nice: Its nice value, from -20 to 19.
            scheduling: Its policy: `os.SCHED_BATCH`, …, or `(os.SCHED_FIFO, priority)`.
            io_priority: Its priority of reads and writes of disks: `IoClass.IDLE`, or
                `(IoClass.BEST_EFFORT, level)` with a level from 0, the best, to 7.
            cpu_affinity: The processors that it may run on.
            oom_score: How likely the kernel kills it when memory runs out, from -1000 to 1000.
            die_with_host: The signal that it gets when this process dies; `signal.SIGKILL` ends it
                for sure. Not together with `detach`.
            subscriptions: The subscriptions of `Subscribe.NAMED` that get its events.
            logs: The logs of its service that its output is written to.

        Raises:
            InvalidArgument: The library does not take a value; the message names the field.
        """
        out = ctypes.c_void_p()
        call(lib.coreproc_command_new, *text(program), ctypes.byref(out))
        super().__init__(out, lib.coreproc_command_free)
        # A coreproc_command is for one thread at a time.
        self._lock = threading.Lock()
        for arg in args:
            self._set("arg", *text(arg))
        if isinstance(cwd, int):
            self._set("cwd_fd", cwd)
            cwd = None
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
        if input is not None:
            if stdin is not None:
                raise invalid("command", "input", "stands beside stdin; only one can be given")
            content = bytes(input)
            self._set("stdin_data", content, len(content))
        for number, target in (descriptors or {}).items():
            self._set_descriptor(number, target)
        for number in pass_fds:
            self._set("descriptor_fd", _number(number), number)
        for name, socket in (listen_fds or {}).items():
            fd = socket if isinstance(socket, int) else socket.fileno()
            self._set("listen_fd", fd, *text(name))
        self._set("capture", capture_size("command", capture))
        self._set("capture_head", capture_head)
        self._set("capture_lines", capture_lines)
        if capture_apart:
            self._set("capture_apart")
        if pty:
            terminal = pty if isinstance(pty, Pty) else Pty()
            columns, rows = checked_size("command", terminal.columns, terminal.rows)
            self._set("pty", columns, rows, terminal.mode)
        if foreground is not None:
            fd = foreground if isinstance(foreground, int) else foreground.fileno()
            self._set("foreground", fd)
        if start_new_session:
            if isinstance(group, Group):
                raise invalid("command", "start_new_session", "stands beside group")
            self._set("group", Group.SESSION)
        if isinstance(group, Group):
            self._set("group", group)
        elif group is not None:
            self._set("primary_group", *text(str(group)))
        self._set_credentials(user, extra_groups, umask, drop_capabilities, keep_ignored)
        if die_with_host is not None:
            self._set("die_with_host", die_with_host)
        if no_new_privileges:
            self._set("no_new_privileges")
        for number, limit in (rlimits or {}).items():
            soft, hard = limit if isinstance(limit, tuple) else (limit, limit)
            self._set("resource_limit", _unsigned("rlimits", number), _limit(soft), _limit(hard))
        self._set_priorities(nice, scheduling, io_priority, cpu_affinity, oom_score)
        if contain is not None:
            self._set("contain", contain)
        if memory_max is not None:
            self._set("memory_max", size("command", "memory_max", memory_max))
        if processes_max is not None:
            self._set("processes_max", size("command", "processes_max", processes_max))
        if cpu_max is not None:
            self._set("cpu_max", _thousandths(cpu_max))
        if detach:
            self._set("detach")
        self._set("spool_max", size("command", "spool_max", spool_max))
        self._set("timeout", duration_ms("command", "timeout", timeout))
        for name, seconds in (
            ("start_timeout", start_timeout),
            ("silence_timeout", silence_timeout),
            ("cpu_time_limit", cpu_time_limit),
        ):
            if seconds is not None:
                self._set(name, duration_ms("command", name, seconds))
        if output_limit is not None:
            self._set("output_limit", size("command", "output_limit", output_limit))
        if report_stops is not False:
            interval = None if report_stops is True else report_stops
            self._set("report_stops", duration_ms("command", "report_stops", interval))
        if stop is not None:
            self._set("stop_options", ctypes.byref(stop._to_library("command")))
        self._set(
            "drain",
            duration_ms("command", "drain_silence", drain_silence),
            duration_ms("command", "drain_total", drain_total),
        )
        for subscription in subscriptions:
            self._set("subscribe", subscription._handle)
        for log in logs:
            self._set("log", log._handle, 0)

    @classmethod
    def from_json(cls, document: str | bytes | Mapping[str, object]) -> Command:
        """Makes a command from JSON: `{"version": 1, "program": …}`; see `docs/pipeline-json.md`.

        Unless it says otherwise its environment is that of this process at each spawn.

        Raises:
            Malformed: It is no command; the message says where, and what was probably meant.
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

    def _set_credentials(
        self,
        user: str | int | None,
        extra_groups: Iterable[str | int] | None,
        umask: int | None,
        drop_capabilities: Iterable[str],
        keep_ignored: Iterable[int],
    ) -> None:
        if user is not None:
            self._set("user", *text(str(user)))
        if extra_groups is not None:
            groups = [str(group) for group in extra_groups]
            if any("," in group for group in groups):
                raise invalid("command", "extra_groups", "no name of a group has a comma")
            self._set("supplementary_groups", *text(",".join(groups)))
        if umask is not None:
            self._set("umask", _unsigned("umask", umask))
        names = ",".join(drop_capabilities)
        if names:
            self._set("drop_capabilities", *text(names))
        for signal in keep_ignored:
            self._set("keep_ignored", signal)

    def _set_priorities(
        self,
        nice: int | None,
        scheduling: int | tuple[int, int] | None,
        io_priority: IoClass | tuple[IoClass, int] | None,
        cpu_affinity: Iterable[int] | None,
        oom_score: int | None,
    ) -> None:
        if nice is not None:
            self._set("nice", nice)
        if scheduling is not None:
            policy, priority = scheduling if isinstance(scheduling, tuple) else (scheduling, 0)
            values = (_unsigned("scheduling", value) for value in (policy, priority))
            self._set("scheduling", *values)
        if io_priority is not None:
            level = io_priority[1] if isinstance(io_priority, tuple) else 0
            kind = io_priority[0] if isinstance(io_priority, tuple) else io_priority
            self._set("io_priority", kind, _unsigned("io_priority", level))
        if cpu_affinity is not None:
            cpus = [_unsigned("cpu_affinity", cpu) for cpu in cpu_affinity]
            self._set("cpu_affinity", (ctypes.c_uint32 * len(cpus))(*cpus), len(cpus))
        if oom_score is not None:
            self._set("oom_score", oom_score)

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

    def _set_descriptor(self, number: int, target: DescriptorTarget) -> None:
        number = _number(number)
        if isinstance(target, Descriptor):
            self._set("descriptor", number, target.value)
        elif isinstance(target, (bytes, bytearray, memoryview)):
            content = bytes(target)
            self._set("descriptor_data", number, content, len(content))
        elif isinstance(target, File):
            mode = _abi.FILE_APPEND if target.append else _abi.FILE_READ
            self._set("descriptor_file", number, *text(target.path), mode)
        else:
            fd = target if isinstance(target, int) else target.fileno()
            self._set("descriptor_fd", number, fd)

    def spawn(self, service: Service) -> Process:
        """Starts it in `service`.

        Raises:
            NotFound: The program, its interpreter or the directory does not exist; `stage` says
                which.
            PermissionDenied: The program cannot be executed, or the directory cannot be entered.
            SystemFailure: Another system call failed, as `errno` and the message say: ENOEXEC,
                E2BIG, or ENXIO for a FIFO that has no other end.
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
    """Makes one block of "KEY=VALUE" entries, each ended by a NUL.

    Refuses a NUL in an entry, and a "=" in a key, which the block cannot express. A whole
    environment may have an empty key: it may be a copy of `os.environ`, where launchers of other
    systems leave one.
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
