"""The C header in ctypes: structures and the signature of each function that is used."""

from __future__ import annotations

import ctypes
import struct
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

#: The COREPROC_ABI_VERSION of the header this module was written from.
ABI_VERSION = 1

#: COREPROC_UNLIMITED: "none or unlimited" for sizes and durations, where 0 is "default".
UNLIMITED = 2**64 - 1
#: COREPROC_CAPTURE_NONE: the same number, which a capture takes for "nothing".
CAPTURE_NONE = 2**64 - 1
#: INT64_MAX: the largest capture, for one without a limit.
CAPTURE_ALL = 2**63 - 1

STREAM_STDIN = 0
STREAM_STDOUT = 1
STREAM_STDERR = 2

#: COREPROC_NO_SPEC: an event of a run as a whole, or of a process that is of no run.
NO_SPEC = 2**32 - 1

FILE_READ = 1
FILE_TRUNCATE = 2
FILE_APPEND = 3


class Sized(ctypes.Structure):
    """A structure that tells the library how long it is, so that both may grow."""

    def __init__(self, **values: int) -> None:
        """Fills in `struct_size`; what is not given stays zero, the default."""
        super().__init__(struct_size=ctypes.sizeof(type(self)), **values)


class ServiceOptions(Sized):
    """coreproc_service_options."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("capture_bytes", c_uint64),
        ("drain_silence_ms", c_uint64),
        ("drain_total_ms", c_uint64),
    )


class StopOptions(Sized):
    """coreproc_stop_options."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("scope", c_uint32),
        ("signal", c_int32),
        ("reserved", c_uint32),
        ("grace_ms", c_uint64),
    )


class SubscriptionOptions(Sized):
    """coreproc_subscription_options."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("scope", c_uint32),
        ("delivery", c_uint32),
        ("lifecycle", c_uint32),
        ("queue_bytes", c_uint64),
        ("max_line_bytes", c_uint64),
    )


class RunOptions(Sized):
    """coreproc_run_options."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("mode", c_uint32),
        ("on_failure", c_uint32),
        ("reserved", c_uint32),
        ("limit", c_uint64),
        ("deadline_ms", c_uint64),
        ("subscription", c_void_p),
        ("history", c_void_p),
        ("progress", c_void_p),
    )


class RunInfo(Sized):
    """coreproc_run_info."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("ended", c_uint32),
        ("success", c_uint32),
        ("reserved", c_uint32),
        ("total", c_uint64),
        ("waiting", c_uint64),
        ("running", c_uint64),
        ("retrying", c_uint64),
        ("passed", c_uint64),
        ("failed", c_uint64),
        ("skipped", c_uint64),
        ("cancelled", c_uint64),
        ("timed_out", c_uint64),
        ("started_monotonic_ns", c_uint64),
        ("started_realtime_ns", c_uint64),
        ("duration_ns", c_uint64),
    )


class SpecResult(Sized):
    """coreproc_spec_result."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("state", c_uint32),
        ("exit_code", c_int32),
        ("signal", c_int32),
        ("flags", c_uint32),
        ("attempts", c_uint32),
        ("allow_failure", c_uint32),
        ("reserved", c_uint32),
        ("name", c_void_p),
        ("name_len", c_size_t),
        ("error", c_void_p),
        ("error_len", c_size_t),
        ("output", c_void_p),
        ("output_len", c_size_t),
        ("dropped_bytes", c_uint64),
        ("started_monotonic_ns", c_uint64),
        ("started_realtime_ns", c_uint64),
        ("duration_ns", c_uint64),
    )


class ProgressOptions(Sized):
    """coreproc_progress_options."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("style", c_uint32),
        ("output", c_uint32),
        ("reserved", c_uint32),
    )


class ProcessInfo(Sized):
    """coreproc_process_info."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("state", c_uint32),
        ("id", c_uint64),
        ("pid", c_int32),
        ("exit_code", c_int32),
        ("signal", c_int32),
        ("cause", c_uint32),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("started_monotonic_ns", c_uint64),
        ("started_realtime_ns", c_uint64),
        ("exited_monotonic_ns", c_uint64),
        ("closed_monotonic_ns", c_uint64),
        ("stdout_bytes", c_uint64),
        ("stderr_bytes", c_uint64),
        ("dropped_bytes", c_uint64),
        ("discarded_bytes", c_uint64),
    )


#: coreproc_event for `struct`: one call unpacks a batch, where ctypes takes a call a field.
EVENT_FORMAT = "@IIQQQQiiiIPNQIII4x"
EVENT_SIZE = struct.calcsize(EVENT_FORMAT)

_OUT = POINTER(c_void_p)
_OUT_SIZE = POINTER(c_size_t)
_OUT_U64 = POINTER(c_uint64)
_OUT_I32 = POINTER(c_int32)
_OUT_INFO = POINTER(ProcessInfo)
_TEXT = (c_char_p, c_size_t)

#: Functions that return a coreproc_result: their arguments before the final `coreproc_error **`.
FALLIBLE: dict[str, tuple[object, ...]] = {
    "service_new": (POINTER(ServiceOptions), _OUT),
    "service_process": (c_void_p, c_uint64, _OUT),
    "service_count": (c_void_p, _OUT_U64),
    "service_close": (c_void_p, c_uint32),
    "service_wait_idle": (c_void_p, c_int64),
    "command_new": (*_TEXT, _OUT),
    "command_arg": (c_void_p, *_TEXT),
    "command_arg0": (c_void_p, *_TEXT),
    "command_env": (c_void_p, *_TEXT),
    "command_env_whole": (c_void_p, *_TEXT),
    "command_cwd": (c_void_p, *_TEXT),
    "command_search_path": (c_void_p, *_TEXT),
    "command_stdio": (c_void_p, c_uint32, c_uint32),
    "command_stdio_fd": (c_void_p, c_uint32, c_int32),
    "command_stdio_file": (c_void_p, c_uint32, *_TEXT, c_uint32),
    "command_capture": (c_void_p, c_uint64),
    "command_group": (c_void_p, c_uint32),
    "command_detach": (c_void_p,),
    "command_spool_max": (c_void_p, c_uint64),
    "command_timeout": (c_void_p, c_uint64),
    "command_stop_options": (c_void_p, POINTER(StopOptions)),
    "command_drain": (c_void_p, c_uint64, c_uint64),
    "command_subscribe": (c_void_p, c_void_p),
    "command_spawn": (c_void_p, c_void_p, _OUT),
    "process_info_get": (c_void_p, _OUT_INFO),
    "process_wait": (c_void_p, c_uint32, c_int64, _OUT_INFO),
    "process_output": (c_void_p, _OUT),
    "process_holders": (c_void_p, _OUT),
    "process_signal": (c_void_p, c_int32, c_uint32),
    "process_kill": (c_void_p, c_uint32),
    "process_stop": (c_void_p, POINTER(StopOptions)),
    "process_write": (c_void_p, c_void_p, c_size_t, c_int64, _OUT_SIZE),
    "process_close_stdin": (c_void_p,),
    "subscription_open": (c_void_p, POINTER(SubscriptionOptions), _OUT),
    "subscription_fd": (c_void_p, _OUT_I32),
    "subscription_take": (c_void_p, c_size_t, c_int64, _OUT),
    "subscription_close": (c_void_p,),
    "command_from_json": (*_TEXT, _OUT),
    "pipeline_new": (_OUT,),
    "pipeline_from_json": (*_TEXT, _OUT),
    "pipeline_name": (c_void_p, *_TEXT),
    "pipeline_add": (c_void_p, *_TEXT, c_void_p, _OUT_SIZE),
    "pipeline_after": (c_void_p, c_size_t, *_TEXT),
    "pipeline_allow_failure": (c_void_p, c_size_t, c_uint32),
    "pipeline_always_run": (c_void_p, c_size_t, c_uint32),
    "pipeline_retries": (c_void_p, c_size_t, c_uint32, c_uint64, c_uint64),
    "pipeline_check": (c_void_p,),
    "run_start": (c_void_p, c_void_p, POINTER(RunOptions), _OUT),
    "run_wait": (c_void_p, c_int64),
    "run_cancel": (c_void_p,),
    "run_info_get": (c_void_p, POINTER(RunInfo)),
    "run_spec_get": (c_void_p, c_size_t, POINTER(SpecResult)),
    "run_report": (c_void_p, c_uint32, _OUT),
    "history_open": (*_TEXT, *_TEXT, _OUT),
    "history_record": (c_void_p, c_void_p),
    "progress_open": (c_void_p, c_int32, POINTER(ProgressOptions), _OUT),
    "progress_watch": (c_void_p, c_void_p, c_int64),
}

#: Functions that cannot fail: what they return, and their arguments.
INFALLIBLE: dict[str, tuple[object, tuple[object, ...]]] = {
    "abi_version": (c_uint32, ()),
    "version": (c_char_p, ()),
    "error_errno": (c_int32, (c_void_p,)),
    "error_operation": (c_char_p, (c_void_p,)),
    "error_stage": (c_char_p, (c_void_p,)),
    "error_message": (c_char_p, (c_void_p,)),
    "error_free": (None, (c_void_p,)),
    "bytes_data": (c_void_p, (c_void_p,)),
    "bytes_len": (c_size_t, (c_void_p,)),
    "bytes_free": (None, (c_void_p,)),
    "service_free": (None, (c_void_p,)),
    "command_free": (None, (c_void_p,)),
    "process_id": (c_uint64, (c_void_p,)),
    "process_pid": (c_int32, (c_void_p,)),
    "process_free": (None, (c_void_p,)),
    "batch_events": (c_void_p, (c_void_p, _OUT_SIZE, _OUT_SIZE)),
    "batch_free": (None, (c_void_p,)),
    "subscription_free": (None, (c_void_p,)),
    "pipeline_free": (None, (c_void_p,)),
    "pipeline_spec_count": (c_size_t, (c_void_p,)),
    "run_free": (None, (c_void_p,)),
    "run_id": (c_uint64, (c_void_p,)),
    "run_spec_count": (c_size_t, (c_void_p,)),
    "history_problem": (c_char_p, (c_void_p,)),
    "history_free": (None, (c_void_p,)),
    "progress_free": (None, (c_void_p,)),
}


def declare(library: ctypes.CDLL) -> None:
    """Gives each function of `library` its signature; AttributeError when one is missing."""
    for name, arguments in FALLIBLE.items():
        function = getattr(library, f"coreproc_{name}")
        function.restype = c_int32
        function.argtypes = [*arguments, _OUT]
    for name, (returned, arguments) in INFALLIBLE.items():
        function = getattr(library, f"coreproc_{name}")
        function.restype = returned
        function.argtypes = list(arguments)
