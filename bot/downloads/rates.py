"""How fast bytes come, smoothed, and when the rest will be there."""

from __future__ import annotations

import math

__all__ = ["Rate"]

SMOOTH_S = 8.0


class Rate:
    """Times are seconds of any clock that only goes forward."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._weight = 0.0
        self._value = 0.0

    def add(self, count: int, now: float) -> None:
        """`count` bytes came since the last call."""
        passed = max(now - self._at, 1e-6)
        self._at = now
        keep = math.exp(-passed / SMOOTH_S)
        self._value = self._value * keep + count / passed * (1 - keep)
        self._weight = self._weight * keep + (1 - keep)

    @property
    def bytes_s(self) -> float:
        return self._value / self._weight if self._weight else 0.0

    def eta_s(self, left: int | None) -> float | None:
        """None where it cannot be told."""
        return left / self.bytes_s if left is not None and self.bytes_s > 0 else None
