"""Complaints about a machine, each once in a while: one that sends nonsense without end would fill the log."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SILENT_S", "Sparing"]

SILENT_S = 300.0
_KNOWN_MAX = 1000


class Sparing:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def may(self, what: str) -> bool:
        """Whether to say it now."""
        now = self._clock()
        if now - self._said_at.get(what, -SILENT_S) < SILENT_S:
            return False
        if len(self._said_at) >= _KNOWN_MAX:
            self._said_at.clear()
        self._said_at[what] = now
        return True
