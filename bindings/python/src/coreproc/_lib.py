"""Finds libcoreproc, loads it once, and calls it.

It loads the file that `COREPROC_LIBRARY` names. Without that variable it loads the system's
`libcoreproc.so.1`, or else, if the package is in the project's source tree, the library that was
built there. ctypes releases the GIL during each call, so a call that waits stalls its thread alone.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

from . import _abi
from ._errors import from_library

_SYSTEM_NAME = "libcoreproc.so.1"


class LibraryError(ImportError):
    """libcoreproc was not found, or is not the one that this binding was made for."""


def _source_tree_builds() -> list[Path]:
    """Lists the libraries that were built in this source tree; none if the package is installed."""
    parents = Path(__file__).resolve().parents
    if len(parents) < 5 or not (parents[4] / "include" / "coreproc.h").is_file():
        return []
    builds = (parents[4] / "target" / kind / "libcoreproc.so" for kind in ("release", "debug"))
    return [path for path in builds if path.is_file()]


def _open() -> ctypes.CDLL:
    """Opens the first library that there is; the error lists every place that was tried."""
    named = os.environ.get("COREPROC_LIBRARY")
    names = [named] if named else [_SYSTEM_NAME, *map(str, _source_tree_builds())]
    failures = []
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError as failure:
            failures.append(str(failure))
    if named:
        raise LibraryError(f"cannot load what COREPROC_LIBRARY names: {failures[0]}")
    raise LibraryError(
        "cannot load libcoreproc; install it, or name the file in COREPROC_LIBRARY. Tried:\n  "
        + "\n  ".join(failures)
    )


def _check(library: ctypes.CDLL) -> None:
    """Refuses a library with another ABI version."""
    try:
        version = library.coreproc_abi_version
    except AttributeError as missing:
        raise LibraryError(
            f"{library._name}: not a complete libcoreproc: {missing}", path=library._name
        ) from None
    version.restype, version.argtypes = _abi.SIGNATURES["coreproc_abi_version"]
    found = version()
    if found != _abi.ABI_VERSION:
        raise LibraryError(
            f"{library._name}: this is libcoreproc with ABI version {found}, "
            f"but this binding needs ABI version {_abi.ABI_VERSION}",
            path=library._name,
        )


def _declare(library: ctypes.CDLL) -> None:
    """Returns each function its signature, and refuses a library that lacks functions."""
    missing = []
    for name, (returned, arguments) in _abi.SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            missing.append(name)
            continue
        function.restype, function.argtypes = returned, arguments
    if missing:
        raise LibraryError(
            f"{library._name}: not a complete libcoreproc: it lacks {', '.join(missing)}",
            path=library._name,
        )


def _load() -> ctypes.CDLL:
    library = _open()
    _check(library)
    _declare(library)
    return library


#: The loaded library; its functions have their signatures.
lib: Any = _load()

# A child of os.fork() can open services of its own; what was made before stays its parent's.
os.register_at_fork(after_in_child=lib.coreproc_after_fork_child)


def call(function: Any, *arguments: object) -> None:  # noqa: ANN401 (ctypes has no type to name)
    """Calls a fallible function, and raises the error that it reports."""
    error = ctypes.c_void_p()
    result = function(*arguments, ctypes.byref(error))
    if result != 0:
        raise from_library(lib, result, error)


def library_version() -> str:
    """Returns the version of the loaded libcoreproc, such as `0.1.0`."""
    version: bytes = lib.coreproc_version()
    return version.decode()


def take_bytes(pointer: ctypes.c_void_p) -> bytes:
    """Copies a coreproc_bytes into Python and frees it."""
    try:
        length = lib.coreproc_bytes_len(pointer)
        return ctypes.string_at(lib.coreproc_bytes_data(pointer), length) if length else b""
    finally:
        lib.coreproc_bytes_free(pointer)
