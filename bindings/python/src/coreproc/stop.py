"""How a process is stopped."""

from __future__ import annotations

from dataclasses import dataclass

from . import _abi
from ._convert import duration_ms
from .constants import Scope


@dataclass(frozen=True)
class Stop:
    """A signal, a grace period, then SIGKILL.

    Attributes:
        signal: The first signal; None is SIGTERM.
        grace: Seconds until SIGKILL; None is 5, `math.inf` never.
        scope: Whom it reaches; by default the group, where the process leads its own.
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
