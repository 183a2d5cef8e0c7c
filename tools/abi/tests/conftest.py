"""What the tests share: the description of the header in the source tree."""

import pytest

import description
import header
import ownership
from paths import HEADER


@pytest.fixture(scope="session")
def abi():
    """The description."""
    return description.describe(header.read(HEADER))


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads a header made of these declarations; the tables name no function of it."""
    monkeypatch.setattr(ownership, "CALLBACKS_ON_OWN_THREAD", frozenset())
    monkeypatch.setattr(ownership, "NEVER_CALL_BACK", frozenset())
    start = (
        "#include <stddef.h>\n#include <stdint.h>\n"
        "typedef struct coreproc_error coreproc_error;\n"
        "typedef struct coreproc_thing coreproc_thing;\n"
        "void coreproc_error_free(coreproc_error *error);\n"
        "void coreproc_thing_free(coreproc_thing *thing);\n"
    )

    def read(text):
        path = tmp_path / "small.h"
        path.write_text(start + text)
        return header.read(path)

    return read
