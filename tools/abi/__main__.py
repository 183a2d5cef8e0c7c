"""Rewrites what is generated from the C ABI: `make bless`."""

from __future__ import annotations

from pathlib import Path

import cargo_header
import generated
from paths import HEADER, ROOT


def main() -> None:
    """The header comes first: all else is made from it."""
    _write(HEADER, cargo_header.generate())
    for path, text in generated.generate().items():
        _write(path, text)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print(f"bless: {path.relative_to(ROOT)} is new")


main()
