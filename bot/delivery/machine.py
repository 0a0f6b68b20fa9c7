"""Whether anybody is there to draw: what a queued card says while nothing moves."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable

__all__ = ["Machine", "MachineState"]

START_WITHIN_S = 180.0
"""A start that takes longer than this on any disk we know is called away, not starting."""


class MachineState(enum.Enum):
    READY = "ready"
    STARTING = "starting"
    """No worker has said hello yet, or one has died and its successor loads."""
    AWAY = "away"
    """No worker is configured, one could not start, or none came in time."""


class Machine:
    """`expected` is whether this bot starts workers of its own; `has_workers` looks at the live ones."""

    def __init__(
        self, has_workers: Callable[[], bool], *, expected: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._has_workers = has_workers
        self._expected = expected
        self._clock = clock
        self._failed = False
        self._alone_since: float | None = None

    def start_failed(self) -> None:
        """A worker ended before it ever said hello."""
        self._failed = True

    @property
    def state(self) -> MachineState:
        if self._has_workers():
            self._failed, self._alone_since = False, None
            return MachineState.READY
        now = self._clock()
        if self._alone_since is None:
            self._alone_since = now
        late = now - self._alone_since > START_WITHIN_S
        return MachineState.AWAY if self._failed or late or not self._expected else MachineState.STARTING
