"""The files that are generated from the header are up to date; `make bless` rewrites them."""

import os

import pytest

import generated
from paths import GO, ROOT


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


def test_generated_files_say_so_in_their_first_lines(files):
    for path, text in files.items():
        if path.suffix != ".txt":  # A bare list, which nm is compared with.
            assert "tools/abi" in "".join(text.splitlines()[:2])


def test_directives_for_the_library_are_in_the_generated_file_alone():
    others = [path for path in GO.glob("*.go") if path.name != "directives.go"]
    directives = ("#cgo noescape coreproc_", "#cgo nocallback coreproc_")
    by_hand = {
        path.name for path in others for directive in directives if directive in path.read_text()
    }
    assert not by_hand, "remove these directives: `make bless` writes directives.go"
