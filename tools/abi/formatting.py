"""Formats what is written for Python as the linter wants it."""

from __future__ import annotations

import subprocess
import sys

from paths import PYTHON


def formatted(text: str, name: str) -> str:
    """The text of a module of the Python binding, formatted by its rules."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", name, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=PYTHON)
    if done.returncode != 0:
        raise ValueError(f"ruff cannot format {name}: {done.stderr}")
    return done.stdout
