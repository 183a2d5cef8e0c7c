"""As whom a command runs and what it may use."""

import os
import resource
import signal
import subprocess
import sys

import pytest
from conftest import PACKAGE, run, shell

import coreproc
from coreproc import Command, Group, InvalidArgument, IoClass

is_root = os.geteuid() == 0
STATUS = (
    "import os, resource, sys; print(os.getresuid(), os.getresgid(), os.getgroups(), os.umask(0),"
    "resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)[0],"
    "os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0)),"
    "open('/proc/self/oom_score_adj').read().strip())"
)


def test_limits_and_priorities_are_those_of_the_child(service):
    command = Command(
        "/usr/bin/env",
        "python3",
        "-I",
        "-S",
        "-c",
        STATUS,
        umask=0o31,
        rlimits={resource.RLIMIT_NOFILE: (20, 30), resource.RLIMIT_CORE: 0},
        nice=19,
        scheduling=os.SCHED_BATCH,
        io_priority=(IoClass.BEST_EFFORT, 7),
        cpu_affinity=[min(os.sched_getaffinity(0))],
        oom_score=1000,
    )
    info, output = run(command, service)
    assert info.ok
    first = min(os.sched_getaffinity(0))
    ids = f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"
    expected = f"{ids} 25 (20, 30) 0 19 3 [{first}] 1000"
    assert output.decode().strip() == expected


def test_infinity_is_no_limit(service):
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("this process has a limit of its own")
    rlimits = {resource.RLIMIT_FSIZE: resource.RLIM_INFINITY}
    assert run(shell("ulimit -f", rlimits=rlimits), service)[1] == b"unlimited\n"


@pytest.mark.skipif(not is_root, reason="only root can become another user")
def test_a_user_is_what_subprocess_makes_it(service):
    """The words are those of subprocess, and so is what the child finds."""
    options = {"user": "nobody", "group": "daemon", "extra_groups": ["adm", 2], "umask": 0o27}
    script = "id; umask; grep -E 'Cap(Prm|Eff)' /proc/self/status"
    command = Command("sh", "-c", script, **options)
    theirs = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, **options)
    assert run(command, service)[1] == theirs.stdout
    # Without groups of its own it has those of the database, not those of root.
    said = run(shell("id -u; id -G", user=65534), service)[1]
    expected = subprocess.run(["id", "-G", "nobody"], stdout=subprocess.PIPE, check=True).stdout
    assert said == b"65534\n" + expected
    said = run(
        shell("grep -E 'CapBnd|NoNew' /proc/self/status", drop_capabilities=["all"]), service
    )[1]
    assert said == b"CapBnd:\t0000000000000000\nNoNewPrivs:\t0\n"


def test_no_new_privileges_and_a_directory_by_descriptor(service, tmp_path):
    directory = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    command = shell("pwd; grep NoNew /proc/self/status", cwd=directory, no_new_privileges=True)
    os.close(directory)
    assert run(command, service)[1].decode() == f"{tmp_path}\nNoNewPrivs:\t1\n"


def test_signals_that_are_ignored_here_stay_ignored(service):
    # Python ignores SIGPIPE.
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    for keep, ignored in (((), 0), ((signal.SIGPIPE, signal.SIGUSR1), 1 << signal.SIGPIPE - 1)):
        said = run(Command("grep", "SigIgn", "/proc/self/status", keep_ignored=keep), service)[1]
        assert int(said.split()[1], 16) == ignored


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"user": ""}, "user"),
        ({"user": 2**32 - 1}, "user"),
        ({"group": ""}, "primary group"),
        ({"extra_groups": ["adm", ""]}, "supplementary groups"),
        ({"extra_groups": ["adm,daemon"]}, "extra_groups"),
        ({"umask": 0o1000}, "umask"),
        ({"umask": -1}, "umask"),
        ({"drop_capabilities": ["cap_fly"]}, "capabilities"),
        ({"keep_ignored": [signal.SIGKILL]}, "signals"),
        ({"rlimits": {99: 1}}, "resource"),
        ({"rlimits": {resource.RLIMIT_CORE: (2, 1)}}, "limit core"),
        ({"rlimits": {resource.RLIMIT_CORE: -2}}, "rlimits"),
        ({"nice": 20}, "nice"),
        ({"scheduling": 77}, "policy"),
        ({"scheduling": (os.SCHED_FIFO, 100)}, "scheduling"),
        ({"io_priority": (IoClass.BEST_EFFORT, 8)}, "io priority"),
        ({"cpu_affinity": []}, "cpu affinity"),
        ({"cpu_affinity": [-1]}, "cpu_affinity"),
        ({"oom_score": 1001}, "oom score"),
    ],
)
def test_mistakes_name_the_option(options, field):
    with pytest.raises(InvalidArgument, match=field):
        Command("true", **options)


def test_who_is_not_known_is_told_by_the_spawn(service):
    for options, stage in (
        ({"user": "no such user"}, "user"),
        ({"group": "no such group"}, "primary group"),
        ({"extra_groups": ["no such group"]}, "supplementary groups"),
    ):
        with pytest.raises(coreproc.NotFound) as caught:
            Command("true", **options).spawn(service)
        assert caught.value.stage == stage
    assert run(Command("true", group=Group.OWN), service)[0].ok


def test_a_process_dies_with_its_host():
    """No line comes for it to read, so only the signal can end it."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import coreproc; from coreproc import *\n"
        "command = Command('sh', '-c', 'echo up; read line', stdin=Stdio.INHERIT,"
        " stdout=Stdio.INHERIT, die_with_host=9)\n"
        "process = command.spawn(coreproc.Service()); process.wait()"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", script, str(PACKAGE / "src")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with host:
        assert host.stdout.readline() == b"up\n"
        host.kill()
        # The process was the last to have the other end.
        assert host.stdout.read() == b""


def test_a_process_cannot_both_die_with_its_host_and_outlive_it(service):
    with pytest.raises(InvalidArgument, match="die with host"):
        Command("true", die_with_host=9, detach=True).spawn(service)
    with pytest.raises(InvalidArgument, match="die with host"):
        Command("true", die_with_host=65)
    assert run(Command("true", die_with_host=9), service)[0].ok
