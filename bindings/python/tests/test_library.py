"""Finds and checks libcoreproc, each time in a new interpreter."""

import os
import subprocess
import sys

import pytest
from conftest import PACKAGE, REPOSITORY

import coreproc
from coreproc import _abi, _lib

STUB = "unsigned coreproc_abi_version(void) { return %d; }\n"


def compile_stub(directory, version):
    source, library = directory / "stub.c", directory / "libcoreproc.so"
    source.write_text(STUB % version)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def import_with(library, *, cwd=None):
    """Imports coreproc in a new interpreter; returns its exit code and its output."""
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE / "src"))
    environment.pop("COREPROC_LIBRARY", None)
    if library is not None:
        environment["COREPROC_LIBRARY"] = str(library)
    result = subprocess.run(
        [sys.executable, "-c", "import coreproc; print(coreproc.library_version())"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
    )
    return result.returncode, (result.stdout + result.stderr).strip()


@pytest.mark.parametrize("version", [0, 2, 4711])
def test_another_abi_version_is_refused(tmp_path, version):
    library = compile_stub(tmp_path, version)
    code, said = import_with(library)
    assert code == 1
    assert said.splitlines()[-1] == (
        f"coreproc._lib.LibraryError: {library}: this is libcoreproc with ABI version {version}, "
        f"but this binding needs ABI version {_abi.ABI_VERSION}"
    )


def test_library_without_all_functions_is_refused(tmp_path):
    library = compile_stub(tmp_path, _abi.ABI_VERSION)
    code, said = import_with(library)
    assert code == 1
    assert f"{library}: not a complete libcoreproc: " in said.splitlines()[-1]
    assert "coreproc_service_new" in said


def test_library_that_is_not_there(tmp_path):
    code, said = import_with(tmp_path / "missing.so")
    assert code == 1
    assert "LibraryError: cannot load what COREPROC_LIBRARY names: " in said
    assert str(tmp_path / "missing.so") in said


def test_library_that_is_something_else(tmp_path):
    path = tmp_path / "text.so"
    path.write_text("no library")
    code, said = import_with(path)
    assert code == 1
    assert str(path) in said.splitlines()[-1]


def test_library_named_in_the_environment():
    assert import_with(_lib.lib._name) == (0, coreproc.library_version())


def test_library_of_the_source_tree():
    builds = _lib._source_tree_builds()
    assert all(REPOSITORY in path.parents for path in builds)
    if builds:
        code, said = import_with(None)
        assert (code, said) == (0, coreproc.library_version())


def test_places_that_were_tried_are_listed(monkeypatch):
    monkeypatch.delenv("COREPROC_LIBRARY", raising=False)
    monkeypatch.setattr(_lib, "_SYSTEM_NAME", "libcoreproc-not-there.so.1")
    monkeypatch.setattr(_lib, "_source_tree_builds", list)
    with pytest.raises(coreproc.LibraryError, match=r"libcoreproc-not-there\.so\.1"):
        _lib._open()


def test_versions_agree():
    assert _lib.lib.coreproc_abi_version() == _abi.ABI_VERSION
    header = (REPOSITORY / "include" / "coreproc.h").read_text()
    assert f"#define COREPROC_ABI_VERSION {_abi.ABI_VERSION}\n" in header
    assert f'#define COREPROC_VERSION "{coreproc.library_version()}"\n' in header
    assert coreproc.__version__ == coreproc.library_version()
