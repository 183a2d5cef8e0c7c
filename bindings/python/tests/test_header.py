"""The numbers and layouts of the package are those of the C header."""

import ctypes
import enum
import re
import struct
import subprocess

import pytest
from conftest import REPOSITORY

from coreproc import _abi, constants

HEADER = REPOSITORY / "include" / "coreproc.h"
#: The prefix of each enumeration's constants in the header, after COREPROC_.
PREFIXES = {
    constants.Result: "",
    constants.State: "STATE_",
    constants.Cause: "CAUSE_",
    constants.Doing: "DOING_",
    constants.EventKind: "EVENT_",
    constants.Flag: "FLAG_",
    constants.Scope: "SCOPE_",
    constants.Contain: "CONTAIN_",
    constants.Rung: "RUNG_",
    constants.Group: "GROUP_",
    constants.IoClass: "IO_",
    constants.CloseMode: "CLOSE_",
    constants.Delivery: "DELIVERY_",
    constants.Descriptor: "DESCRIPTOR_",
    constants.Subscribe: "SUBSCRIBE_",
    constants.Overflow: "OVERFLOW_",
    constants.Encoding: "ENCODING_",
    constants.LogFormat: "LOG_",
    constants.PtyMode: "PTY_",
    constants.Stdio: "STDIO_",
    constants.RunMode: "RUN_",
    constants.SpecState: "SPEC_",
    constants.ReportFormat: "REPORT_",
    constants.ProgressStyle: "PROGRESS_STYLE_",
    constants.ProgressOutput: "PROGRESS_OUTPUT_",
}
STRUCTURES = {
    "coreproc_service_options": _abi.ServiceOptions,
    "coreproc_stop_options": _abi.StopOptions,
    "coreproc_subscription_options": _abi.SubscriptionOptions,
    "coreproc_event": _abi.Event,
    "coreproc_daemon_entry": _abi.DaemonEntry,
    "coreproc_daemon_options": _abi.DaemonOptions,
    "coreproc_health_options": _abi.HealthOptions,
    "coreproc_process_info": _abi.ProcessInfo,
    "coreproc_run_options": _abi.RunOptions,
    "coreproc_run_info": _abi.RunInfo,
    "coreproc_spec_result": _abi.SpecResult,
    "coreproc_progress_options": _abi.ProgressOptions,
}


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory):
    """Evaluates C expressions, with the header included."""
    directory = tmp_path_factory.mktemp("header")

    def evaluate(expressions):
        source, program = directory / "values.c", directory / "values"
        prints = "".join(f'printf("%lld\\n", (long long)({text}));\n' for text in expressions)
        source.write_text(
            f'#include <stddef.h>\n#include <stdio.h>\n#include "{HEADER}"\n'
            f"int main(void) {{\n{prints}return 0;\n}}\n"
        )
        subprocess.run(["cc", "-o", program, source], check=True)
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        return [int(line) for line in output.split()]

    return evaluate


@pytest.mark.parametrize("enumeration", PREFIXES, ids=lambda enumeration: enumeration.__name__)
def test_enumerations(evaluate, enumeration):
    prefix = PREFIXES[enumeration]
    members = [member for member in enumeration if member is not constants.Cause.OTHER]
    names = [f"COREPROC_{prefix}{member.name}" for member in members]
    assert evaluate(names) == [int(member.value) for member in members]


@pytest.mark.parametrize("enumeration", PREFIXES, ids=lambda enumeration: enumeration.__name__)
def test_no_number_is_missing(enumeration):
    prefix = PREFIXES[enumeration] or "(?!OK)"
    number = r"\(?-\d+\)?" if enumeration is constants.Result else r"\d+u?"
    defined = re.findall(rf"#define COREPROC_{prefix}(\w+) {number}\n", HEADER.read_text())
    assert set(defined) <= set(enumeration.__members__)
    assert set(enumeration.__members__) - set(defined) <= {"OTHER"}


def test_other_constants(evaluate):
    names = [
        *("STREAM_STDIN", "STREAM_STDOUT", "STREAM_STDERR"),
        *("FILE_READ", "FILE_TRUNCATE", "FILE_APPEND"),
    ]
    assert evaluate([f"COREPROC_{name}" for name in names]) == [
        getattr(_abi, name) for name in names
    ]
    assert evaluate(["COREPROC_UNLIMITED == UINT64_MAX"]) == [1]
    assert evaluate(["COREPROC_CAPTURE_NONE == UINT64_MAX"]) == [1]
    assert evaluate(["COREPROC_NO_SPEC"]) == [_abi.NO_SPEC]
    assert evaluate(["COREPROC_OUTPUT_TOGETHER"]) == [_abi.OUTPUT_TOGETHER]
    assert evaluate(["COREPROC_KEEP_GOING", "COREPROC_FAIL_FAST"]) == list(constants.OnFailure)
    assert _abi.UNLIMITED == _abi.CAPTURE_NONE == 2**64 - 1


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(evaluate, name):
    structure = STRUCTURES[name]
    fields = [field for field, _ in structure._fields_]
    expressions = [f"sizeof({name})", *(f"offsetof({name}, {field})" for field in fields)]
    offsets = [getattr(structure, field).offset for field in fields]
    assert evaluate(expressions) == [ctypes.sizeof(structure), *offsets]


def test_event(evaluate):
    assert evaluate(["sizeof(coreproc_event)", "offsetof(coreproc_event, len)"]) == [
        _abi.EVENT_SIZE,
        struct.calcsize(_abi.EVENT_FORMAT.split("N")[0]),
    ]


def test_every_enumeration_is_checked():
    defined = {
        value
        for value in vars(constants).values()
        if isinstance(value, type) and issubclass(value, enum.Enum)
    }
    # The constants of OnFailure have no prefix: see `test_other_constants`.
    assert defined == {*PREFIXES, constants.OnFailure}
