"""Where the things are that are read and written."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "coreproc.h"
DESCRIPTION = ROOT / "bindings" / "abi" / "coreproc.json"
PYTHON = ROOT / "bindings" / "python"
GO = ROOT / "bindings" / "go" / "internal" / "capi"
SYMBOLS = ROOT / "tests" / "abi" / "symbols.txt"
