"""The files that are generated from the header are up to date; `make bless` rewrites them."""

import os

import pytest

import generated
from paths import ROOT


@pytest.fixture(scope="module")
def files():
    return generated.generate()


@pytest.mark.parametrize(
    "name",
    [
        "bindings/abi/coreproc.json",
        "bindings/go/internal/capi/directives.go",
        "bindings/python/src/coreproc/_abi.py",
        "bindings/python/src/coreproc/constants.py",
        "tests/abi/symbols.txt",
    ],
)
def test_file_is_up_to_date(files, name):
    path = ROOT / name
    if os.environ.get("BLESS"):
        path.write_text(files[path])
    if not path.exists() or path.read_text() != files[path]:
        pytest.fail(f"{name} is stale: run `make bless`", pytrace=False)


def test_every_file_is_checked(files):
    assert len(files) == 5
