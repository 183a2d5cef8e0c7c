"""The ways to stop a process."""

from __future__ import annotations

from dataclasses import dataclass

from . import _abi
from ._convert import duration_ms
from .constants import Scope


@dataclass(frozen=True)
class Stop:
    """A way to stop a process: a signal, a grace period, then SIGKILL.

    Attributes:
        signal: The first signal; None is SIGTERM.
        grace: The seconds until SIGKILL; None is 5, `math.inf` never sends it.
        scope: The processes that the signals reach; by default the group if the process leads one.
    """

    signal: int | None = None
    grace: float | None = None
    scope: Scope = Scope.DEFAULT

    def _to_library(self, operation: str) -> _abi.StopOptions:
        return _abi.StopOptions(
            scope=self.scope,
            signal=self.signal or 0,
            grace_ms=duration_ms(operation, "grace", self.grace),
        )
