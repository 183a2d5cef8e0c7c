"""The files that are generated from the header, and what each has to hold."""

from __future__ import annotations

from pathlib import Path

import description
import go_directives
import header
import python_abi
import python_constants
from paths import DESCRIPTION, GO, HEADER, PYTHON, SYMBOLS


def generate() -> dict[Path, str]:
    """Each file with its text, as the header in the source tree has it now."""
    abi = description.describe(header.read(HEADER))
    return {
        DESCRIPTION: description.to_json(abi),
        PYTHON / "src" / "coreproc" / "_abi.py": python_abi.generate(abi),
        PYTHON / "src" / "coreproc" / "constants.py": python_constants.generate(abi),
        GO / "directives.go": go_directives.generate(abi, GO),
        SYMBOLS: "".join(f"{function['name']}\n" for function in abi["functions"]),
    }
