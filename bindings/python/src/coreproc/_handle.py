"""Handles: references that the library gave out, and the objects that own them."""

from __future__ import annotations

import ctypes
import weakref
from typing import Callable

from ._errors import Closed
from .constants import Result


class Handle:
    """A reference from the library; it is freed once, when no Python code uses it.

    Arguments of a ctypes call live until the call returns. So a handle that one thread releases
    while another thread waits in the library is freed only after that call.
    """

    __slots__ = ("__weakref__", "_as_parameter_")

    def __init__(self, pointer: ctypes.c_void_p, free: Callable[[int | None], None]) -> None:
        """Takes over `pointer`, which `free` frees."""
        self._as_parameter_ = pointer
        # Not at exit: a daemon thread may still wait in the library on this handle. Freeing stops
        # no process, so nothing is lost.
        weakref.finalize(self, _free_once, free, pointer).atexit = False


def _free_once(free: Callable[[int | None], None], pointer: ctypes.c_void_p) -> None:
    """Frees the handle in `pointer`, and leaves NULL there.

    After an interrupt two objects may hold the same pointer: it is freed by the first alone.
    """
    value, pointer.value = pointer.value, None
    free(value)


class Owner:
    """The base of the classes that own a handle."""

    __slots__ = ("__weakref__", "_owned")

    def __init__(self, pointer: ctypes.c_void_p, free: Callable[[int | None], None]) -> None:
        """Takes over `pointer`."""
        self._owned: Handle | None = Handle(pointer, free)

    @property
    def _handle(self) -> Handle:
        owned = self._owned
        if owned is None:
            name = type(self).__name__
            raise Closed(f"{name}: released", result=Result.CLOSED, operation=name.lower())
        return owned

    def release(self) -> None:
        """Returns the memory back now, without waiting for the garbage collector; idempotent.

        Stops nothing and waits for nothing. Later calls raise `Closed`.
        """
        self._owned = None
