"""The pseudo-terminal of a command."""

from __future__ import annotations

from dataclasses import dataclass

from ._errors import invalid
from .constants import PtyMode


@dataclass(frozen=True)
class Pty:
    """A pseudo-terminal: its size, and what it does with what is written to it.

    Attributes:
        columns: Its width in characters, up to 65535.
        rows: Its height in lines, up to 65535.
        mode: Its mode at the start, which the program may change.
    """

    columns: int = 80
    rows: int = 24
    mode: PtyMode = PtyMode.COOKED


def checked_size(operation: str, columns: int, rows: int) -> tuple[int, int]:
    """Checks a size, of which C takes 0 as a default and numbers without a sign."""
    for field, number in (("columns", columns), ("rows", rows)):
        if not 0 < number < 2**16:
            raise invalid(operation, field, "is not from 1 to 65535")
    return columns, rows
