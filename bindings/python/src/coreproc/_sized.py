"""Structures that both sides may lengthen."""

from __future__ import annotations

import ctypes


class Sized(ctypes.Structure):
    """A structure that tells the library how long it is, so that both may grow."""

    def __init__(self, **values: int) -> None:
        """Fills in `struct_size`; a field that is not given stays zero, the default."""
        super().__init__(struct_size=ctypes.sizeof(type(self)), **values)
