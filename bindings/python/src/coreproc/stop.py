"""The ways to stop a process."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

from . import _abi
from ._convert import duration_ms
from ._errors import invalid
from .constants import Scope


@dataclass(frozen=True)
class Step:
    """One step of a `Stop`.

    Attributes:
        signal: The signal; only the last step may have SIGKILL.
        grace: The seconds until the next step; None is 5, `math.inf` waits for a further stop. The
            last step's has no meaning.
    """

    signal: int
    grace: float | None = None


@dataclass(frozen=True)
class Stop:
    """A way to stop a process: a signal, a grace period, then SIGKILL; or any number of steps.

    SIGCONT follows each signal that a stopped process would not act on. A further stop moves to the
    next step at once.

    Attributes:
        signal: The first signal; None is SIGTERM.
        grace: The seconds until SIGKILL; None is 5, with `math.inf` only a further stop sends it.
        scope: The processes that the signals reach; by default the group if the process leads one.
        steps: Steps in place of `signal` and `grace`.
    """

    signal: int | None = None
    grace: float | None = None
    scope: Scope = Scope.DEFAULT
    steps: Sequence[Step] = ()

    def _to_library(self, operation: str) -> _abi.StopOptions:
        if self.steps and (self.signal is not None or self.grace is not None):
            raise invalid(operation, "steps", "are in place of signal and grace")
        options = _abi.StopOptions(
            scope=self.scope,
            signal=self.signal or 0,
            grace_ms=duration_ms(operation, "grace", self.grace),
            steps_len=len(self.steps),
        )
        if self.steps:
            steps = (_abi.StopStep * len(self.steps))()
            for index, (raw, step) in enumerate(zip(steps, self.steps)):
                raw.signal = step.signal
                raw.grace_ms = duration_ms(operation, f"steps[{index}].grace", step.grace)
            # The structure keeps the array alive.
            options._steps = steps
            options.steps = ctypes.addressof(steps)
        return options
